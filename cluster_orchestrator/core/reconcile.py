"""What to do about one service: level-triggered, from what the root wants, what was assigned, and what was seen of it.

A node that is past its lease loses an instance only when a successor found another node: until then the assignment
stays, so a node that comes back goes on with what it runs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cluster_orchestrator.core.records import Slot, WantedService
from edge_common.model.ids import ChildId, InstanceId
from edge_common.model.instance import Assignment, Observation
from edge_common.model.lifecycle import Desired, State
from edge_common.model.node import ChildHealth, Readiness


@dataclass(frozen=True, slots=True)
class FindNode:
    """Choose a node for `assignment`, which has none. `replaces` is the one whose place it takes when that succeeds."""

    assignment: Assignment
    replaces: Assignment | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave it out of its node's desired set from now on."""

    assignment: Assignment


@dataclass(frozen=True, slots=True)
class Forget:
    """Nothing of it is left anywhere, or its node is lost and will be told when it is back. `state` is its last."""

    assignment: Assignment
    state: State


Command = FindNode | Stop | Forget


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a decision about one service may depend on."""

    wanted: WantedService | None
    assignments: Sequence[Assignment]
    observations: Mapping[InstanceId, Observation]
    nodes: Mapping[ChildId, ChildHealth]
    lease_s: float
    is_braked: bool = False

    def observed(self, assignment: Assignment) -> Observation | None:
        return self.observations.get(assignment.instance_id)

    def is_lost(self, assignment: Assignment) -> bool:
        """Past its lease: the service's own when it has one. A node that nobody knows any more is lost at once."""
        health = self.nodes.get(assignment.child_id)
        if health is None:
            return True
        lease_s = self.wanted.spec.lease_s if self.wanted else None
        if lease_s is None:
            return health.readiness is Readiness.LOST
        return health.readiness is not Readiness.READY and health.unheard_s >= lease_s


def reconcile(situation: Situation, new_id: Callable[[], InstanceId]) -> list[Command]:
    """The same situation, once the commands are carried out, gives no more commands (but for what still waits)."""
    slots = {slot.origin_id: slot for slot in situation.wanted.slots} if situation.wanted else {}
    current = _current(situation.assignments)
    latest = _latest_successions(situation.assignments)
    commands: list[Command] = []
    for assignment in situation.assignments:
        if assignment.desired is Desired.STOPPED:
            commands += _finish(assignment, situation)
        elif assignment.origin_id not in slots or current[assignment.origin_id] is not assignment:
            commands.append(Stop(assignment))
            commands += _finish(assignment, situation)
    for slot in slots.values():
        if slot.origin_id in current:
            commands += _keep(current[slot.origin_id], slot, situation, new_id)
        else:
            commands.append(FindNode(_first(slot, latest.get(slot.origin_id), situation, new_id)))
    return commands


def holds_resources(assignment: Assignment, observation: Observation | None) -> bool:
    """Whether its node has to keep room for it: from the assignment until it ended."""
    return assignment.is_placed and not (observation is not None and observation.is_terminal)


def _current(assignments: Sequence[Assignment]) -> dict[InstanceId, Assignment]:
    """For each slot the latest successor that is still wanted."""
    current: dict[InstanceId, Assignment] = {}
    for assignment in assignments:
        known = current.get(assignment.origin_id)
        if assignment.desired is Desired.RUNNING and (known is None or assignment.succession > known.succession):
            current[assignment.origin_id] = assignment
    return current


def _latest_successions(assignments: Sequence[Assignment]) -> dict[InstanceId, int]:
    latest: dict[InstanceId, int] = {}
    for assignment in assignments:
        latest[assignment.origin_id] = max(assignment.succession, latest.get(assignment.origin_id, 0))
    return latest


def _keep(assignment: Assignment, slot: Slot, situation: Situation, new_id: Callable[[], InstanceId]) -> list[Command]:
    if not assignment.is_placed:
        return [FindNode(assignment)]
    observation = situation.observed(assignment)
    if observation is not None and observation.state in (State.UNDEPLOYED, State.DEAD):
        return [Stop(assignment), FindNode(_successor(assignment, slot, situation, new_id))]
    has_ended = observation is not None and observation.is_terminal
    if not has_ended and situation.is_lost(assignment) and not situation.is_braked:
        return [FindNode(_successor(assignment, slot, situation, new_id), replaces=assignment)]
    return []


def _first(slot: Slot, latest: int | None, situation: Situation, new_id: Callable[[], InstanceId]) -> Assignment:
    """The first placement keeps the root's id, unless an earlier one of the same slot is still on its way out."""
    if situation.wanted is None:
        raise ValueError("only a wanted service has slots")
    return Assignment(
        instance_id=slot.origin_id if latest is None else new_id(),
        service_id=situation.wanted.service_id,
        instance_number=slot.instance_number,
        origin_id=slot.origin_id,
        spec_revision=situation.wanted.revision_of(slot),
        succession=0 if latest is None else latest + 1,
    )


def _successor(
    assignment: Assignment, slot: Slot, situation: Situation, new_id: Callable[[], InstanceId]
) -> Assignment:
    """It runs the spec that is wanted for the slot now, whatever its predecessor ran."""
    return replace(
        assignment,
        instance_id=new_id(),
        spec_revision=situation.wanted.revision_of(slot) if situation.wanted else assignment.spec_revision,
        succession=assignment.succession + 1,
        child_id=ChildId(""),
        detail="",
    )


def _finish(assignment: Assignment, situation: Situation) -> list[Command]:
    """A stopped assignment goes when nothing can be left of it."""
    if not assignment.is_placed:
        return [Forget(assignment, State.UNDEPLOYED)]
    observation = situation.observed(assignment)
    if observation is not None and observation.is_terminal:
        return [Forget(assignment, observation.state)]
    if situation.is_lost(assignment):
        return [Forget(assignment, State.DEAD)]
    return []
