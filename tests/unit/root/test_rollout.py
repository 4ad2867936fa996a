"""A rollout step by step: never too few, never too many, a bad version is contained, and it always ends."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_common.model.ids import ApplicationId, ServiceId
from edge_common.model.network import PortMapping
from edge_common.model.service import Constraints, ServiceSpec
from root_orchestrator.core.rollout import Copy, Pace, Slot, Verdict, due_s, is_stop_first, judge, pace, plan, promoted
from root_orchestrator.core.updates import OnFailure, Order, Phase, Rollout, Share, Strategy, UpdatePolicy

SPEC = ServiceSpec(ServiceId("web"), ApplicationId("app"), "web", "container", "busybox")
WELL, COMING = Copy(0.0), Copy(None)
BAD = Copy(None, failure="Instance 0 failed.", is_proven=False)
PORTS = replace(SPEC, ports=(PortMapping(8080, 80),))


def running(**changes: object) -> Rollout:
    return replace(Rollout(started_at_s=1.0, progress_at_s=1.0, stable_revision=1), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "policy", "expected"),
    [
        (SPEC, UpdatePolicy(), False),
        (PORTS, UpdatePolicy(), True),
        (replace(SPEC, constraints=Constraints(nodes=("n1",))), UpdatePolicy(), True),
        (replace(SPEC, is_one_shot=True), UpdatePolicy(), True),
        (PORTS, UpdatePolicy(order=Order.START_FIRST), False),
        (SPEC, UpdatePolicy(order=Order.STOP_FIRST), True),
        (PORTS, UpdatePolicy(strategy=Strategy.BLUE_GREEN), False),
    ],
)
def test_auto_goes_by_what_two_instances_cannot_share(spec: ServiceSpec, policy: UpdatePolicy, expected: bool) -> None:
    assert is_stop_first(policy, spec) is expected


@pytest.mark.parametrize(
    ("policy", "spec", "surge", "unavailable"),
    [
        (UpdatePolicy(), SPEC, 3, 0),
        (UpdatePolicy(), PORTS, 0, 1),
        (UpdatePolicy(max_surge=Share(0)), SPEC, 1, 0),
        (UpdatePolicy(max_surge=Share(0), max_unavailable=Share(30, is_percent=True)), SPEC, 0, 3),
        (UpdatePolicy(max_unavailable=Share(1, is_percent=True)), PORTS, 0, 1),
        (UpdatePolicy(strategy=Strategy.BLUE_GREEN), SPEC, 10, 0),
    ],
)
def test_shares_of_ten(policy: UpdatePolicy, spec: ServiceSpec, surge: int, unavailable: int) -> None:
    found = pace(policy, spec, running(), 10, can_go_back=True)
    assert (found.surge, found.unavailable) == (surge, unavailable)


@pytest.mark.parametrize(
    ("rollout", "can_go_back", "limit"),
    [(running(), True, 3), (running(), False, 10), (running(is_promoted=True), True, 10)],
)
def test_a_canary_is_for_those_who_can_go_back(rollout: Rollout, can_go_back: bool, limit: int) -> None:
    policy = UpdatePolicy(strategy=Strategy.CANARY, canary=Share(25, is_percent=True))
    assert pace(policy, SPEC, rollout, 10, can_go_back=can_go_back).limit == limit


def verdict(
    slots: list[Slot], policy: UpdatePolicy, rollout: Rollout, now_s: float, *, can_go_back: bool = True
) -> Verdict:
    at = pace(policy, SPEC, rollout, len(slots), can_go_back=can_go_back)
    return judge(slots, at, policy, rollout, 2, now_s)


class TestJudge:
    def test_all_new_and_well_is_done_and_stable(self) -> None:
        after = verdict([Slot(0, new=WELL)], UpdatePolicy(), running(), 5.0).rollout
        assert (after.phase, after.stable_revision) == (Phase.DONE, 2)

    def test_it_is_not_done_before_it_has_been_well_for_a_while(self) -> None:
        assert verdict([Slot(0, new=Copy(6.0))], UpdatePolicy(), running(), 5.0).rollout.phase is Phase.ROLLING

    def test_a_failure_goes_back(self) -> None:
        found = verdict([Slot(0, WELL, BAD)], UpdatePolicy(), running(), 5.0)
        assert found.goes_back
        assert found.rollout.reason == "Instance 0 failed."

    def test_a_failure_pauses_where_that_is_asked_for(self) -> None:
        found = verdict([Slot(0, WELL, BAD)], UpdatePolicy(on_failure=OnFailure.PAUSE), running(), 5.0)
        assert (found.goes_back, found.rollout.phase) == (False, Phase.PAUSED)

    def test_a_first_version_that_fails_stays_and_may_become_well(self) -> None:
        found = verdict([Slot(0, new=BAD)], UpdatePolicy(), running(stable_revision=0), 5.0, can_go_back=False)
        assert (found.goes_back, found.rollout.phase) == (False, Phase.FAILED)
        after = verdict([Slot(0, new=WELL)], UpdatePolicy(), found.rollout, 6.0, can_go_back=False)
        assert after.rollout.phase is Phase.DONE

    def test_a_rollback_that_fails_does_not_go_anywhere_else(self) -> None:
        found = verdict([Slot(0, WELL, BAD)], UpdatePolicy(), running(is_rollback=True, reason="Back."), 5.0)
        assert (found.goes_back, found.rollout.phase) == (False, Phase.FAILED)
        assert found.rollout.reason == "Back. The rollback fails too: Instance 0 failed."

    def test_without_progress_the_deadline_ends_it(self) -> None:
        policy = UpdatePolicy(deadline_s=60.0)
        assert not verdict([Slot(0, WELL, COMING)], policy, running(), 60.0).goes_back
        assert verdict([Slot(0, WELL, COMING)], policy, running(), 61.0).goes_back

    def test_progress_moves_the_deadline(self) -> None:
        policy = UpdatePolicy(deadline_s=60.0)
        found = verdict([Slot(0, new=WELL), Slot(1, WELL, COMING)], policy, running(), 61.0)
        assert (found.rollout.healthy, found.rollout.progress_at_s) == (1, 61.0)

    def test_a_canary_waits_and_is_promoted_after_a_time(self) -> None:
        policy = UpdatePolicy(strategy=Strategy.CANARY, promote_after_s=30.0)
        slots = [Slot(0, new=WELL), Slot(1, old=WELL)]
        waiting = verdict(slots, policy, running(), 10.0).rollout
        assert waiting.phase is Phase.WAITING
        assert due_s(slots, policy, waiting, 10.0) == 40.0
        assert verdict(slots, policy, waiting, 39.0).rollout == waiting
        assert verdict(slots, policy, waiting, 40.0).rollout.is_promoted

    def test_a_paused_rollout_is_not_judged(self) -> None:
        paused = running(phase=Phase.PAUSED)
        assert verdict([Slot(0, WELL, BAD)], UpdatePolicy(), paused, 9_999.0).rollout == paused


class TestPlan:
    AT = Pace(surge=0, unavailable=1, limit=3, can_fall_back=False, can_go_back=True)

    def test_a_paused_rollout_fills_empty_slots_with_the_version_that_was_well(self) -> None:
        held = running(phase=Phase.PAUSED)
        assert plan([Slot(0, new=WELL), Slot(1)], self.AT, held, 5.0).start_old == (1,)

    def test_a_canary_touches_no_more_than_its_share(self) -> None:
        at = replace(self.AT, limit=1, unavailable=3)
        assert plan([Slot(0, leaving=1), Slot(1, WELL), Slot(2, WELL)], at, running(), 5.0).stop_old == ()

    def test_blue_green_keeps_the_old_ones_until_the_promotion(self) -> None:
        at = replace(self.AT, surge=2, unavailable=0, keeps_old=True)
        both = [Slot(0, WELL, WELL), Slot(1, WELL, WELL)]
        assert plan(both, at, running(), 5.0).stop_old == ()
        assert plan(both, replace(at, keeps_old=False), running(), 5.0).stop_old == (0, 1)


@dataclass
class Play:
    """Slots with copies that become well after a while, or never, and that go some steps after they were told to."""

    policy: UpdatePolicy
    spec: ServiceSpec
    is_bad: bool
    has_room: bool
    slots: dict[int, Slot]
    rollout: Rollout
    now_s: float = 10.0
    went_back: bool = False
    lowest: int = 0
    damage: int = 0
    most: int = 0
    gone: list[tuple[float, int]] = field(default_factory=list)

    def step(self) -> bool:
        """Whether it goes on."""
        self.now_s += 1.0
        for due, number in [each for each in self.gone if each[0] <= self.now_s]:
            self.gone.remove((due, number))
            self._change(number, leaving=self.slots[number].leaving - 1)
        at = self._pace()
        found = judge(list(self.slots.values()), at, self.policy, self.rollout, 2, self.now_s)
        self.rollout = found.rollout
        if found.goes_back:
            self._go_back()
        self._carry_out()
        self._measure()
        return self.rollout.phase in (Phase.ROLLING, Phase.WAITING)

    def _pace(self) -> Pace:
        can_go_back = not self.went_back
        return pace(self.policy, self.spec, self.rollout, len(self.slots), can_go_back=can_go_back)

    def _go_back(self) -> None:
        self.went_back, self.is_bad = True, False
        for number, slot in self.slots.items():
            bad = replace(slot.new, failure="", is_proven=False) if slot.new else None
            self.slots[number] = replace(slot, old=bad, new=slot.old)
        self.rollout = running(started_at_s=self.now_s, progress_at_s=self.now_s, is_rollback=True)

    def _carry_out(self) -> None:
        steps = plan(list(self.slots.values()), self._pace(), self.rollout, self.now_s)
        for number in steps.stop_old:
            self._change(number, old=None, leaving=self.slots[number].leaving + 1)
            self.gone.append((self.now_s + 2.0, number))
        for number in steps.start_old:
            self._change(number, old=Copy(self.now_s + 1.0))
        for number in steps.start_new:
            is_refused = not self.has_room and self.slots[number].old is not None
            self._change(number, new=Copy(None, is_refused=is_refused, is_proven=False))
        for number, slot in self.slots.items():
            if slot.new is None or slot.new.available_at_s is not None or slot.new.failure:
                continue
            if slot.new.is_refused and slot.copies == 1:
                self._change(number, new=replace(slot.new, is_refused=False))
            elif not slot.new.is_refused:
                fate = replace(slot.new, failure="It failed.") if self.is_bad else Copy(self.now_s + 3.0)
                self._change(number, new=fate)

    def _change(self, number: int, **changes: object) -> None:
        self.slots[number] = replace(self.slots[number], **changes)  # type: ignore[arg-type]

    def _is_damaged(self, slot: Slot) -> bool:
        """By the new version: one that was well before and is not well just now is not its fault."""
        is_proven = slot.new is not None and slot.new.is_proven
        return slot.old is None and not is_proven and not slot.is_available(self.now_s)

    def _measure(self) -> None:
        slots = self.slots.values()
        self.lowest = min(self.lowest, sum(slot.is_available(self.now_s) for slot in slots))
        self.damage = max(self.damage, sum(self._is_damaged(slot) for slot in slots))
        self.most = max(self.most, sum(slot.copies for slot in slots))


shares = st.one_of(st.integers(0, 12).map(Share), st.integers(0, 100).map(lambda n: Share(n, is_percent=True)))
policies = st.builds(
    UpdatePolicy,
    strategy=st.sampled_from(Strategy),
    order=st.sampled_from([Order.AUTO, Order.START_FIRST, Order.STOP_FIRST]),
    max_unavailable=st.none() | shares,
    max_surge=shares,
    min_healthy_s=st.just(3.0),
    deadline_s=st.just(30.0),
    on_failure=st.sampled_from(OnFailure),
    canary=shares,
    promote_after_s=st.just(5.0),
)


@settings(max_examples=400, deadline=None)
@given(policies, st.sampled_from([SPEC, PORTS]), st.integers(0, 12), st.booleans(), st.booleans())
def test_a_rollout_keeps_its_bounds_and_ends(
    policy: UpdatePolicy, spec: ServiceSpec, total: int, is_bad: bool, has_room: bool
) -> None:
    slots = {number: Slot(number, old=WELL) for number in range(total)}
    play = Play(policy, spec, is_bad, has_room, slots, running(), lowest=total)
    at = pace(policy, spec, play.rollout, total, can_go_back=True)
    down = at.unavailable if has_room or not at.can_fall_back else at.damage
    steps = 0
    while play.step():
        steps += 1
        assert steps < 600, "it does not end"
    assert play.lowest >= total - down
    assert play.damage <= at.damage
    assert play.most <= total + at.surge
    if is_bad and total:
        assert (play.rollout.phase is Phase.PAUSED) == (policy.on_failure is OnFailure.PAUSE)
    elif has_room or not total:
        assert play.rollout.phase is Phase.DONE
    if play.rollout.phase is Phase.DONE:
        assert all(slot.old is None and slot.copies == 1 for slot in play.slots.values())


@settings(max_examples=300, deadline=None)
@given(policies, st.integers(1, 8), st.booleans(), st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=40))
def test_old_instances_that_come_and_go_do_not_widen_the_damage(
    policy: UpdatePolicy, total: int, is_bad: bool, faults: list[tuple[int, bool]]
) -> None:
    slots = {number: Slot(number, old=WELL) for number in range(total)}
    play = Play(policy, SPEC, is_bad, True, slots, running(), lowest=total)
    at = pace(policy, SPEC, play.rollout, total, can_go_back=True)
    for number, is_well in faults:
        slot = play.slots.get(number)
        if slot is not None and slot.old is not None and slot.old.is_proven:
            play.slots[number] = replace(slot, old=WELL if is_well else COMING)
        if not play.step():
            break
    for number, slot in play.slots.items():
        if slot.old is not None and slot.old.is_proven:
            play.slots[number] = replace(slot, old=WELL)
    steps = 0
    while play.step():
        steps += 1
        assert steps < 600, "it does not end"
    assert play.damage <= at.damage
    assert play.most <= total + at.surge
    assert play.rollout.phase in (Phase.DONE, Phase.PAUSED)


def test_a_promotion_goes_on() -> None:
    assert promoted(running(phase=Phase.WAITING), 9.0).phase is Phase.ROLLING
