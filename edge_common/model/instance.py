"""One placement of one replica: what a parent assigned, and what its child observed."""

from dataclasses import dataclass, replace

from edge_common.model.ids import NO_CHILD, ChildId, InstanceId, NodeId, ServiceId
from edge_common.model.lifecycle import RANK, TERMINAL, Desired, Health, Reason, State


@dataclass(frozen=True, slots=True)
class Assignment:
    """A tier's decision about one slot. Written by that tier's scheduler alone.

    `origin_id` is the instance_id under which the tier above knows the slot's placement here (at the root the same
    as `instance_id`); `succession` counts the successors that this tier has put in the slot since. `child_id` is
    NO_CHILD while none is chosen; then `reason` and `detail` say why. `since_s` is when child, desired or reason
    last changed.
    `spec_revision` is the revision of the service's spec that this instance runs; it never changes. `refused_by` are
    the children that had this slot before and could not place it.
    """

    instance_id: InstanceId
    service_id: ServiceId
    instance_number: int
    origin_id: InstanceId
    spec_revision: int
    succession: int = 0
    child_id: ChildId = NO_CHILD
    desired: Desired = Desired.RUNNING
    reason: Reason = Reason.NONE
    detail: str = ""
    since_s: float = 0.0
    refused_by: tuple[ChildId, ...] = ()

    @property
    def is_placed(self) -> bool:
        return self.child_id != NO_CHILD


@dataclass(frozen=True, slots=True)
class Observation:
    """What a child says of an instance that its parent assigned. `instance_id` is the parent's.

    `succession` and `attempt` only grow; `changed_at_s` is the node's wall clock (seconds since the epoch) at the
    last change of state, for people; nothing decides by it. `exit_code` is that of the last ended attempt.
    `address` is the node's; `namespace_ip` and `namespace_ip_v6` are its own, "" for one with the node's network.
    """

    instance_id: InstanceId
    service_id: ServiceId
    instance_number: int
    state: State
    succession: int = 0
    attempt: int = 0
    reason: Reason = Reason.NONE
    detail: str = ""
    health: Health = Health.UNKNOWN
    exit_code: int | None = None
    node_id: NodeId = NodeId("")
    node_name: str = ""
    address: str = ""
    namespace_ip: str = ""
    namespace_ip_v6: str = ""
    changed_at_s: float = 0.0

    @property
    def order(self) -> tuple[int, int, int]:
        return (self.succession, self.attempt, RANK[self.state])

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL


@dataclass(frozen=True, slots=True)
class HeardObservation:
    """`heard_at_s` is the parent's own wall clock when it heard this."""

    observation: Observation
    heard_at_s: float


def fold(known: Observation | None, heard: Observation) -> Observation:
    """The greater of two observations of one instance, so late and repeated reports are harmless.

    Equal order means the same state said again, maybe with a newer detail or health: the one heard now is kept.
    """
    if known is None or heard.order >= known.order:
        return heard
    return known


def as_origin(observation: Observation, assignment: Assignment) -> Observation:
    """The observation of a tier's own instance, put in the words of the tier above."""
    return replace(observation, instance_id=assignment.origin_id, succession=assignment.succession)


def undeployed(assignment: Assignment, observation: Observation | None, now_s: float) -> Observation:
    """What a parent notes of an instance that its child surely does not have any more."""
    if observation is not None:
        return replace(observation, state=State.UNDEPLOYED, changed_at_s=now_s)
    return Observation(
        assignment.instance_id,
        assignment.service_id,
        assignment.instance_number,
        State.UNDEPLOYED,
        assignment.succession,
        changed_at_s=now_s,
    )
