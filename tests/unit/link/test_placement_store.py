"""Assignments and observations, over documents in memory and in SQLite."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.link.placement_store import PlacementStore
from edge_common.model.ids import ChildId, InstanceId, ServiceId
from edge_common.model.instance import Assignment, Observation
from edge_common.model.lifecycle import Desired, Health, Reason, State
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.plumbing.documents.open import open_documents
from tests.unit.link.rig import CHILD, DB, OTHER, WEB


def assignment(instance_id: str, number: int = 0, child_id: ChildId = CHILD, **more: object) -> Assignment:
    plain = Assignment(InstanceId(instance_id), WEB, number, InstanceId(instance_id), 1, child_id=child_id)
    return replace(plain, **more)  # type: ignore[arg-type]


def observation(instance_id: str, state: State = State.RUNNING, attempt: int = 1) -> Observation:
    return Observation(InstanceId(instance_id), WEB, 0, state, attempt=attempt)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PlacementStore]:
    documents = open_documents("memory:" if request.param == "memory" else f"sqlite://{tmp_path / 'store.db'}")
    yield PlacementStore(documents)
    documents.close()


def test_what_is_written_comes_back_as_it_was(store: PlacementStore) -> None:
    full = Assignment(
        InstanceId("a2"), WEB, 7, InstanceId("a"), 3, 2, CHILD, Desired.STOPPED, Reason.NODE_LOST, "It is gone.", 12.5
    )
    said = replace(
        observation("a2", State.FAILED, 4),
        instance_number=7,
        succession=2,
        reason=Reason.EXITED,
        detail="exit code 3",
        health=Health.UNHEALTHY,
        exit_code=3,
        node_name="n1",
        address="192.0.2.1",
        changed_at_s=99.5,
    )
    store.write_assignments([full], [])
    assert store.all_assignments() == [full]
    assert store.fold_report(CHILD, [said], 100.0) == [(full, said)]
    (heard,) = store.observations_of([WEB])
    assert (heard.observation, heard.heard_at_s) == (said, 100.0)
    assert store.all_observations() == {"a2": said}


def test_assignments_are_found_by_child_service_and_desire(store: PlacementStore) -> None:
    here, there = assignment("a"), assignment("b", child_id=OTHER)
    stopping = assignment("c", desired=Desired.STOPPED)
    elsewhere = assignment("d", service_id=DB)
    store.write_assignments([here, there, stopping, elsewhere], [])
    assert store.assignments_on(CHILD) == [here, stopping, elsewhere]
    assert store.assignments_on(CHILD, WEB) == [here, stopping]
    assert store.stopping_on(CHILD) == [stopping]
    assert store.assignments_of([WEB]) == [here, there, stopping]
    assert store.assignments_of([WEB, DB]) == [here, there, stopping, elsewhere]
    assert store.assignments_of([]) == []
    assert store.assignments_by_id([InstanceId("b"), InstanceId("x")]) == {"b": there}


def test_what_is_forgotten_takes_its_observation_along(store: PlacementStore) -> None:
    store.write_assignments([assignment("a")], [])
    store.fold_report(CHILD, [observation("a")], 1.0)
    store.write_assignments([], [InstanceId("a")])
    assert (store.all_assignments(), store.all_observations()) == ([], {})


def test_only_news_are_news(store: PlacementStore) -> None:
    store.write_assignments([assignment("a")], [])
    assert store.fold_report(CHILD, [observation("a")], 1.0)
    assert store.fold_report(CHILD, [observation("a")], 2.0) == []
    assert store.fold_report(CHILD, [observation("a", State.CREATING)], 3.0) == []
    assert store.observations_of([WEB])[0].heard_at_s == 1.0


def test_a_child_speaks_for_its_own_instances_only(store: PlacementStore) -> None:
    store.write_assignments([assignment("a"), assignment("nowhere", child_id=ChildId(""))], [])
    said = [observation("a"), observation("unknown"), observation("nowhere")]
    assert store.fold_report(OTHER, said, 1.0) == []
    assert store.all_observations() == {}


def test_a_child_does_not_say_whose_slot_its_instance_fills(store: PlacementStore) -> None:
    store.write_assignments([assignment("a", number=4)], [])
    store.fold_report(CHILD, [replace(observation("a"), service_id=DB, instance_number=9)], 1.0)
    assert store.observations_of([DB]) == []
    (heard,) = store.observations_of([WEB])
    assert (heard.observation.service_id, heard.observation.instance_number) == (WEB, 4)


def test_several_words_on_one_instance_in_one_report_come_to_the_last(store: PlacementStore) -> None:
    store.write_assignments([assignment("a")], [])
    store.fold_report(CHILD, [observation("a", State.RUNNING), observation("a", State.FAILED)], 1.0)
    assert store.all_observations()[InstanceId("a")].state is State.FAILED


STATES = st.sampled_from([State.CREATING, State.RUNNING, State.COMPLETED, State.UNDEPLOYED])
SAID = st.lists(st.tuples(STATES, st.integers(0, 2)), min_size=1, max_size=6)


@given(SAID, st.data())
def test_the_order_of_reports_does_not_matter(said: list[tuple[State, int]], data: st.DataObject) -> None:
    ends = set()
    for order in (said, data.draw(st.permutations(said))):
        store = PlacementStore(MemoryDocuments())
        store.write_assignments([assignment("a")], [])
        for state, attempt in order:
            store.fold_report(CHILD, [observation("a", state, attempt)], 1.0)
        ends.add(store.all_observations()[InstanceId("a")].order)
    assert len(ends) == 1


def test_services_without_assignments_have_none(store: PlacementStore) -> None:
    assert store.assignments_of([ServiceId("nothing")]) == []
    assert store.observations_of([]) == []
