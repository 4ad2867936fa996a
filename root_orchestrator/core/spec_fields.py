"""What the texts of an SLA mean: ports, devices, limits, addresses and constraints. Each raises InvalidInput."""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from edge_common.model.errors import InvalidInput, Unsupported
from edge_common.model.network import Addresses, PortMapping, Transport
from edge_common.model.service import Constraints, Device, RestartMode, RestartPolicy, Ulimit
from edge_common.model.sla import AddressesSla, ConstraintSla, RestartSla, at

E = TypeVar("E", bound=StrEnum)

SERVICE_IPS = ipaddress.IPv4Network("10.30.0.0/16")
SERVICE_IPS_V6 = ipaddress.IPv6Network("fdff:2000::/21")
MAX_PORTS = 256
MAX_ULIMIT = 2**53
UNLIMITED = -1

ULIMITS = frozenset({
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
})  # fmt: skip
ARCHITECTURES = {
    "amd64": "amd64", "x86_64": "amd64", "arm64": "arm64", "aarch64": "arm64", "arm": "arm", "armv7l": "arm",
    "armv7": "arm", "386": "386", "i686": "386", "riscv64": "riscv64", "ppc64le": "ppc64le", "s390x": "s390x",
}  # fmt: skip

_PORT = re.compile(r"(\d{1,5})(?::(\d{1,5}))?(?:/(tcp|udp))?", re.ASCII)
_DEVICE = re.compile(r"(/dev/[^:\0]+)(?::(/dev/[^:\0]+))?(?::([rwm]{1,3}))?")
_VARIABLE = re.compile(r"[^=\s]+=.*", re.DOTALL)


def refuse_unsupported(fields: Mapping[str, Any], path: str) -> None:
    """Raises Unsupported for the first field with a real value; 0, "", [], {}, false and null say nothing."""
    for name, value in fields.items():
        if value:
            raise Unsupported(f"{at(path, name)}: is not supported yet by this version; leave it out", at(path, name))


def ports(text: str, field: str) -> tuple[PortMapping, ...]:
    """From "host:instance/tcp;..."; a single number is the same port on both sides, no transport is TCP."""
    mappings: list[PortMapping] = []
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        match = _PORT.fullmatch(part)
        numbers = [int(n) for n in match.groups()[:2] if n] if match else []
        if match is None or not all(1 <= n <= 65_535 for n in numbers):
            raise InvalidInput(
                f'{field}: "{part}" is no port; write "host:instance", "host:instance/udp" or one number, 1 to 65535',
                field,
            )
        mappings.append(PortMapping(numbers[0], numbers[-1], Transport(match[3] or "tcp")))
    _refuse_twice([f"{m.host_port}/{m.transport}" for m in mappings], field, "host port")
    if len(mappings) > MAX_PORTS:
        raise InvalidInput(f"{field}: must have at most {MAX_PORTS} ports", field)
    return tuple(mappings)


def environment(variables: Sequence[str], field: str) -> tuple[str, ...]:
    for index, variable in enumerate(variables):
        if not _VARIABLE.fullmatch(variable):
            raise InvalidInput(f"{field}[{index}]: must be NAME=value", f"{field}[{index}]")
    _refuse_twice([variable.partition("=")[0] for variable in variables], field, "variable")
    return tuple(variables)


def architectures(names: Sequence[str], field: str) -> tuple[str, ...]:
    known = sorted(set(ARCHITECTURES.values()))
    for index, name in enumerate(names):
        if name.lower() not in ARCHITECTURES:
            raise InvalidInput(f"{field}[{index}]: must be one of {', '.join(known)}", f"{field}[{index}]")
    return tuple(dict.fromkeys(ARCHITECTURES[name.lower()] for name in names))


def devices(texts: Sequence[str], field: str) -> tuple[Device, ...]:
    found: list[Device] = []
    for index, text in enumerate(texts):
        match = _DEVICE.fullmatch(text)
        if match is None or "/../" in text:
            where = f"{field}[{index}]"
            raise InvalidInput(f"{where}: must be /dev/x, /dev/x:/dev/y or /dev/x:/dev/y:rwm", where)
        found.append(Device(match[1], match[2] or match[1], match[3] or "rwm"))
    _refuse_twice([device.instance_path for device in found], field, "device")
    return tuple(found)


def ulimits(limits: Mapping[str, Any], field: str) -> tuple[Ulimit, ...]:
    """From a number for both or [soft, hard]; -1 is unlimited."""
    found: list[Ulimit] = []
    for name, value in sorted(limits.items()):
        where = at(field, name)
        if name not in ULIMITS:
            raise InvalidInput(f"{where}: unknown limit; known are {', '.join(sorted(ULIMITS))}", where)
        pair = value if isinstance(value, list) else [value, value]
        if len(pair) != 2 or not all(type(n) is int and UNLIMITED <= n <= MAX_ULIMIT for n in pair):
            raise InvalidInput(f"{where}: must be a whole number or [soft, hard], each from -1 to {MAX_ULIMIT}", where)
        soft, hard = pair
        if hard != UNLIMITED and (soft == UNLIMITED or soft > hard):
            raise InvalidInput(f"{where}: the soft limit must not be above the hard one", where)
        found.append(Ulimit(name, soft, hard))
    return tuple(found)


def restart_policy(sla: RestartSla, field: str, *, is_one_shot: bool) -> RestartPolicy:
    """A one-shot is not restarted unless it asks to be; anything else always is."""
    default = RestartPolicy(mode=RestartMode.NEVER if is_one_shot else RestartMode.ALWAYS)
    mode_field, attempts_field, delay_field = at(field, "mode"), at(field, "attempts"), at(field, "delay")
    mode = choice(sla.mode or default.mode, RestartMode, mode_field)
    if is_one_shot and mode is RestartMode.ALWAYS:
        raise InvalidInput(f"{mode_field}: a one-shot cannot restart always; write on_failure or never", mode_field)
    if sla.attempts and mode is RestartMode.NEVER:
        raise InvalidInput(f"{attempts_field}: has no meaning when the mode is never", attempts_field)
    policy = RestartPolicy(
        mode=mode,
        attempts=sla.attempts,
        delay_s=default.delay_s if sla.delay is None else sla.delay,
        max_delay_s=default.max_delay_s if sla.max_delay is None else sla.max_delay,
        reset_after_s=default.reset_after_s if sla.reset_after is None else sla.reset_after,
    )
    if policy.delay_s > policy.max_delay_s:
        raise InvalidInput(f"{delay_field}: must not be above max_delay ({policy.max_delay_s:g} s)", delay_field)
    return policy


def choice(value: str, kind: type[E], field: str) -> E:
    """The member of that value; a dash does for an underscore."""
    try:
        return kind(value.lower().replace("-", "_"))
    except ValueError:
        raise InvalidInput(f"{field}: must be one of {', '.join(kind)}", field) from None


def addresses(sla: AddressesSla, field: str) -> Addresses:
    refuse_unsupported(sla.unsupported, field)
    return Addresses(
        rr_ip=_address(sla.rr_ip, SERVICE_IPS, at(field, "rr_ip")),
        rr_ip_v6=_address(sla.rr_ip_v6, SERVICE_IPS_V6, at(field, "rr_ip_v6")),
    )


def constraints(asked: Sequence[ConstraintSla], target_node: str, path: str) -> Constraints:
    """All must hold, so each narrows what the others leave."""
    field = at(path, "constraints")
    clusters: list[tuple[str, ...]] = []
    nodes = [_names(target_node, at(path, "target_node"))]
    for index, constraint in enumerate(asked):
        where = f"{field}[{index}]"
        if constraint.type not in ("direct", "clusters"):
            raise Unsupported(
                f'{where}.type: "{constraint.type}" is not supported yet by this version; it knows direct and clusters',
                f"{where}.type",
            )
        refuse_unsupported(constraint.unsupported, where)
        _check_belongs(constraint, where)
        clusters += [_names(constraint.cluster, f"{where}.cluster"), constraint.allowed]
        nodes.append(_names(constraint.node, f"{where}.node"))
    return Constraints(clusters=_common(clusters, field, "cluster"), nodes=_common(nodes, field, "node"))


def _check_belongs(constraint: ConstraintSla, where: str) -> None:
    if constraint.type == "direct":
        if constraint.allowed:
            raise InvalidInput(f'{where}.allowed: belongs to a constraint of type "clusters"', f"{where}.allowed")
        if not constraint.cluster and not constraint.node:
            raise InvalidInput(f"{where}: a direct constraint names a cluster, a node or both", where)
    elif constraint.cluster or constraint.node:
        name = "cluster" if constraint.cluster else "node"
        raise InvalidInput(f'{where}.{name}: belongs to a constraint of type "direct"', f"{where}.{name}")
    elif not constraint.allowed:
        raise InvalidInput(f"{where}.allowed: names no cluster", f"{where}.allowed")


def _names(text: str, field: str) -> tuple[str, ...]:
    names = tuple(filter(None, (piece.strip() for piece in text.split(";"))))
    if text and not names:
        raise InvalidInput(f"{field}: has no name in it", field)
    return names


def _common(asked: Iterable[tuple[str, ...]], field: str, what: str) -> tuple[str, ...]:
    narrowed: tuple[str, ...] = ()
    for names in filter(None, asked):
        left = tuple(dict.fromkeys(names if not narrowed else (n for n in narrowed if n in names)))
        if not left:
            raise InvalidInput(f"{field}: no {what} can satisfy all of them", field)
        narrowed = left
    return narrowed


def _address(text: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network, field: str) -> str:
    if not text:
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise InvalidInput(f'{field}: "{text}" is no IP address', field) from None
    if address.version != network.version or address not in network:
        raise InvalidInput(f"{field}: {text} is not in {network}, where service addresses are", field)
    if address in (network.network_address, network.broadcast_address):
        raise InvalidInput(f"{field}: {text} is the first or the last address of {network}; take another", field)
    return str(address)


def _refuse_twice(values: Sequence[str], field: str, what: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise InvalidInput(f"{field}: {what} {value} is there twice", field)
        seen.add(value)
