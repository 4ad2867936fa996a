"""What the next steps of a rollout are, and how it fares: slots in, slots to touch out.

A slot has at most one old and one new instance: the old one owns the slot until the new one is available. New
instances that are not available count as the new version's damage, which is bounded by what the policy allows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_common.model.service import ServiceSpec
from root_orchestrator.core.updates import OnFailure, Order, Phase, Rollout, Strategy, UpdatePolicy

PROGRESS_GRAIN_S = 5.0
"""Progress is noted at most so often, as each note is a write."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One instance in a slot. `available_at_s` None: it is not well; else since or from when it counts as available.

    `failure` says why it will not become well. `is_refused`: no cluster or no node has room for it. `is_proven`: of a
    version that was well as a whole.
    """

    available_at_s: float | None
    has_ended: bool = False
    failure: str = ""
    is_refused: bool = False
    is_proven: bool = True


@dataclass(frozen=True, slots=True)
class Slot:
    """`leaving` counts instances that were told to stop and are not gone."""

    number: int
    old: Copy | None = None
    new: Copy | None = None
    leaving: int = 0

    def is_available(self, now_s: float) -> bool:
        return _is_available(self.old, now_s) or _is_available(self.new, now_s)

    @property
    def copies(self) -> int:
        return (self.old is not None) + (self.new is not None) + self.leaving


@dataclass(frozen=True, slots=True)
class Pace:
    """The policy for one service. `can_go_back`: there is an earlier version that was well."""

    surge: int
    unavailable: int
    limit: int
    can_fall_back: bool
    can_go_back: bool
    keeps_old: bool = False

    @property
    def damage(self) -> int:
        """How many slots may be without an available instance because of the new version."""
        return max(1, self.unavailable)


@dataclass(frozen=True, slots=True)
class Plan:
    """Numbers of slots: whose old instance goes, and which get a new or an old one."""

    stop_old: tuple[int, ...] = ()
    start_new: tuple[int, ...] = ()
    start_old: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`goes_back`: the last version that was well is wanted again, for the rollout's `reason`."""

    rollout: Rollout
    goes_back: bool = False


def is_stop_first(policy: UpdatePolicy, spec: ServiceSpec) -> bool:
    if policy.strategy is Strategy.BLUE_GREEN:
        return False
    if policy.order is Order.AUTO:
        return bool(spec.ports or spec.devices or spec.constraints.nodes or spec.is_one_shot)
    return policy.order is Order.STOP_FIRST


def pace(policy: UpdatePolicy, spec: ServiceSpec, rollout: Rollout, total: int, *, can_go_back: bool) -> Pace:
    """A rollback, and a service that never was well, take the straight way: all slots, one strategy."""
    strategy = policy.strategy if can_go_back and not rollout.is_rollback else Strategy.ROLLING
    stops_first = is_stop_first(policy, spec)
    asked = None if policy.max_unavailable is None else policy.max_unavailable.of(total, rounds_up=False)
    unavailable = max(1, asked or 0) if stops_first else asked or 0
    surge = 0 if stops_first else policy.max_surge.of(total, rounds_up=True)
    if not stops_first and not unavailable:
        surge = max(1, surge)
    limit = total
    if strategy is Strategy.CANARY and not rollout.is_promoted:
        limit = min(total, max(1, policy.canary.of(total, rounds_up=True)))
    return Pace(
        surge=total if strategy is Strategy.BLUE_GREEN else surge,
        unavailable=total if spec.is_one_shot else min(total, unavailable),
        limit=limit,
        can_fall_back=policy.order is Order.AUTO and asked is None and strategy is not Strategy.BLUE_GREEN,
        can_go_back=can_go_back and not rollout.is_rollback,
        keeps_old=strategy is Strategy.BLUE_GREEN and not rollout.is_promoted,
    )


def plan(slots: Sequence[Slot], at: Pace, rollout: Rollout, now_s: float) -> Plan:
    empty = [slot for slot in slots if slot.copies == 0]
    if rollout.is_held:
        return _filled(empty, 0 if at.can_go_back else len(empty))
    pending = sum(slot.old is None and slot.new is not None and not slot.is_available(now_s) for slot in slots)
    updated = sum(slot.new is not None for slot in slots)
    fill = len(empty)
    if at.can_go_back:
        fill = max(0, min(fill, at.damage - pending, at.limit - updated))
    filled = _filled(empty, fill)
    stops = _stops(slots, at, now_s)
    open_slots = sum(slot.old is None and slot.new is None for slot in slots)
    room = max(0, at.limit - updated - open_slots)
    starts = _starts(slots, at, now_s, room, set(stops))
    stops += _early_stops(slots, at, now_s, room - len(starts), {*stops, *starts})
    return Plan(tuple(stops), (*filled.start_new, *starts), filled.start_old)


def judge(
    slots: Sequence[Slot], at: Pace, policy: UpdatePolicy, rollout: Rollout, revision: int, now_s: float
) -> Verdict:
    """How `revision` fares. The same rollout when there is nothing to remember."""
    if not rollout.started_at_s:
        rollout = replace(rollout, started_at_s=now_s, progress_at_s=now_s)
    if all(slot.old is None and slot.leaving == 0 and _is_available(slot.new, now_s) for slot in slots):
        return Verdict(_completed(rollout, revision, is_proven=bool(slots)))
    if rollout.phase is Phase.DONE and slots:
        return Verdict(resumed(rollout, now_s))
    if rollout.phase in (Phase.DONE, Phase.PAUSED, Phase.FAILED):
        return Verdict(rollout)
    failure = next((slot.new.failure for slot in slots if slot.new is not None and slot.new.failure), "")
    if failure:
        return _failed(rollout, at, policy, failure)
    new = [slot.new for slot in slots if slot.new is not None]
    is_whole = len(new) >= at.limit and all(_is_available(each, now_s) for each in new)
    if is_whole and (at.limit < len(slots) or at.keeps_old):
        return Verdict(_waiting(rollout, policy, now_s))
    return _progressing(rollout, at, policy, sum(_is_available(each, now_s) for each in new), now_s)


def due_s(slots: Sequence[Slot], policy: UpdatePolicy, rollout: Rollout, now_s: float) -> float | None:
    """When to look again although nothing is heard, on the root's wall clock."""
    copies = [copy for slot in slots for copy in (slot.old, slot.new) if copy is not None]
    dues = [copy.available_at_s for copy in copies if copy.available_at_s is not None]
    if rollout.phase is Phase.ROLLING:
        dues.append(rollout.progress_at_s + policy.deadline_s)
    if rollout.phase is Phase.WAITING and policy.promote_after_s is not None:
        dues.append(rollout.waiting_since_s + policy.promote_after_s)
    return min((due for due in dues if due > now_s), default=None)


def _is_available(copy: Copy | None, now_s: float) -> bool:
    return copy is not None and copy.available_at_s is not None and copy.available_at_s <= now_s


def _filled(empty: Sequence[Slot], fill: int) -> Plan:
    numbers = [slot.number for slot in empty]
    return Plan((), tuple(numbers[:fill]), tuple(numbers[fill:]))


def _stops(slots: Sequence[Slot], at: Pace, now_s: float) -> list[int]:
    """What costs nothing: the old one beside an available new one, and what does not run and never was well."""
    done = [slot for slot in slots if slot.old is not None and _is_available(slot.new, now_s)]
    stops = [] if at.keeps_old else [slot.number for slot in done]
    for slot in slots:
        if slot.old is None or slot.number in stops:
            continue
        if slot.new is None and not slot.old.is_proven and not _is_available(slot.old, now_s):
            stops.append(slot.number)
    return stops


def _starts(slots: Sequence[Slot], at: Pace, now_s: float, room: int, taken: set[int]) -> list[int]:
    extra = sum(slot.copies for slot in slots) - len(slots) + sum(slot.copies == 0 for slot in slots)
    count = max(0, min(room, at.surge - extra))
    return [slot.number for slot in _outdated(slots, now_s, taken)][:count]


def _early_stops(slots: Sequence[Slot], at: Pace, now_s: float, room: int, taken: set[int]) -> list[int]:
    """Those that go before their successor runs: stop-first, or for want of room for both."""
    down = sum(not slot.is_available(now_s) for slot in slots)
    damage = sum(slot.old is None and not slot.is_available(now_s) for slot in slots)
    crowded = [
        slot
        for slot in slots
        if at.can_fall_back and slot.old is not None and slot.new is not None and slot.new.is_refused
    ]
    outdated = _outdated(slots, now_s, taken)[: max(0, room)] if at.unavailable else []
    stops: list[int] = []
    for slot in (*crowded, *outdated):
        is_up = slot.is_available(now_s)
        allowed_down = at.damage if slot.new is not None else at.unavailable
        if slot.number in taken or damage >= at.damage or (is_up and down >= allowed_down):
            continue
        stops.append(slot.number)
        damage += 1
        down += is_up
    return stops


def _outdated(slots: Sequence[Slot], now_s: float, taken: set[int]) -> list[Slot]:
    """What is not well comes first."""
    found = [slot for slot in slots if slot.old is not None and slot.new is None and slot.number not in taken]
    return sorted(found, key=lambda slot: (_is_available(slot.old, now_s), slot.number))


def _completed(rollout: Rollout, revision: int, *, is_proven: bool) -> Rollout:
    stable = revision if is_proven else rollout.stable_revision
    if rollout.phase is Phase.DONE and rollout.stable_revision == stable:
        return rollout
    reason = rollout.reason if rollout.is_rollback else ""
    return replace(rollout, phase=Phase.DONE, stable_revision=stable, reason=reason, healthy=0, waiting_since_s=0.0)


def _failed(rollout: Rollout, at: Pace, policy: UpdatePolicy, failure: str) -> Verdict:
    if rollout.is_rollback:
        return Verdict(
            replace(rollout, phase=Phase.FAILED, reason=f"{rollout.reason} The rollback fails too: {failure}")
        )
    if not at.can_go_back:
        return Verdict(replace(rollout, phase=Phase.FAILED, reason=failure))
    if policy.on_failure is OnFailure.PAUSE:
        return Verdict(replace(rollout, phase=Phase.PAUSED, reason=failure))
    return Verdict(replace(rollout, reason=failure), goes_back=True)


def _waiting(rollout: Rollout, policy: UpdatePolicy, now_s: float) -> Rollout:
    if rollout.phase is not Phase.WAITING:
        rollout = replace(rollout, phase=Phase.WAITING, waiting_since_s=now_s, progress_at_s=now_s)
    if policy.promote_after_s is not None and now_s >= rollout.waiting_since_s + policy.promote_after_s:
        return promoted(rollout, now_s)
    return rollout


def promoted(rollout: Rollout, now_s: float) -> Rollout:
    return replace(rollout, phase=Phase.ROLLING, is_promoted=True, progress_at_s=now_s, waiting_since_s=0.0, reason="")


def resumed(rollout: Rollout, now_s: float) -> Rollout:
    return replace(rollout, phase=Phase.ROLLING, progress_at_s=now_s, healthy=0, reason="")


def _progressing(rollout: Rollout, at: Pace, policy: UpdatePolicy, healthy: int, now_s: float) -> Verdict:
    if rollout.phase is Phase.WAITING:
        rollout = replace(rollout, phase=Phase.ROLLING, progress_at_s=now_s, waiting_since_s=0.0)
    late_s = rollout.progress_at_s + policy.deadline_s
    if healthy > rollout.healthy and (now_s >= rollout.progress_at_s + PROGRESS_GRAIN_S or now_s >= late_s):
        return Verdict(replace(rollout, healthy=healthy, progress_at_s=now_s))
    if now_s >= late_s:
        return _failed(rollout, at, policy, f"No new instance became healthy in {policy.deadline_s:g} s.")
    return Verdict(rollout)
