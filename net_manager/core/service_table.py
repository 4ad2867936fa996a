"""Where service and instance addresses lead, and how the kernel's table becomes the wanted one.

A service address has slots, numbered from 0 without a gap; new flows take the slots in turn. An instance that stays
keeps its slot when it can, so that a change of one instance is a change of one entry.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from edge_common.model.network import Transport
from net_manager.core.commands import Ip


@dataclass(frozen=True, slots=True, order=True)
class Published:
    """A port of the node's own addresses of one IP version."""

    version: int
    transport: Transport
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    ip: Ip
    port: int


@dataclass(frozen=True, slots=True)
class ServiceTable:
    """`published`: a port of the node -> where it leads; `direct`: an instance's or closest address -> the instance's
    own; `identities`: an instance's own -> its overlay address, which others see; `round_robin`: a service address ->
    the own addresses of its healthy instances, by slot. Both sides of an entry are of one IP version.
    """

    direct: Mapping[Ip, Ip] = field(default_factory=dict)
    identities: Mapping[Ip, Ip] = field(default_factory=dict)
    round_robin: Mapping[Ip, tuple[Ip, ...]] = field(default_factory=dict)
    published: Mapping[Published, Target] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SetPort:
    port: Published
    target: Target
    replaces: Target | None = None


@dataclass(frozen=True, slots=True)
class RemovePort:
    port: Published


@dataclass(frozen=True, slots=True)
class SetDirect:
    address: Ip
    target: Ip
    replaces: Ip | None = None


@dataclass(frozen=True, slots=True)
class RemoveDirect:
    address: Ip


@dataclass(frozen=True, slots=True)
class SetIdentity:
    source: Ip
    shown: Ip
    replaces: Ip | None = None


@dataclass(frozen=True, slots=True)
class RemoveIdentity:
    source: Ip


@dataclass(frozen=True, slots=True)
class SetSlot:
    service: Ip
    slot: int
    target: Ip
    replaces: Ip | None = None


@dataclass(frozen=True, slots=True)
class RemoveSlot:
    service: Ip
    slot: int


@dataclass(frozen=True, slots=True)
class AddService:
    service: Ip


@dataclass(frozen=True, slots=True)
class SetWidth:
    """New flows go round the first `width` slots."""

    service: Ip
    width: int


@dataclass(frozen=True, slots=True)
class RemoveService:
    service: Ip


TableChange = (
    SetPort
    | RemovePort
    | SetDirect
    | RemoveDirect
    | SetIdentity
    | RemoveIdentity
    | SetSlot
    | RemoveSlot
    | AddService
    | SetWidth
    | RemoveService
)


def changes(wanted: ServiceTable, seen: ServiceTable) -> tuple[TableChange, ...]:
    """For one transaction, in this order. A service without instances is as one that is not there: it is refused."""
    return (
        *_ports(wanted.published, seen.published),
        *_direct(wanted.direct, seen.direct),
        *_identities(wanted.identities, seen.identities),
        *_services(wanted.round_robin, seen.round_robin),
    )


def arranged(targets: tuple[Ip, ...], slots: tuple[Ip, ...]) -> tuple[Ip, ...]:
    """`targets` in slots such that as many as can stay where they are in `slots` do."""
    width = len(targets)
    placed: list[Ip | None] = [one if one in targets else None for one in slots[:width]]
    placed += [None] * (width - len(placed))
    waiting = iter([one for one in targets if one not in placed])
    return tuple(next(waiting) if one is None else one for one in placed)


def _ports(wanted: Mapping[Published, Target], seen: Mapping[Published, Target]) -> Iterator[TableChange]:
    for port in sorted(seen.keys() - wanted.keys()):
        yield RemovePort(port)
    for port in sorted(wanted):
        if seen.get(port) != wanted[port]:
            yield SetPort(port, wanted[port], seen.get(port))


def _direct(wanted: Mapping[Ip, Ip], seen: Mapping[Ip, Ip]) -> Iterator[TableChange]:
    for address in _sorted(seen.keys() - wanted.keys()):
        yield RemoveDirect(address)
    for address in _sorted(wanted):
        if seen.get(address) != wanted[address]:
            yield SetDirect(address, wanted[address], seen.get(address))


def _identities(wanted: Mapping[Ip, Ip], seen: Mapping[Ip, Ip]) -> Iterator[TableChange]:
    for source in _sorted(seen.keys() - wanted.keys()):
        yield RemoveIdentity(source)
    for source in _sorted(wanted):
        if seen.get(source) != wanted[source]:
            yield SetIdentity(source, wanted[source], seen.get(source))


def _services(wanted: Mapping[Ip, tuple[Ip, ...]], seen: Mapping[Ip, tuple[Ip, ...]]) -> Iterator[TableChange]:
    for service in _sorted(wanted.keys() | seen.keys()):
        targets, slots = tuple(dict.fromkeys(wanted.get(service, ()))), seen.get(service, ())
        if targets != slots:
            yield from _service(service, arranged(targets, slots), slots)


def _service(service: Ip, targets: tuple[Ip, ...], slots: tuple[Ip, ...]) -> Iterator[TableChange]:
    if not targets:
        yield RemoveService(service)
    elif not slots:
        yield AddService(service)
    if targets and len(targets) != len(slots):
        yield SetWidth(service, len(targets))
    for slot in range(len(targets), len(slots)):
        yield RemoveSlot(service, slot)
    for slot, target in enumerate(targets):
        before = slots[slot] if slot < len(slots) else None
        if before != target:
            yield SetSlot(service, slot, target, before)


def _sorted(addresses: Iterable[Ip]) -> list[Ip]:
    return sorted(addresses, key=lambda one: (one.version, int(one)))
