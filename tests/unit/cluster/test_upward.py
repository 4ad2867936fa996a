"""What the root is told of an instance."""

from dataclasses import replace

import pytest

from cluster_orchestrator.core.upward import last_word, upward
from edge_common.model.ids import NO_CHILD, ChildId, InstanceId
from edge_common.model.instance import Assignment, Observation
from edge_common.model.lifecycle import Reason, State
from tests.unit.cluster.rig import WEB, node

INFO = replace(node("n1").info, address="192.0.2.1")
PLACED = Assignment(InstanceId("i2"), WEB, 4, InstanceId("origin"), 1, 2, ChildId("n1"), since_s=7.0)
WAITING = replace(PLACED, child_id=NO_CHILD, reason=Reason.NO_CAPACITY, detail="All are full.")


def observed(state: State, **more: object) -> Observation:
    return replace(Observation(InstanceId("i2"), WEB, 4, state, attempt=3), **more)  # type: ignore[arg-type]


def test_what_waits_for_a_node_says_why() -> None:
    said = upward(WAITING, None, None)
    assert (said.state, said.reason, said.detail) == (State.CLUSTER_SCHEDULED, Reason.NO_CAPACITY, "All are full.")
    assert (said.instance_id, said.instance_number, said.succession, said.changed_at_s) == ("origin", 4, 2, 7.0)


def test_what_its_node_has_not_spoken_of_is_scheduled_there() -> None:
    said = upward(PLACED, None, INFO)
    assert (said.state, said.node_id, said.node_name, said.address) == (State.NODE_SCHEDULED, "n1", "n1", "192.0.2.1")


def test_the_nodes_own_words_come_under_the_roots_id() -> None:
    said = upward(PLACED, observed(State.RUNNING, address="10.0.0.9"), INFO)
    assert (said.instance_id, said.state, said.attempt, said.succession) == ("origin", State.RUNNING, 3, 2)
    assert said.address == "10.0.0.9"


@pytest.mark.parametrize(
    ("state", "reason"),
    [(State.RUNNING, Reason.NODE_LOST), (State.CREATING, Reason.NODE_LOST), (State.FAILED, Reason.EXITED)],
)
def test_a_lost_node_is_told_of_but_for_what_has_ended(state: State, reason: Reason) -> None:
    lost = replace(PLACED, reason=Reason.NODE_LOST, detail="Its node is not heard of.")
    assert upward(lost, observed(state, reason=Reason.EXITED), INFO).reason is reason


def test_the_last_word_is_the_nodes_own_when_it_fits() -> None:
    said = last_word(PLACED, State.COMPLETED, observed(State.COMPLETED, exit_code=0), 9.0)
    assert (said.instance_id, said.state, said.exit_code, said.succession) == ("origin", State.COMPLETED, 0, 2)


@pytest.mark.parametrize("known", [None, observed(State.RUNNING)])
def test_the_last_word_outranks_all_that_was_said(known: Observation | None) -> None:
    said = last_word(PLACED, State.DEAD, known, 9.0)
    assert (said.instance_id, said.state, said.changed_at_s) == ("origin", State.DEAD, 9.0)
    assert known is None or said.order > upward(PLACED, known, INFO).order
