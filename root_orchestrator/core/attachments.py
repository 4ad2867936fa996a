"""What an SLA says of secrets and configuration objects, and which stored values it means. Each raises InvalidInput."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from edge_common.model.errors import InvalidInput
from edge_common.model.service import ServiceSpec
from edge_common.model.sla import AttachmentSla, MicroserviceSla, at
from edge_common.model.values import Attachment, ValueKind, ValueRef

FIELDS: Mapping[ValueKind, str] = {ValueKind.SECRET: "secrets", ValueKind.CONFIG: "configs"}
DEFAULT_MODES: Mapping[ValueKind, int] = {ValueKind.SECRET: 0o400, ValueKind.CONFIG: 0o444}
RESERVED = ("/proc", "/sys", "/dev", "/.hedgerow", "/etc/hosts", "/etc/resolv.conf")
OUR_VARIABLES = ("HEDGEROW_SERVICE", "HEDGEROW_INSTANCE_NUMBER", "HOSTNAME")

Known = Mapping[tuple[ValueKind, str], ValueRef]
"""The values of one owner, by kind and name."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODE = re.compile(r"0?[0-7]{3}")


def attachments(sla: MicroserviceSla) -> tuple[Attachment, ...]:
    """With names that are not looked up yet."""
    asked = ((ValueKind.SECRET, sla.secrets), (ValueKind.CONFIG, sla.configs))
    found = [
        (_attachment(kind, each, where), where)
        for kind, several in asked
        for where, each in ((f"{at(sla.path, FIELDS[kind])}[{index}]", each) for index, each in enumerate(several))
    ]
    taken = {variable.partition("=")[0]: at(sla.path, "environment") for variable in sla.environment}
    _refuse_twice(((each.variable, f"{where}.env") for each, where in found), taken)
    _refuse_nested([(each.path, f"{where}.path") for each, where in found if each.path])
    return tuple(each for each, _ in found)


def registry_login(sla: MicroserviceSla) -> ValueRef | None:
    return ValueRef(ValueKind.SECRET, sla.registry_secret) if sla.registry_secret else None


def names_values(spec: ServiceSpec) -> bool:
    return bool(spec.attachments or spec.registry_login)


def resolved(spec: ServiceSpec, path: str, known: Known) -> ServiceSpec:
    """The spec with the present version of each value that it names."""
    counts: Counter[ValueKind] = Counter()
    found: list[Attachment] = []
    for each in spec.attachments:
        field = f"{at(path, FIELDS[each.ref.kind])}[{counts[each.ref.kind]}].name"
        counts[each.ref.kind] += 1
        found.append(replace(each, ref=_look_up(each.ref, field, known)))
    login = spec.registry_login and _look_up(spec.registry_login, at(path, "registry_secret"), known)
    return replace(spec, attachments=tuple(found), registry_login=login)


def _look_up(ref: ValueRef, field: str, known: Known) -> ValueRef:
    found = known.get((ref.kind, ref.name))
    if found is None:
        raise InvalidInput(
            f"{field}: the owner of the application has no {ref.kind} {ref.name}; make it first, "
            f"with `hedgerow {ref.kind} create {ref.name}`",
            field,
        )
    return found


def _attachment(kind: ValueKind, sla: AttachmentSla, where: str) -> Attachment:
    if bool(sla.env) == bool(sla.path):
        raise InvalidInput(f"{where}: must have either env or path", where)
    if sla.env:
        _refuse_file_fields(sla, where)
        return Attachment(ValueRef(kind, sla.name), variable=_variable(sla.env, f"{where}.env"))
    mode = _mode(sla.mode, DEFAULT_MODES[kind], f"{where}.mode")
    return Attachment(ValueRef(kind, sla.name), path=_path(sla.path, f"{where}.path"), mode=mode, uid=sla.uid)


def _refuse_file_fields(sla: AttachmentSla, where: str) -> None:
    for name, value in (("mode", sla.mode or None), ("uid", sla.uid)):
        if value is not None:
            raise InvalidInput(f"{where}.{name}: belongs to a path; a variable has none", f"{where}.{name}")


def _variable(name: str, field: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise InvalidInput(f"{field}: must be letters, digits and underscores, and not begin with a digit", field)
    if name in OUR_VARIABLES:
        raise InvalidInput(f"{field}: {name} is set for every instance; take another name", field)
    return name


def _mode(text: str, default: int, field: str) -> int:
    if not text:
        return default
    if not _MODE.fullmatch(text):
        raise InvalidInput(f'{field}: must be an octal file mode as text, such as "0440"', field)
    return int(text, 8)


def _path(text: str, field: str) -> str:
    path = posixpath.normpath(text)
    if not text.startswith("/") or text.startswith("//") or path != text or path == "/":
        raise InvalidInput(
            f"{field}: must be the absolute path of a file, without . and .. and a slash at its end", field
        )
    if any(path == top or path.startswith(f"{top}/") for top in RESERVED):
        raise InvalidInput(f"{field}: {path} is where every instance has something else; take another path", field)
    return path


def _refuse_twice(named: Iterable[tuple[str, str]], taken: dict[str, str]) -> None:
    for value, field in named:
        if value and value in taken:
            raise InvalidInput(f"{field}: {value} is already at {taken[value]}; take another", field)
        taken[value] = field


def _refuse_nested(paths: Sequence[tuple[str, str]]) -> None:
    """A file cannot be where another one's directory has to be."""
    _refuse_twice(paths, {})
    for path, field in paths:
        for other, where in paths:
            if path.startswith(f"{other}/"):
                raise InvalidInput(f"{field}: {other} is a file, by {where}, so nothing can be below it", field)
