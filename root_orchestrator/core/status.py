"""The one word that a user sees for an instance or a service, in Oakestra's names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge_common.model.instance import Assignment, HeardObservation
from edge_common.model.lifecycle import Desired, Reason, State

_AT_ROOT: Mapping[Reason, str] = {
    Reason.NO_CANDIDATE: "NoActiveClusterWithCapacity",
    Reason.NO_CAPACITY: "NoActiveClusterWithCapacity",
    Reason.NOT_ELIGIBLE: "NoActiveClusterWithCapacity",
    Reason.TARGET_NOT_FOUND: "TargetClusterNotFound",
    Reason.TARGET_NOT_READY: "TargetClusterNotActive",
    Reason.TARGET_NO_CAPACITY: "TargetClusterNoCapacity",
}
_AT_CLUSTER: Mapping[Reason, str] = {
    Reason.NO_CANDIDATE: "NO_NODE_FOUND",
    Reason.NO_CAPACITY: "NO_WORKER_CAPACITY",
    Reason.NOT_ELIGIBLE: "NO_QUALIFIED_WORKER_FOUND",
    Reason.TARGET_NOT_FOUND: "NO_QUALIFIED_WORKER_FOUND",
    Reason.TARGET_NOT_READY: "NO_QUALIFIED_WORKER_FOUND",
    Reason.TARGET_NO_CAPACITY: "NO_WORKER_CAPACITY",
}
REFUSALS = frozenset({*_AT_ROOT.values(), *_AT_CLUSTER.values()})

_MOST_TELLING = (
    State.FAILED, State.DEAD, *sorted(REFUSALS), State.REQUESTED, State.CLUSTER_SCHEDULED, State.NODE_SCHEDULED,
    State.CREATING, State.RUNNING, State.COMPLETED, State.UNDEPLOYED,
)  # fmt: skip
_TELLING = {str(name): rank for rank, name in enumerate(_MOST_TELLING)}


@dataclass(frozen=True, slots=True)
class Status:
    """`age_s` is how long this root has known it."""

    name: str
    detail: str = ""
    reason: Reason = Reason.NONE
    age_s: float = 0.0


NO_STATUS = Status("")


def instance_status(assignment: Assignment | None, heard: HeardObservation | None, now_s: float) -> Status:
    """What was heard of this very placement, else what the root decided, else that it is wanted."""
    if assignment is None:
        return Status(State.REQUESTED, "It waits for the scheduler.")
    decided_age_s = max(0.0, now_s - assignment.since_s)
    if heard is not None and heard.observation.instance_id == assignment.instance_id:
        return _heard_status(heard, now_s)
    if assignment.is_placed:
        detail = assignment.detail or "Its cluster has it and has not spoken of it yet."
        return Status(State.CLUSTER_SCHEDULED, detail, assignment.reason, decided_age_s)
    if assignment.desired is Desired.STOPPED:
        return Status(State.UNDEPLOYED, assignment.detail, assignment.reason, decided_age_s)
    name = _AT_ROOT.get(assignment.reason, State.REQUESTED)
    return Status(name, assignment.detail, assignment.reason, decided_age_s)


def most_telling(statuses: Iterable[Status]) -> Status:
    """The worst first, then whatever is least far; NO_STATUS when there are none."""
    return min(statuses, key=lambda status: _TELLING[status.name], default=NO_STATUS)


def _heard_status(heard: HeardObservation, now_s: float) -> Status:
    seen = heard.observation
    name: str = seen.state
    if seen.state is State.CLUSTER_SCHEDULED:
        name = _AT_CLUSTER.get(seen.reason, seen.state)
    return Status(name, seen.detail, seen.reason, max(0.0, now_s - heard.heard_at_s))
