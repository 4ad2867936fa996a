"""Which of the candidates that fit is best. The score is the sum of weight times value; the highest wins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from edge_common.model.service import Spreading
from edge_common.placement.candidates import Candidates
from edge_common.placement.columns import CPU, MEMORY, Floats
from edge_common.placement.requests import Request


@dataclass(frozen=True, slots=True)
class Scorer:
    """`values` None is zero everywhere."""

    name: str
    weight: float
    values: Callable[[Request, Candidates], Floats | None]


def same_service(request: Request, candidates: Candidates) -> Floats | None:
    """How many instances of the same service the candidate has."""
    counts = candidates.group_counts(request.group) if request.group else None
    return None if counts is None else counts.astype(np.float64)


def left_free(request: Request, candidates: Candidates) -> Floats:
    """The part of CPU and memory that would be left free, 0 to 1, the mean of the two."""
    columns, asked = candidates.columns, request.resources
    cpu = (columns.free[CPU] - asked.cpu_millis) / columns.scale[CPU]
    memory = (columns.free[MEMORY] - asked.memory_mb) / columns.scale[MEMORY]
    return np.asarray((cpu + memory) / 2.0)


SCORERS: Mapping[Spreading, tuple[Scorer, ...]] = MappingProxyType(
    {
        Spreading.SPREAD: (Scorer("same_service", -2.0, same_service), Scorer("left_free", 1.0, left_free)),
        Spreading.BINPACK: (Scorer("left_free", -1.0, left_free),),
    }
)
"""One more instance of the same service outweighs every difference in what is left free, as 2 is more than 1."""


def scores(request: Request, candidates: Candidates) -> tuple[Floats, tuple[tuple[Scorer, Floats | None], ...]]:
    """The score of each row, and the values it is made of. Rows that do not fit have a score too, without meaning."""
    total: Floats | None = None
    parts: list[tuple[Scorer, Floats | None]] = []
    for scorer in SCORERS[request.spreading]:
        values = scorer.values(request, candidates)
        parts.append((scorer, values))
        if values is not None:
            weighted = scorer.weight * values
            total = weighted if total is None else total + weighted
    return np.zeros(candidates.columns.size) if total is None else total, tuple(parts)
