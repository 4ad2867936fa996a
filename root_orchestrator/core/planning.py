"""What an apply would do, before it is done: which fields change, and where new instances would go at this moment."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from edge_common.model.lifecycle import Tier
from edge_common.model.node import Readiness
from edge_common.placement.candidates import Candidates
from edge_common.placement.explain import Verdict, explain
from edge_common.placement.place import Placement, place
from edge_common.placement.refusals import Refusal
from edge_common.placement.requests import request_for
from edge_common.placement.rows import cluster_candidate
from root_orchestrator.core.changes import ServiceResult
from root_orchestrator.core.records import ClusterRecord
from root_orchestrator.core.rollout import is_stop_first
from root_orchestrator.core.versions import differences

View = dict[str, Any]

MAX_TRIED = 100
"""New instances of one service that are tried; of more than that the rest is not told."""


def service_plan(result: ServiceResult, clusters: Sequence[ClusterRecord]) -> View:
    """Beside what the result says. Nothing is reserved, and what one service would take another one does not see."""
    before, after = result.before, result.after
    changed = differences(before.spec, after.spec) if before and after else {}
    changes = [
        {"field": name, "before": old, "after": new}
        for name, (old, new) in changed.items()
        if name not in ("service_id", "application_id")
    ]
    return {"changes": changes, "placement": _placement(result, clusters)}


def _placement(result: ServiceResult, clusters: Sequence[ClusterRecord]) -> View | None:
    """None when nothing new would have to be placed, or an old instance makes room for it first."""
    before, after = result.before, result.after
    if after is None:
        return None
    is_beside = before is not None and before.spec != after.spec and not is_stop_first(after.update, after.spec)
    count = len(result.added) or (1 if is_beside and after.slots else 0)
    if not count:
        return None
    table = _table(clusters)
    targets = after.spec.constraints.clusters
    requests = [request_for(after.spec, str(number), targets=targets) for number in range(min(count, MAX_TRIED))]
    verdicts = explain(requests[0], table).verdicts
    answers = place(requests, table)
    placed = Counter(answer.candidate_name for answer in answers if isinstance(answer, Placement))
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    return {
        "tried": len(requests),
        "placed": [{"cluster_name": name, "instances": number} for name, number in sorted(placed.items())],
        "refused": len(refused),
        "reason": refused[0].reason if refused else "",
        "detail": refused[0].detail if refused else "",
        "clusters": [_verdict(verdict) for verdict in verdicts],
    }


def _table(clusters: Iterable[ClusterRecord]) -> Candidates:
    rows = [cluster_candidate(each.info, each.summary, is_ready=each.readiness is Readiness.READY) for each in clusters]
    return Candidates.build(rows, Tier.CLUSTER)


def _verdict(verdict: Verdict) -> View:
    return {
        "cluster_name": verdict.candidate_name,
        "fits": verdict.fits,
        "score": verdict.score,
        "refused_by": [name for name, passes in verdict.passes if not passes],
    }
