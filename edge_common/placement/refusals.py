"""Why a request has no candidate: which filter took how many, and what would have fitted, in plain words."""

from dataclasses import dataclass

import numpy as np

from edge_common.model.lifecycle import Reason
from edge_common.placement.candidates import Candidates
from edge_common.placement.columns import Ints
from edge_common.placement.filters import FILTERS, Filter, Ground
from edge_common.placement.requests import Request


@dataclass(frozen=True, slots=True)
class Refusal:
    """`refused_by` names filters; its counts add up to the number of candidates."""

    key: str
    reason: Reason
    detail: str
    refused_by: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class _Fall:
    filter: Filter
    count: int
    rows: Ints


def refuse(request: Request, candidates: Candidates) -> Refusal:
    """To be called when no candidate passes every filter."""
    falls = _falls(request, candidates)
    return Refusal(
        key=request.key,
        reason=_reason(request, falls),
        detail=_detail(request, candidates, falls),
        refused_by=tuple((fall.filter.name, fall.count) for fall in falls),
    )


def _falls(request: Request, candidates: Candidates) -> list[_Fall]:
    falls = []
    alive = np.ones(candidates.columns.size, dtype=np.bool_)
    for each in FILTERS:
        passed = each.passes(request, candidates)
        if passed is None:
            continue
        left = alive & passed
        fell = candidates.any_pool(alive) & ~candidates.any_pool(left)
        if fell.any():
            falls.append(_Fall(each, int(fell.sum()), np.flatnonzero(alive & candidates.all_pools(fell))))
        alive = left
    return falls


def _reason(request: Request, falls: list[_Fall]) -> Reason:
    """How far the best candidates came: the later the ground, the nearer they were to taking it."""
    grounds = {fall.filter.ground for fall in falls}
    has_targets = bool(request.targets)
    if Ground.CAPACITY in grounds:
        return Reason.TARGET_NO_CAPACITY if has_targets else Reason.NO_CAPACITY
    if Ground.ELIGIBILITY in grounds:
        return Reason.NOT_ELIGIBLE
    if has_targets:
        is_found = Ground.READINESS in grounds or Ground.CORDON in grounds
        return Reason.TARGET_NOT_READY if is_found else Reason.TARGET_NOT_FOUND
    return Reason.NOT_ELIGIBLE if Ground.CORDON in grounds else Reason.NO_CANDIDATE


def _detail(request: Request, candidates: Candidates, falls: list[_Fall]) -> str:
    noun = candidates.noun
    unknown = [target for target in request.targets if not candidates.ids_of(target)]
    told = [fall for fall in falls if fall.filter.ground is not Ground.TARGET]
    if not told:
        if request.targets:
            return f"No {noun} has the name or id {_quoted(unknown)}."
        return f"There is no {noun} yet; join one first."
    sentences = [_sentence(request, candidates, told)]
    if unknown:
        sentences.append(f"No {noun} has the name or id {_quoted(unknown)}.")
    return " ".join(sentences)


def _sentence(request: Request, candidates: Candidates, told: list[_Fall]) -> str:
    noun, count = candidates.noun, sum(fall.count for fall in told)
    phrases = [(fall.count, fall.filter.clause(request, candidates, fall.rows)) for fall in told]
    if count == 1:
        name = candidates.names[candidates.owner[told[0].rows[0]]]
        subject = f"The {noun} {name}" if request.targets else f"The only {noun}, {name},"
        return f"{subject} {phrases[0][1].one}."
    named = "named " if request.targets else ""
    if len(phrases) == 1:
        return f"None of {count} {named}{noun}s fits: all {phrases[0][1].many}."
    phrases.sort(key=lambda phrase: -phrase[0])
    clauses = [f"{number} {phrase.one if number == 1 else phrase.many}" for number, phrase in phrases]
    return f"None of {count} {named}{noun}s fits: {', '.join(clauses)}."


def _quoted(words: list[str]) -> str:
    return " or ".join(f"'{word}'" for word in words)
