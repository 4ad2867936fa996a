"""Who is in which slot of a service: what has the spec that is wanted, what is older, and how each does."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from edge_common.model.ids import InstanceId
from edge_common.model.instance import Assignment
from edge_common.model.lifecycle import Desired, Reason, State
from edge_common.model.node import Readiness
from root_orchestrator.core.rollout import Copy, Pace, Slot, pace
from root_orchestrator.core.situation import HANDED_BACK, Situation
from root_orchestrator.core.versions import can_go_back, revisions_like, stable_spec

CRASHES = 5
"""So many starts of one instance that all ended by themselves, and it counts as one that will not do."""
_CRASHED = frozenset({Reason.BACKING_OFF, Reason.EXITED, Reason.OUT_OF_MEMORY, Reason.UNHEALTHY, Reason.START_FAILED})


@dataclass(slots=True)
class Occupancy:
    """Of one slot. `waiting` is nobody's yet and not of the wanted spec; `surplus` are those that nothing needs."""

    number: int
    old: Assignment | None = None
    new: Assignment | None = None
    waiting: Assignment | None = None
    leaving: int = 0
    surplus: list[Assignment] = field(default_factory=list)


def occupancies(situation: Situation, gone: Collection[InstanceId] = ()) -> dict[int, Occupancy]:
    """By number, of the slots that are wanted. `gone` are stopped ones of which nothing is left."""
    intent = situation.intent
    slots = {number: Occupancy(number) for number in (() if intent.is_removed else intent.slots)}
    newest = revisions_like(intent, intent.spec)
    for assignment in situation.assignments:
        slot = slots.get(assignment.instance_number)
        if slot is None:
            continue
        if assignment.desired is Desired.STOPPED:
            slot.leaving += assignment.instance_id not in gone
        elif assignment.spec_revision in newest:
            _take(slot, "new", assignment, situation)
        else:
            _take(slot, "old" if assignment.is_placed else "waiting", assignment, situation)
    for slot in slots.values():
        if slot.waiting is not None and (slot.old or slot.new):
            slot.surplus.append(slot.waiting)
            slot.waiting = None
    return slots


def slots_of(situation: Situation, occupied: Sequence[Occupancy]) -> list[Slot]:
    intent = situation.intent
    proven = revisions_like(intent, stable_spec(intent))
    settle_s = intent.update.min_healthy_s
    return [
        Slot(
            each.number,
            _copy(each.old, situation, 0.0, is_proven=each.old.spec_revision in proven) if each.old else None,
            _copy(each.new, situation, settle_s, is_proven=each.new.spec_revision in proven) if each.new else None,
            each.leaving,
        )
        for each in occupied
    ]


def pace_of(situation: Situation) -> Pace:
    intent = situation.intent
    total = 0 if intent.is_removed else len(intent.slots)
    return pace(intent.update, intent.spec, intent.rollout, total, can_go_back=can_go_back(intent))


def _take(slot: Occupancy, place: str, assignment: Assignment, situation: Situation) -> None:
    """What is well stays, else what came first."""
    held: Assignment | None = getattr(slot, place)
    if held is not None and (situation.is_well(held) or not situation.is_well(assignment)):
        slot.surplus.append(assignment)
        return
    if held is not None:
        slot.surplus.append(held)
    setattr(slot, place, assignment)


def _copy(assignment: Assignment, situation: Situation, settle_s: float, *, is_proven: bool) -> Copy:
    heard = situation.heard.get(assignment.instance_id)
    state = situation.state(assignment)
    is_turned_away = not assignment.is_placed and assignment.reason in HANDED_BACK
    available_at_s = None
    health = situation.clusters.get(assignment.child_id)
    is_near = health is not None and health.readiness is Readiness.READY
    if heard is not None and is_near and situation.is_well(assignment):
        available_at_s = heard.heard_at_s + (settle_s if state is State.RUNNING else 0.0)
    return Copy(
        available_at_s,
        has_ended=state in (State.FAILED, State.COMPLETED),
        failure=_failure(assignment, situation),
        is_refused=is_turned_away or situation.is_refused(assignment),
        is_proven=is_proven,
    )


def _failure(assignment: Assignment, situation: Situation) -> str:
    heard = situation.heard.get(assignment.instance_id)
    if heard is None or situation.is_well(assignment):
        return ""
    seen = heard.observation
    name = f"Instance {assignment.instance_number}"
    if seen.state is State.FAILED:
        return f"{name} failed: {_detail(seen.detail, seen.reason)}."
    if seen.attempt >= CRASHES and seen.reason in _CRASHED:
        return f"{name} does not stay up after {seen.attempt} starts: {_detail(seen.detail, seen.reason)}."
    return ""


def _detail(detail: str, reason: Reason) -> str:
    return (detail or str(reason) or "no reason is known").rstrip(".")
