"""Turns what the placement engine answered into assignments."""

from dataclasses import replace

from edge_common.model.ids import ChildId
from edge_common.model.instance import Assignment
from edge_common.model.lifecycle import Desired, Reason
from edge_common.model.service import ServiceSpec
from edge_common.placement.place import Placement
from edge_common.placement.refusals import Refusal
from edge_common.placement.requests import Request, request_for
from root_orchestrator.core.reconcile import FindCluster


def request_of(search: FindCluster, spec: ServiceSpec) -> Request:
    return request_for(spec, search.assignment.instance_id, targets=spec.constraints.clusters, avoid=search.avoid)


def decide(search: FindCluster, answer: Placement | Refusal, now_s: float) -> tuple[Assignment, ...]:
    """The assignments to keep, in their new form; what is not among them stays as it is."""
    if isinstance(answer, Placement):
        placed = replace(
            search.assignment, child_id=ChildId(answer.candidate_id), reason=Reason.NONE, detail="", since_s=now_s
        )
        if search.replaces is None:
            return (placed,)
        return (replace(search.replaces, desired=Desired.STOPPED, since_s=now_s), placed)
    if search.replaces is None:
        return _noted(search.assignment, answer.reason, answer.detail, now_s)
    if not search.is_lost:
        return ()
    detail = f"Its cluster is not heard of, and no other can take it over: {answer.detail}"
    return _noted(search.replaces, Reason.CLUSTER_LOST, detail, now_s)


def recovered(assignment: Assignment, now_s: float) -> Assignment:
    """Its cluster is back: what was noted about the loss is over."""
    return replace(assignment, reason=Reason.NONE, detail="", since_s=now_s)


def _noted(assignment: Assignment, reason: Reason, detail: str, now_s: float) -> tuple[Assignment, ...]:
    if (assignment.reason, assignment.detail) == (reason, detail) and assignment.since_s:
        return ()
    keeps_since = assignment.since_s > 0 and assignment.reason is reason
    return (replace(assignment, reason=reason, detail=detail, since_s=assignment.since_s if keeps_since else now_s),)
