"""Requests and a table of candidates in, placements and refusals out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_common.model.service import Spreading
from edge_common.placement.candidates import Candidates
from edge_common.placement.filters import fitting
from edge_common.placement.refusals import Refusal, refuse
from edge_common.placement.requests import Request
from edge_common.placement.scorers import scores


@dataclass(frozen=True, slots=True)
class Placement:
    """`fitting_count` is how many candidates would have done; `values` are what the scorers saw of the chosen one."""

    key: str
    candidate_id: str
    candidate_name: str
    score: float
    noun: str
    spreading: Spreading
    fitting_count: int
    values: tuple[tuple[str, float], ...]

    @property
    def explanation(self) -> str:
        values = ", ".join(f"{name} {value:.4g}" for name, value in self.values)
        which = "the only one that fits" if self.fitting_count == 1 else f"the best of {self.fitting_count} that fit"
        return f"The {self.noun} {self.candidate_name} is {which} ({self.spreading}: {values})."


def place(requests: Sequence[Request], candidates: Candidates) -> list[Placement | Refusal]:
    """One answer a request, in their order. Each placement is reserved in the table before the next request is looked
    at; a caller that does not act on one gives it back with `release`."""
    return [_place_one(request, candidates) for request in requests]


def _place_one(request: Request, candidates: Candidates) -> Placement | Refusal:
    mask = fitting(request, candidates)
    fitting_count = int(np.count_nonzero(candidates.any_pool(mask)))
    if not fitting_count:
        return refuse(request, candidates)
    score, parts = scores(request, candidates)
    row = int(np.argmax(np.where(mask, score, -np.inf)))
    position = candidates.owner[row]
    placement = Placement(
        key=request.key,
        candidate_id=candidates.ids[position],
        candidate_name=candidates.names[position],
        score=float(score[row]),
        noun=candidates.noun,
        spreading=request.spreading,
        fitting_count=fitting_count,
        values=tuple((scorer.name, 0.0 if values is None else float(values[row])) for scorer, values in parts),
    )
    candidates.take(row, request)
    return placement
