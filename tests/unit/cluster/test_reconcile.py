"""What a cluster does about one service, case by case."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_orchestrator.core.reconcile import Command, FindNode, Forget, Situation, Stop, reconcile
from edge_common.model.ids import NO_CHILD, ChildId, InstanceId
from edge_common.model.instance import Assignment, Observation
from edge_common.model.lifecycle import Desired, State
from edge_common.model.node import ChildHealth
from tests.unit.cluster.rig import LOST, READY, SUSPECT, WEB, wanted

N1 = ChildId("n1")
FIRST = Assignment(InstanceId("web-0"), WEB, 0, InstanceId("web-0"), 1)
PLACED = replace(FIRST, child_id=N1)
STOPPED = replace(PLACED, desired=Desired.STOPPED)


def decided(
    *assignments: Assignment,
    slots: int | None = 1,
    states: dict[str, State] | None = None,
    node: ChildHealth | None = READY,
    **more: Any,
) -> list[tuple[str, str]]:
    """Each command as its name and whom it is about."""
    found = reconcile(situation(*assignments, slots=slots, states=states, node=node, **more), new_ids())
    return [(type(command).__name__, command.assignment.instance_id) for command in found]


def situation(
    *assignments: Assignment,
    slots: int | None = 1,
    states: dict[str, State] | None = None,
    node: ChildHealth | None = READY,
    lease_s: float | None = None,
    is_braked: bool = False,
) -> Situation:
    said = {
        InstanceId(each): Observation(InstanceId(each), WEB, 0, state, attempt=1)
        for each, state in (states or {}).items()
    }
    nodes = {} if node is None else {N1: node, ChildId("n2"): READY}
    service = None if slots is None else wanted(slots, lease_s=lease_s)
    return Situation(service, assignments, said, nodes, 3.0, is_braked)


def new_ids() -> Any:
    ids = map("new-{}".format, itertools.count(1))
    return lambda: InstanceId(next(ids))


RUNNING = {"web-0": State.RUNNING}


@pytest.mark.parametrize(
    ("why", "got", "expected"),
    [
        ("a new slot", decided(), [("FindNode", "web-0")]),
        ("two new slots", decided(slots=2), [("FindNode", "web-0"), ("FindNode", "web-1")]),
        ("one that waits", decided(FIRST), [("FindNode", "web-0")]),
        ("one that was just placed", decided(PLACED), []),
        ("one that runs", decided(PLACED, states=RUNNING), []),
        ("a suspect node", decided(PLACED, states=RUNNING, node=SUSPECT), []),
        ("a lost node", decided(PLACED, states=RUNNING, node=LOST), [("FindNode", "new-1")]),
        ("a forgotten node", decided(PLACED, states=RUNNING, node=None), [("FindNode", "new-1")]),
        ("a lost node while braked", decided(PLACED, states=RUNNING, node=LOST, is_braked=True), []),
        ("a lost node within the service's lease", decided(PLACED, states=RUNNING, node=LOST, lease_s=90.0), []),
        ("a suspect node past it", decided(PLACED, states=RUNNING, node=SUSPECT, lease_s=0.5), [("FindNode", "new-1")]),
        ("one that completed on a lost node", decided(PLACED, states={"web-0": State.COMPLETED}, node=LOST), []),
        ("one that failed", decided(PLACED, states={"web-0": State.FAILED}), []),
        (
            "one that was stopped though wanted",
            decided(PLACED, states={"web-0": State.UNDEPLOYED}),
            [("Stop", "web-0"), ("FindNode", "new-1")],
        ),
        ("one that is not wanted", decided(PLACED, slots=0, states=RUNNING), [("Stop", "web-0")]),
        ("a service that is not wanted", decided(PLACED, slots=None, states=RUNNING), [("Stop", "web-0")]),
        ("one that waits unwanted", decided(FIRST, slots=0), [("Stop", "web-0"), ("Forget", "web-0")]),
        ("one that stops", decided(STOPPED, slots=0, states=RUNNING), []),
        ("one that stopped", decided(STOPPED, slots=0, states={"web-0": State.UNDEPLOYED}), [("Forget", "web-0")]),
        ("one that stops on a lost node", decided(STOPPED, slots=0, node=LOST), [("Forget", "web-0")]),
        ("a slot that is wanted again while it stops", decided(STOPPED, states=RUNNING), [("FindNode", "new-1")]),
        (
            "two in one slot",
            decided(PLACED, replace(PLACED, instance_id=InstanceId("later"), succession=1)),
            [("Stop", "web-0")],
        ),
    ],
)
def test_decision(why: str, got: list[tuple[str, str]], expected: list[tuple[str, str]]) -> None:
    assert got == expected, why


def test_a_successor_takes_the_slot_over_with_the_newest_spec() -> None:
    (command,) = reconcile(situation(PLACED, states=RUNNING, node=LOST), new_ids())
    assert isinstance(command, FindNode)
    assert command.replaces == PLACED
    successor = command.assignment
    assert (successor.origin_id, successor.succession, successor.child_id) == ("web-0", 1, NO_CHILD)
    service = wanted(1, spec_revision=4)
    (command,) = reconcile(replace(situation(PLACED, node=LOST), wanted=service), new_ids())
    assert command.assignment.spec_revision == 4


def test_a_successor_keeps_the_older_spec_of_a_slot_that_is_not_updated_yet() -> None:
    service = wanted(1, spec_revision=7)
    slot = replace(service.slots[0], spec_revision=6)
    service = replace(service, slots=(slot,), older={6: service.spec})
    where = replace(situation(PLACED, states=RUNNING, node=LOST), wanted=service)
    (command,) = reconcile(where, new_ids())
    assert command.assignment.spec_revision == 6


@pytest.mark.parametrize(
    ("states", "node", "state"),
    [
        ({"web-0": State.COMPLETED}, READY, State.COMPLETED),
        ({"web-0": State.RUNNING}, LOST, State.DEAD),
        ({}, LOST, State.DEAD),
    ],
)
def test_what_is_forgotten_has_a_last_state(states: dict[str, State], node: ChildHealth, state: State) -> None:
    (command,) = reconcile(situation(STOPPED, slots=0, states=states, node=node), new_ids())
    assert command == Forget(STOPPED, state)


ASSIGNMENTS = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 2), st.sampled_from([NO_CHILD, N1, ChildId("n2")]), st.sampled_from(Desired)
    ),
    max_size=6,
    unique_by=lambda each: each[:2],
)


def carried_out(before: Situation, commands: list[Command]) -> Situation:
    """As if every search found the second node."""
    after = {each.instance_id: each for each in before.assignments}
    for command in commands:
        match command:
            case Stop(assignment):
                after[assignment.instance_id] = replace(assignment, desired=Desired.STOPPED)
            case FindNode(assignment, replaces):
                if replaces is not None:
                    after[replaces.instance_id] = replace(replaces, desired=Desired.STOPPED)
                after[assignment.instance_id] = replace(assignment, child_id=ChildId("n2"))
    for command in commands:
        if isinstance(command, Forget):
            after.pop(command.assignment.instance_id, None)
    return replace(before, assignments=tuple(after.values()))


@given(
    ASSIGNMENTS,
    st.integers(0, 3) | st.none(),
    st.lists(st.sampled_from(State)),
    st.sampled_from([READY, SUSPECT, LOST]),
    st.booleans(),
)
def test_from_any_situation_it_comes_to_rest_with_one_for_each_slot(
    rows: list[tuple[int, int, ChildId, Desired]],
    slots: int | None,
    states: list[State],
    node: ChildHealth,
    is_braked: bool,
) -> None:
    assignments = [
        Assignment(InstanceId(f"w{slot}-{nth}"), WEB, slot, InstanceId(f"web-{slot}"), 1, nth, child_id, desired)
        for slot, nth, child_id, desired in rows
    ]
    said = {str(each.instance_id): state for each, state in zip(assignments, states, strict=False) if each.is_placed}
    now = situation(*assignments, slots=slots, states=said, node=node, is_braked=is_braked)
    ids = new_ids()
    for _ in range(4):
        commands = reconcile(now, ids)
        searched = [command.assignment.origin_id for command in commands if isinstance(command, FindNode)]
        assert len(searched) == len(set(searched))
        now = carried_out(now, commands)
        origins = [each.origin_id for each in now.assignments if each.desired is Desired.RUNNING]
        assert sorted(origins) == sorted(f"web-{number}" for number in range(slots or 0))
        if not commands:
            return
    raise AssertionError(f"It does not come to rest: {commands}")
