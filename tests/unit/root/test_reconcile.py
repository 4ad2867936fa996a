"""What the root does about one service, case by case, and that it comes to rest."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.ids import NO_CHILD, ApplicationId, ChildId, InstanceId, NodeId, ServiceId
from edge_common.model.instance import Assignment, HeardObservation, Observation
from edge_common.model.lifecycle import TERMINAL, Desired, Health, Reason, State
from edge_common.model.node import ChildHealth, Readiness
from edge_common.model.service import Constraints, ServiceSpec
from root_orchestrator.core.reconcile import (
    Command,
    FindCluster,
    Forget,
    Stop,
    grace_ends_s,
    is_gone,
    reconcile,
)
from root_orchestrator.core.records import ServiceIntent
from root_orchestrator.core.situation import GRACE_S, ROUND_S, Situation
from root_orchestrator.core.updates import Order, Rollout, UpdatePolicy, Version

WEB = ServiceId("web")
C1, C2 = ChildId("c1"), ChildId("c2")
READY = ChildHealth(Readiness.READY)
SUSPECT = ChildHealth(Readiness.SUSPECT, 1.0)
LOST = ChildHealth(Readiness.LOST, 60.0)
NOW_S = 1_800_000_000.3


def intent(
    slots: int, spec_revision: int = 1, *, is_removed: bool = False, stable: int = 0, order: Order = Order.STOP_FIRST
) -> ServiceIntent:
    """Each revision has another image; `stable` is the last that was well as a whole."""
    return ServiceIntent(
        WEB, ApplicationId("app"), spec(spec_revision), {}, tuple(range(slots)), slots, spec_revision, is_removed,
        update=UpdatePolicy(order=order, min_healthy_s=0.0),
        history=tuple(Version(revision, spec(revision), {}) for revision in range(1, spec_revision)),
        rollout=Rollout(started_at_s=NOW_S - 60, progress_at_s=NOW_S - 60, stable_revision=stable),
    )  # fmt: skip


def spec(revision: int) -> ServiceSpec:
    return ServiceSpec(WEB, ApplicationId("app"), "web", "container", f"busybox:{revision}")


def placed(number: int = 0, **changes: Any) -> Assignment:
    name = InstanceId(f"a{number}")
    return replace(Assignment(name, WEB, number, name, 1, child_id=C1, since_s=NOW_S - 60), **changes)


def heard(
    assignment: Assignment, state: State, reason: Reason = Reason.NONE, health: Health = Health.UNKNOWN
) -> HeardObservation:
    number = assignment.instance_number
    said = Observation(assignment.instance_id, WEB, number, state, reason=reason, health=health)
    return HeardObservation(said, NOW_S - 1)


def situation(
    service: ServiceIntent,
    *assignments: Assignment,
    states: tuple[State | None, ...] = (),
    reason: Reason = Reason.NONE,
    cluster: ChildHealth = READY,
    is_braked: bool = False,
) -> Situation:
    said = {
        each.instance_id: heard(each, state, reason)
        for each, state in zip(assignments, states, strict=False)
        if state is not None
    }
    return Situation(service, assignments, said, {C1: cluster, C2: READY}, NOW_S, is_braked)


def new_ids() -> Any:
    ids = map("new-{}".format, itertools.count(1))
    return lambda: InstanceId(next(ids))


def named(where: Situation) -> list[tuple[str, str]]:
    return [(type(each).__name__, each.assignment.instance_id) for each in reconcile(where, new_ids())]


STOPPED = placed(desired=Desired.STOPPED)
WAITING = placed(child_id=NO_CHILD, reason=Reason.NO_CAPACITY)
RUNS, SCHEDULED = (State.RUNNING,), (State.CLUSTER_SCHEDULED,)


@pytest.mark.parametrize(
    ("why", "where", "expected"),
    [
        ("a new slot", situation(intent(1)), [("FindCluster", "new-1")]),
        ("one that waits", situation(intent(1), WAITING), [("FindCluster", "a0")]),
        ("one that its cluster has", situation(intent(1), placed()), []),
        ("one that runs", situation(intent(1), placed(), states=RUNS), []),
        ("a suspect cluster", situation(intent(1), placed(), states=RUNS, cluster=SUSPECT), []),
        ("a lost one", situation(intent(1), placed(), states=RUNS, cluster=LOST), [("FindCluster", "new-1")]),
        ("a lost one while braked", situation(intent(1), placed(), states=RUNS, cluster=LOST, is_braked=True), []),
        ("one that ended there", situation(intent(1), placed(), states=(State.COMPLETED,), cluster=LOST), []),
        ("one that failed", situation(intent(1), placed(), states=(State.FAILED,)), []),
        ("one that died", situation(intent(1), placed(), states=(State.DEAD,)), [("Stop", "a0")]),
        ("one too many", situation(intent(0), placed(), states=RUNS), [("Stop", "a0")]),
        ("one too many that waits", situation(intent(0), WAITING), [("Stop", "a0"), ("Forget", "a0")]),
        ("one that stops", situation(intent(0), STOPPED, states=RUNS), []),
        ("a slot that is still being left", situation(intent(1), STOPPED, states=RUNS), []),
        (
            "one that stopped",
            situation(intent(1), STOPPED, states=(State.UNDEPLOYED,)),
            [("Forget", "a0"), ("FindCluster", "new-1")],
        ),
        ("one that stops in a lost cluster", situation(intent(0), STOPPED, cluster=LOST), [("Forget", "a0")]),
        ("a removed service", situation(intent(1, is_removed=True), placed(), states=RUNS), [("Stop", "a0")]),
        ("two in one slot", situation(intent(1), placed(), placed(instance_id=InstanceId("b"))), [("Stop", "b")]),
    ],
)
def test_decision(why: str, where: Situation, expected: list[tuple[str, str]]) -> None:
    assert named(where) == expected, why


class TestHandedBack:
    @pytest.mark.parametrize(
        ("age_s", "reason", "is_moved"),
        [
            (GRACE_S + 1, Reason.NO_CAPACITY, True),
            (GRACE_S - 1, Reason.NO_CAPACITY, False),
            (0.0, Reason.TARGET_NOT_FOUND, True),
            (GRACE_S - 1, Reason.TARGET_NOT_READY, False),
            (GRACE_S + 1, Reason.NONE, False),
        ],
    )
    def test_the_next_cluster_is_tried_after_the_grace(self, age_s: float, reason: Reason, is_moved: bool) -> None:
        slot = placed(since_s=NOW_S - age_s)
        commands = reconcile(situation(intent(1), slot, states=SCHEDULED, reason=reason), new_ids())
        assert bool(commands) is is_moved
        if is_moved:
            (command,) = commands
            assert isinstance(command, FindCluster)
            assert (command.avoid, command.is_lost, command.replaces) == ((C1,), False, slot)

    @given(st.floats(NOW_S - ROUND_S + 1, 1.9e9))
    def test_the_grace_is_over_at_the_moment_that_was_announced(self, since_s: float) -> None:
        where = situation(intent(1), placed(since_s=since_s), states=SCHEDULED, reason=Reason.NO_CAPACITY)
        ends_s = grace_ends_s(where)
        assert ends_s is not None
        assert named(replace(where, now_s=ends_s)) == [("FindCluster", "new-1")]

    def test_what_runs_has_no_grace(self) -> None:
        assert grace_ends_s(situation(intent(1), placed(), states=RUNS)) is None


class TestOnItsOnlyNode:
    """No other cluster has that node, so what runs there is not withdrawn while its cluster is away."""

    @pytest.mark.parametrize(
        ("targets", "cluster", "is_moved"),
        [
            ((), LOST, True),
            (("n1",), LOST, False),
            (("pi",), LOST, False),
            (("n1", "n2"), LOST, True),
            (("n2",), LOST, True),
            (("n1",), None, True),
        ],
    )
    def test_it_stays(self, targets: tuple[str, ...], cluster: ChildHealth | None, is_moved: bool) -> None:
        where = situation(intent(1), placed(), states=RUNS, cluster=LOST)
        spec = replace(where.intent.spec, constraints=Constraints(nodes=targets))
        known = {name: health for name, health in {C1: cluster, C2: READY}.items() if health is not None}
        said = replace(where.heard[InstanceId("a0")].observation, node_id=NodeId("n1"), node_name="pi")
        where = replace(
            where,
            intent=replace(where.intent, spec=spec),
            clusters=known,
            heard={said.instance_id: HeardObservation(said, NOW_S)},
        )
        assert bool(named(where)) is is_moved


class TestRolling:
    def test_one_slot_at_a_time(self) -> None:
        where = situation(intent(3, 2, stable=1), placed(0), placed(1), placed(2), states=RUNS * 3)
        assert named(where) == [("Stop", "a0")]

    def test_the_next_one_waits_until_the_last_one_is_gone(self) -> None:
        leaving = placed(0, desired=Desired.STOPPED)
        assert named(situation(intent(2, 2, stable=1), leaving, placed(1), states=RUNS * 2)) == []

    def test_the_next_one_waits_also_while_the_last_slot_is_filled_anew(self) -> None:
        ended = placed(0, desired=Desired.STOPPED)
        where = situation(intent(2, 2, stable=1), ended, placed(1), states=(State.UNDEPLOYED, State.RUNNING))
        assert named(where) == [("Forget", "a0"), ("FindCluster", "new-1")]

    @pytest.mark.parametrize(
        ("state", "goes_on"),
        [(None, False), (State.CREATING, False), (State.FAILED, False), (State.RUNNING, True), (State.COMPLETED, True)],
    )
    def test_the_next_one_waits_until_its_forerunner_is_well(self, state: State | None, goes_on: bool) -> None:
        service = intent(2, 2, stable=1)
        where = situation(service, placed(0, spec_revision=2), placed(1), states=(state, State.RUNNING))
        assert named(where) == ([("Stop", "a1")] if goes_on else [])

    def test_what_does_not_run_goes_first(self) -> None:
        states = (State.RUNNING, State.FAILED, State.CREATING)
        where = situation(intent(3, 2, stable=1), placed(0), placed(1), placed(2), states=states)
        assert named(where) == [("Stop", "a1")]

    def test_what_never_was_well_goes_at_once(self) -> None:
        states = (State.RUNNING, State.FAILED, State.CREATING)
        where = situation(intent(3, 2), placed(0), placed(1), placed(2), states=states)
        assert named(where) == [("Stop", "a1"), ("Stop", "a2")]

    def test_start_first_puts_the_new_one_beside_the_old_one(self) -> None:
        service = intent(2, 2, stable=1, order=Order.START_FIRST)
        where = situation(service, placed(0), placed(1), states=RUNS * 2)
        (command,) = reconcile(where, new_ids())
        assert isinstance(command, FindCluster)
        assert command.replaces is None
        assert (command.assignment.instance_number, command.assignment.spec_revision) == (0, 2)

    @pytest.mark.parametrize(("state", "goes"), [(State.CREATING, []), (State.RUNNING, [("Stop", "a0")])])
    def test_the_old_one_goes_when_the_new_one_beside_it_is_well(
        self, state: State, goes: list[tuple[str, str]]
    ) -> None:
        service = intent(1, 2, stable=1, order=Order.START_FIRST)
        new = placed(0, instance_id=InstanceId("b0"), spec_revision=2)
        assert named(situation(service, placed(0), new, states=(State.RUNNING, state))) == goes

    def test_without_room_for_both_the_old_one_goes_first(self) -> None:
        service = intent(1, 2, stable=1, order=Order.AUTO)
        new = placed(0, instance_id=InstanceId("b0"), spec_revision=2, child_id=NO_CHILD, reason=Reason.NO_CAPACITY)
        assert named(situation(service, placed(0), new, states=RUNS)) == [("FindCluster", "b0"), ("Stop", "a0")]

    def test_an_old_one_is_moved_as_what_it_is(self) -> None:
        service = intent(2, 2, stable=1)
        pending = placed(0, spec_revision=2, child_id=C2)
        where = situation(service, pending, placed(1), states=(State.CREATING, State.RUNNING), cluster=LOST)
        (command,) = reconcile(where, new_ids())
        assert isinstance(command, FindCluster)
        assert command.replaces == placed(1)
        assert command.assignment.spec_revision == 1

    def test_an_empty_slot_gets_the_stable_spec_while_the_new_one_is_not_well(self) -> None:
        where = situation(intent(2, 2, stable=1), placed(0, spec_revision=2), states=(State.CREATING,))
        (command,) = reconcile(where, new_ids())
        assert (command.assignment.instance_number, command.assignment.spec_revision) == (1, 1)

    def test_what_has_the_spec_under_another_revision_stays(self) -> None:
        service = replace(intent(1, 3, stable=1), spec=spec(1))
        assert named(situation(service, placed(0), states=RUNS)) == []

    def test_what_waits_takes_the_new_spec(self) -> None:
        (command,) = reconcile(situation(intent(1, 5), WAITING), new_ids())
        assert (command.assignment.instance_id, command.assignment.spec_revision) == ("a0", 5)


def test_a_removed_service_is_gone_with_its_last_instance() -> None:
    assert is_gone(situation(intent(0, is_removed=True)))
    assert not is_gone(situation(intent(0, is_removed=True), STOPPED))
    assert not is_gone(situation(intent(0)))


def carried_out(before: Situation, commands: list[Command]) -> Situation:
    """Every search finds the second cluster, which runs and stops at once."""
    after = {each.instance_id: each for each in before.assignments}
    said = dict(before.heard)
    for command in commands:
        match command:
            case Stop(assignment):
                after[assignment.instance_id] = replace(assignment, desired=Desired.STOPPED)
            case FindCluster(assignment, replaces):
                if replaces is not None:
                    after[replaces.instance_id] = replace(replaces, desired=Desired.STOPPED)
                after[assignment.instance_id] = replace(assignment, child_id=C2, since_s=before.now_s)
                said.pop(assignment.instance_id, None)
    for command in commands:
        if isinstance(command, Forget):
            after.pop(command.assignment.instance_id, None)
    for each in after.values():
        known = said.get(each.instance_id)
        if each.child_id == C2 and not (known and known.observation.is_terminal):
            said[each.instance_id] = heard(each, State.RUNNING if each.desired is Desired.RUNNING else State.UNDEPLOYED)
    return replace(before, assignments=tuple(after.values()), heard=said)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([NO_CHILD, C1, C2]), st.sampled_from(Desired), st.integers(1, 2)),
        max_size=6,
    ),
    st.lists(st.none() | st.sampled_from(State)),
    st.integers(0, 4),
    st.booleans(),
)
def test_from_any_situation_it_comes_to_rest_with_one_for_each_slot(
    rows: list[tuple[int, ChildId, Desired, int]], states: list[State | None], slots: int, is_removed: bool
) -> None:
    assignments = [
        placed(number, instance_id=InstanceId(f"w{nth}"), child_id=child_id, desired=desired, spec_revision=revision)
        for nth, (number, child_id, desired, revision) in enumerate(rows)
    ]
    service = intent(slots, 2, is_removed=is_removed)
    said = tuple(state if each.is_placed else None for each, state in zip(assignments, states, strict=False))
    now, ids = carried_out(situation(service, *assignments, states=said, cluster=LOST), []), new_ids()
    for _ in range(40):
        commands = reconcile(now, ids)
        searched = [
            (command.assignment.instance_number, command.assignment.spec_revision)
            for command in commands
            if isinstance(command, FindCluster)
        ]
        assert len(searched) == len(set(searched))
        now = carried_out(now, commands)
        running = [each for each in now.assignments if each.desired is Desired.RUNNING]
        owners = [(each.instance_number, each.spec_revision) for each in running]
        assert len(owners) == len(set(owners))
        numbers = [each.instance_number for each in running]
        if not commands:
            assert len(numbers) == len(set(numbers))
            assert set(numbers) == (set() if is_removed else set(range(slots)))
            assert all(each.spec_revision == 2 or now.state(each) in TERMINAL for each in now.assignments)
            return
    raise AssertionError(f"It does not come to rest: {commands}")


@pytest.mark.parametrize(
    ("why", "health", "expected"),
    [
        ("the new one is well", (Health.HEALTHY, Health.HEALTHY), [("Stop", "a1")]),
        ("the new one is not well yet", (Health.STARTING, Health.HEALTHY), []),
        ("the new one is not well", (Health.UNHEALTHY, Health.HEALTHY), []),
        ("neither is well, and the old one may become so again", (Health.STARTING, Health.UNHEALTHY), []),
    ],
)
def test_a_new_spec_goes_on_only_over_what_is_well(
    why: str, health: tuple[Health, Health], expected: list[tuple[str, str]]
) -> None:
    new, old = placed(0, spec_revision=2), placed(1)
    said = {
        each.instance_id: heard(each, State.RUNNING, health=is_so)
        for each, is_so in zip((new, old), health, strict=True)
    }
    where = Situation(intent(2, 2, stable=1), (new, old), said, {C1: READY, C2: READY}, NOW_S)
    assert named(where) == expected, why
