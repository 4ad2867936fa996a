"""The whole reasoning about one request, for a dry run: nothing is reserved."""

from dataclasses import dataclass

import numpy as np

from edge_common.placement.candidates import Candidates
from edge_common.placement.columns import Floats, Mask
from edge_common.placement.filters import FILTERS
from edge_common.placement.requests import Request
from edge_common.placement.scorers import Scorer, scores


@dataclass(frozen=True, slots=True)
class Verdict:
    """`passes` says yes or no for each filter, by name; of a cluster's pools it is about the one that gets furthest.

    `score` is None for a candidate that does not fit.
    """

    candidate_id: str
    candidate_name: str
    passes: tuple[tuple[str, bool], ...]
    score: float | None
    values: tuple[tuple[str, float], ...] = ()

    @property
    def fits(self) -> bool:
        return self.score is not None


@dataclass(frozen=True, slots=True)
class Explanation:
    """`chosen_id` is where the request would go, "" when it would be refused."""

    key: str
    chosen_id: str
    verdicts: tuple[Verdict, ...]


def explain(request: Request, candidates: Candidates) -> Explanation:
    size = candidates.columns.size
    masks = [each.passes(request, candidates) for each in FILTERS]
    passed = np.array([np.ones(size, dtype=np.bool_) if mask is None else mask for mask in masks])
    score, parts = scores(request, candidates)
    verdicts = tuple(_verdict(candidates, position, passed, score, parts) for position in range(len(candidates)))
    best = max((verdict for verdict in verdicts if verdict.score is not None), key=_score, default=None)
    return Explanation(request.key, best.candidate_id if best else "", verdicts)


def _verdict(
    candidates: Candidates,
    position: int,
    passed: Mask,
    score: Floats,
    parts: tuple[tuple[Scorer, Floats | None], ...],
) -> Verdict:
    candidate_id = candidates.ids[position]
    rows = candidates.rows_of(candidate_id)

    def rank(row: int) -> tuple[int, float]:
        distance = len(FILTERS) if passed[:, row].all() else int(np.argmin(passed[:, row]))
        return distance, float(score[row])

    row = max(range(rows.start, rows.stop), key=rank)
    fits = bool(passed[:, row].all())
    return Verdict(
        candidate_id=candidate_id,
        candidate_name=candidates.names[position],
        passes=tuple((each.name, bool(passed[index, row])) for index, each in enumerate(FILTERS)),
        score=float(score[row]) if fits else None,
        values=tuple((scorer.name, 0.0 if values is None else float(values[row])) for scorer, values in parts)
        if fits
        else (),
    )


def _score(verdict: Verdict) -> float:
    return 0.0 if verdict.score is None else verdict.score
