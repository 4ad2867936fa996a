"""Turns what the placement engine answered into assignments."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cluster_orchestrator.core.reconcile import FindNode
from edge_common.model.ids import ChildId, InstanceId
from edge_common.model.instance import Assignment
from edge_common.model.lifecycle import Desired, Reason
from edge_common.model.service import ServiceSpec
from edge_common.placement.place import Placement
from edge_common.placement.refusals import Refusal
from edge_common.placement.requests import Request, request_for


@dataclass(frozen=True, slots=True)
class Decision:
    """Assignments to keep, in their new form; what is not in it stays as it is."""

    puts: tuple[Assignment, ...] = ()


def request_of(search: FindNode, spec: ServiceSpec) -> Request:
    avoid = (search.replaces.child_id,) if search.replaces else ()
    return request_for(spec, search.assignment.instance_id, targets=spec.constraints.nodes, avoid=avoid)


def decide(search: FindNode, answer: Placement | Refusal, now_s: float) -> Decision:
    if isinstance(answer, Placement):
        placed = replace(
            search.assignment,
            child_id=ChildId(answer.candidate_id),
            reason=Reason.NONE,
            detail="",
            since_s=now_s,
        )
        return Decision((*_stopped(search.replaces, now_s), placed))
    if search.replaces is None:
        return Decision(_noted(search.assignment, answer.reason, answer.detail, now_s))
    detail = f"Its node is not heard of, and no other can take it over: {answer.detail}"
    return Decision(_noted(search.replaces, Reason.NODE_LOST, detail, now_s))


def recovered(assignment: Assignment, now_s: float) -> Assignment:
    """Its node is back: what was noted about the loss is over."""
    return replace(assignment, reason=Reason.NONE, detail="", since_s=now_s)


def origins(assignments: Sequence[Assignment]) -> frozenset[InstanceId]:
    return frozenset(assignment.origin_id for assignment in assignments)


def _stopped(assignment: Assignment | None, now_s: float) -> tuple[Assignment, ...]:
    return () if assignment is None else (replace(assignment, desired=Desired.STOPPED, since_s=now_s),)


def _noted(assignment: Assignment, reason: Reason, detail: str, now_s: float) -> tuple[Assignment, ...]:
    if (assignment.reason, assignment.detail) == (reason, detail) and assignment.since_s:
        return ()
    since_s = assignment.since_s if assignment.reason is reason and assignment.since_s else now_s
    return (replace(assignment, reason=reason, detail=detail, since_s=since_s),)
