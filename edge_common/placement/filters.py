"""What a candidate must have. Each filter answers for all rows at once, and can say why some fell to it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import numpy as np

from edge_common.placement.candidates import Candidates
from edge_common.placement.columns import CPU, DISK, MEMORY, Ints, Mask
from edge_common.placement.requests import HostPort, Request
from edge_common.placement.rows import Kind

MAX_OFFERS = 3


class Ground(Enum):
    """What sort of refusal a filter makes; it decides the reason that an instance gets."""

    TARGET = "target"
    READINESS = "readiness"
    CORDON = "cordon"
    ELIGIBILITY = "eligibility"
    CAPACITY = "capacity"


@dataclass(frozen=True, slots=True)
class Phrase:
    """What is wrong with one candidate, and with many: "has too little memory", "have too little memory"."""

    one: str
    many: str


Test: TypeAlias = Callable[[Request, Candidates], Mask | None]
"""True where a row passes; None when every row does, which is cheaper."""

Clause: TypeAlias = Callable[[Request, Candidates, Ints], Phrase]
"""Says what the rows (their indices) lack that fell to the filter, and the best that there was."""


@dataclass(frozen=True, slots=True)
class Filter:
    name: str
    ground: Ground
    passes: Test
    clause: Clause


def fitting(request: Request, candidates: Candidates) -> Mask:
    """The rows that every filter lets through."""
    mask = np.ones(candidates.columns.size, dtype=np.bool_)
    for each in FILTERS:
        passed = each.passes(request, candidates)
        if passed is not None:
            mask &= passed
    return mask


def _is_target(request: Request, candidates: Candidates) -> Mask | None:
    if not request.targets:
        return None
    mask = np.zeros(candidates.columns.size, dtype=np.bool_)
    for target in request.targets:
        for candidate_id in candidates.ids_of(target):
            mask[candidates.rows_of(candidate_id)] = True
    return mask


def _is_not_avoided(request: Request, candidates: Candidates) -> Mask | None:
    known = [candidate_id for candidate_id in request.avoid if candidate_id in candidates]
    if not known:
        return None
    mask = np.ones(candidates.columns.size, dtype=np.bool_)
    for candidate_id in known:
        mask[candidates.rows_of(candidate_id)] = False
    return mask


def _of_kind(has: Callable[[Kind, Request], bool]) -> Test:
    def passes(request: Request, candidates: Candidates) -> Mask | None:
        may = [has(kind, request) for kind in candidates.kinds]
        return None if all(may) else np.array(may)[candidates.columns.kind]

    return passes


def _has_room(resource: int) -> Test:
    def passes(request: Request, candidates: Candidates) -> Mask | None:
        mask: Mask = candidates.columns.room[resource] >= _asked(request, resource)
        return mask

    return passes


def _has_shape(request: Request, candidates: Candidates) -> Mask | None:
    """One and the same node of a cluster must have room for everything that is asked."""
    shapes = candidates.columns.shapes
    if not len(shapes):
        return None
    asked = np.array([_asked(request, resource) for resource in (CPU, MEMORY, DISK)])
    fits = (shapes >= asked[None, :, None]).all(axis=1)
    return np.asarray(fits.any(axis=0))


def _has_ports(request: Request, candidates: Candidates) -> Mask | None:
    masks = [_has_port(port, candidates) for port in request.host_ports]
    return np.logical_and.reduce(masks) if masks else None


def _has_port(port: HostPort, candidates: Candidates) -> Mask:
    counts = candidates.port_counts(port)
    return np.asarray(candidates.columns.port_limit > (0 if counts is None else counts))


def _asked(request: Request, resource: int) -> int:
    asked = request.resources
    return (asked.cpu_millis, asked.memory_mb, asked.disk_mb)[resource]


def _says(one: str, many: str) -> Clause:
    phrase = Phrase(one, many)
    return lambda _request, _candidates, _rows: phrase


def _has_have(rest: str) -> Phrase:
    return Phrase(f"has {rest}", f"have {rest}")


def _lacks_architecture(request: Request, candidates: Candidates, rows: Ints) -> Phrase:
    there = {kind.architecture or "none" for kind in _kinds(candidates, rows)}
    return _has_have(f"another architecture than {' or '.join(request.architectures)} ({_some(there)})")


def _lacks_runtime(request: Request, candidates: Candidates, rows: Ints) -> Phrase:
    there = {runtime for kind in _kinds(candidates, rows) for runtime in kind.runtimes}
    return _has_have(f"no runtime '{request.runtime}' ({'only ' + _some(there) if there else 'none at all'})")


def _lacks_room(resource: int, name: str, unit: Callable[[int], str]) -> Clause:
    def clause(request: Request, candidates: Candidates, rows: Ints) -> Phrase:
        room = candidates.columns.room[resource]
        best = rows[np.argmax(room[rows])]
        most = unit(max(0, int(room[best])))
        where = candidates.names[candidates.owner[best]]
        asked = unit(_asked(request, resource))
        return Phrase(
            f"has too little {name} ({asked} asked; {most} free)",
            f"have too little {name} ({asked} asked; the most free is {most} on {where})",
        )

    return clause


def _lacks_overlay(_request: Request, _candidates: Candidates, _rows: Ints) -> Phrase:
    return _has_have("no overlay network, which a service address or a mapped port needs")


def _lacks_shape(request: Request, _candidates: Candidates, _rows: Ints) -> Phrase:
    asked = request.resources
    return _has_have(
        f"no single node with {_cores(asked.cpu_millis)}, {_mb(asked.memory_mb)} of memory and "
        f"{_mb(asked.disk_mb)} of disk free at once"
    )


def _lacks_ports(request: Request, candidates: Candidates, rows: Ints) -> Phrase:
    taken = {f"{port[0]}/{port[1]}" for port in request.host_ports if not _has_port(port, candidates)[rows].all()}
    return _has_have(f"no free host port {_some(taken)}")


def _kinds(candidates: Candidates, rows: Ints) -> list[Kind]:
    return [candidates.kinds[code] for code in np.flatnonzero(np.bincount(candidates.columns.kind[rows]))]


def _some(words: set[str]) -> str:
    shown = sorted(words)[:MAX_OFFERS]
    return ", ".join(shown) + (" ..." if len(words) > MAX_OFFERS else "")


def _cores(cpu_millis: int) -> str:
    return "1 core" if cpu_millis == 1000 else f"{cpu_millis / 1000:g} cores"


def _mb(amount: int) -> str:
    return f"{amount} MB"


FILTERS: tuple[Filter, ...] = (
    Filter("target", Ground.TARGET, _is_target, _says("is not named", "are not named")),
    Filter(
        "ready",
        Ground.READINESS,
        lambda _request, candidates: candidates.columns.is_ready,
        _says("is not ready", "are not ready"),
    ),
    Filter(
        "cordoned",
        Ground.CORDON,
        lambda _request, candidates: candidates.columns.is_open,
        _says("is cordoned", "are cordoned"),
    ),
    Filter(
        "nodes",
        Ground.CAPACITY,
        lambda _request, candidates: candidates.columns.node_count > 0,
        _says("has no node that takes instances", "have no node that takes instances"),
    ),
    Filter("avoided", Ground.CAPACITY, _is_not_avoided, _says("has just handed it back", "have just handed it back")),
    Filter("architecture", Ground.ELIGIBILITY, _of_kind(Kind.has_architecture), _lacks_architecture),
    Filter("runtime", Ground.ELIGIBILITY, _of_kind(Kind.has_runtime), _lacks_runtime),
    Filter("overlay", Ground.ELIGIBILITY, _of_kind(Kind.has_network), _lacks_overlay),
    Filter("cpu", Ground.CAPACITY, _has_room(CPU), _lacks_room(CPU, "CPU", _cores)),
    Filter("memory", Ground.CAPACITY, _has_room(MEMORY), _lacks_room(MEMORY, "memory", _mb)),
    Filter("disk", Ground.CAPACITY, _has_room(DISK), _lacks_room(DISK, "disk", _mb)),
    Filter("shape", Ground.CAPACITY, _has_shape, _lacks_shape),
    Filter("ports", Ground.CAPACITY, _has_ports, _lacks_ports),
)
"""In the order in which a refusal counts them: a candidate counts for the filter that takes its last pool."""
