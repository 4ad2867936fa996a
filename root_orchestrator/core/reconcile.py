"""What to do about one service: which slots need a cluster, which instances have to go. Level-triggered.

A slot moves to another cluster when its cluster is past its lease or could not place it within its grace, and then only
when another cluster takes it. Where every cluster has refused it, it stays for a while before all are asked again.
How a changed spec replaces instances is core/rollout.py's to say.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from edge_common.model.ids import NO_CHILD, ChildId, InstanceId
from edge_common.model.instance import Assignment
from edge_common.model.lifecycle import Desired, State
from root_orchestrator.core.records import ServiceIntent
from root_orchestrator.core.rollout import Verdict, due_s, judge, plan
from root_orchestrator.core.situation import ROUND_S, Situation
from root_orchestrator.core.slots import Occupancy, occupancies, pace_of, slots_of
from root_orchestrator.core.updates import Phase
from root_orchestrator.core.versions import spec_of


@dataclass(frozen=True, slots=True)
class FindCluster:
    """Choose a cluster for `assignment`, which has none. `replaces` is what it takes over from when that succeeds."""

    assignment: Assignment
    replaces: Assignment | None = None
    is_lost: bool = False

    @property
    def avoid(self) -> tuple[ChildId, ...]:
        return tuple(dict.fromkeys((*self.assignment.refused_by, self.replaces.child_id))) if self.replaces else ()


@dataclass(frozen=True, slots=True)
class Stop:
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class Forget:
    assignment: Assignment


Command = FindCluster | Stop | Forget


def reconcile(situation: Situation, new_id: Callable[[], InstanceId]) -> list[Command]:
    commands: list[Command] = []
    gone: set[InstanceId] = set()
    for assignment in situation.assignments:
        is_stopped = assignment.desired is Desired.STOPPED
        if is_stopped and _finish(assignment, situation):
            gone.add(assignment.instance_id)
            commands.append(Forget(assignment))
        elif not is_stopped and not _is_wanted(assignment, situation.intent):
            commands += [Stop(assignment), *_finish(assignment, situation)]
    slots = occupancies(situation, gone)
    moving: set[int] = set()
    for slot in slots.values():
        kept = _keep_slot(slot, situation, new_id)
        commands += kept
        if any(not isinstance(command, FindCluster) or command.replaces for command in kept):
            moving.add(slot.number)
    return commands + _roll(slots, situation, moving, new_id)


def judged(situation: Situation) -> Verdict:
    """How the newest spec fares; to be asked before `reconcile`, which goes by it."""
    intent = situation.intent
    if situation.is_braked or not _is_rolling(intent):
        return Verdict(intent.rollout)
    slots = slots_of(situation, list(occupancies(situation).values()))
    return judge(slots, pace_of(situation), intent.update, intent.rollout, intent.spec_revision, situation.now_s)


def rollout_due_s(situation: Situation) -> float | None:
    """When the rollout goes on by the clock alone, on the root's wall clock."""
    intent = situation.intent
    if not _is_rolling(intent):
        return None
    slots = slots_of(situation, list(occupancies(situation).values()))
    return due_s(slots, intent.update, intent.rollout, situation.now_s)


def grace_ends_s(situation: Situation) -> float | None:
    """When a refused slot may move on, on the root's wall clock; None when none waits for the clock."""
    waiting = [
        assignment
        for assignment in situation.assignments
        if assignment.desired is Desired.RUNNING and situation.is_refused(assignment)
    ]
    ends = [each.since_s + wait_s for each in waiting for wait_s in (situation.grace_s(each), ROUND_S)]
    return min((end_s for end_s in ends if end_s > situation.now_s), default=None)


def is_gone(situation: Situation) -> bool:
    """Whether a removed service has nothing left, so that it can be forgotten."""
    return situation.intent.is_removed and not situation.assignments


def _is_rolling(intent: ServiceIntent) -> bool:
    is_settled = intent.rollout.phase is Phase.DONE and intent.rollout.stable_revision == intent.spec_revision
    return not intent.is_removed and not is_settled


def _is_wanted(assignment: Assignment, intent: ServiceIntent) -> bool:
    return not intent.is_removed and assignment.instance_number in intent.slots


def _keep_slot(slot: Occupancy, situation: Situation, new_id: Callable[[], InstanceId]) -> list[Command]:
    commands: list[Command] = []
    for assignment in slot.surplus:
        commands += [Stop(assignment), *_finish(assignment, situation)]
    if slot.old is not None:
        is_followed = slot.new is not None and slot.new.is_placed and not situation.is_lost(slot.new)
        if is_followed and situation.is_lost(slot.old) and not situation.is_braked:
            return [*commands, Stop(slot.old), *_finish(slot.old, situation)]
        commands += _keep(slot.old, situation, new_id)
    if slot.new is not None:
        if slot.old is not None and slot.new.is_placed and situation.is_lost(slot.new) and not situation.is_braked:
            return [*commands, Stop(slot.new), *_finish(slot.new, situation)]
        commands += _keep(slot.new, situation, new_id)
    return commands


def _keep(assignment: Assignment, situation: Situation, new_id: Callable[[], InstanceId]) -> list[Command]:
    if not assignment.is_placed:
        return [FindCluster(replace(assignment, spec_revision=situation.intent.spec_revision))]
    if situation.state(assignment) in (State.UNDEPLOYED, State.DEAD):
        return [Stop(assignment)]
    heard = situation.heard.get(assignment.instance_id)
    if heard is not None and heard.observation.is_terminal:
        return []
    if situation.is_lost(assignment):
        is_kept = situation.is_braked or situation.is_on_its_only_node(assignment)
        return [] if is_kept else [FindCluster(_successor(assignment, situation, new_id), assignment, is_lost=True)]
    if situation.is_handed_back(assignment):
        successor = _successor(assignment, situation, new_id)
        return [FindCluster(replace(successor, refused_by=_refused_by(assignment, situation)), replaces=assignment)]
    return []


def _refused_by(assignment: Assignment, situation: Situation) -> tuple[ChildId, ...]:
    """Those that are not asked again in this round; a new round begins with none but the one that has it."""
    is_new_round = situation.now_s >= assignment.since_s + ROUND_S
    return (assignment.child_id,) if is_new_round else (*assignment.refused_by, assignment.child_id)


def _first(number: int, revision: int, intent: ServiceIntent, new_id: Callable[[], InstanceId]) -> Assignment:
    instance_id = new_id()
    return Assignment(instance_id, intent.service_id, number, instance_id, revision)


def _successor(assignment: Assignment, situation: Situation, new_id: Callable[[], InstanceId]) -> Assignment:
    """A move is no update: it runs what the one before it ran, as long as that is known."""
    intent = situation.intent
    is_known = spec_of(intent, assignment.spec_revision) is not None
    revision = assignment.spec_revision if is_known else intent.spec_revision
    return _first(assignment.instance_number, revision, intent, new_id)


def _finish(assignment: Assignment, situation: Situation) -> list[Command]:
    heard = situation.heard.get(assignment.instance_id)
    has_ended = heard is not None and heard.observation.is_terminal
    if not assignment.is_placed or has_ended or situation.is_lost(assignment):
        return [Forget(assignment)]
    return []


def _roll(
    slots: dict[int, Occupancy], situation: Situation, moving: set[int], new_id: Callable[[], InstanceId]
) -> list[Command]:
    """What is `moving` anyway is left alone in this round."""
    intent = situation.intent
    steps = plan(slots_of(situation, list(slots.values())), pace_of(situation), intent.rollout, situation.now_s)
    commands: list[Command] = []
    for number in steps.stop_old:
        old = slots[number].old
        if old is not None and number not in moving:
            commands += [Stop(old)]
    starts = [(number, intent.spec_revision) for number in steps.start_new]
    starts += [(number, intent.rollout.stable_revision) for number in steps.start_old]
    for number, revision in starts:
        waiting = slots[number].waiting
        if waiting is not None:
            commands.append(FindCluster(replace(waiting, spec_revision=revision, child_id=NO_CHILD)))
        elif number not in moving:
            commands.append(FindCluster(_first(number, revision, intent, new_id)))
    return commands
