"""Which word a user sees, for every state and every reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.ids import NO_CHILD, ChildId, InstanceId, ServiceId
from edge_common.model.instance import Assignment, HeardObservation, Observation
from edge_common.model.lifecycle import Desired, Reason, State
from root_orchestrator.core.status import NO_STATUS, Status, instance_status, most_telling

OAK_CLI_KNOWS = {
    "TargetClusterNotFound", "TargetClusterNotActive", "TargetClusterNoCapacity", "NoActiveClusterWithCapacity",
    "NO_WORKER_CAPACITY", "NO_QUALIFIED_WORKER_FOUND", "NO_NODE_FOUND", "REQUESTED", "CLUSTER_SCHEDULED",
    "NODE_SCHEDULED", "CREATING", "CREATED", "RUNNING", "FAILED", "DEAD", "COMPLETED", "UNDEPLOYED", "0", "1",
}  # fmt: skip
"""It raises an error for any other name."""


def assignment(reason: Reason = Reason.NONE, child_id: str = "", desired: Desired = Desired.RUNNING) -> Assignment:
    return Assignment(
        instance_id=InstanceId("i1"),
        service_id=ServiceId("s1"),
        instance_number=0,
        origin_id=InstanceId("i1"),
        spec_revision=1,
        child_id=ChildId(child_id),
        desired=desired,
        reason=reason,
        detail="why",
        since_s=90.0,
    )


def heard(state: State, reason: Reason = Reason.NONE, instance_id: str = "i1") -> HeardObservation:
    seen = Observation(InstanceId(instance_id), ServiceId("s1"), 0, state, reason=reason, detail="seen")
    return HeardObservation(seen, 95.0)


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        (Reason.NONE, "REQUESTED"),
        (Reason.CLUSTER_LOST, "REQUESTED"),
        (Reason.NO_CANDIDATE, "NoActiveClusterWithCapacity"),
        (Reason.NO_CAPACITY, "NoActiveClusterWithCapacity"),
        (Reason.NOT_ELIGIBLE, "NoActiveClusterWithCapacity"),
        (Reason.TARGET_NOT_FOUND, "TargetClusterNotFound"),
        (Reason.TARGET_NOT_READY, "TargetClusterNotActive"),
        (Reason.TARGET_NO_CAPACITY, "TargetClusterNoCapacity"),
    ],
)
def test_a_refusal_of_the_root(reason: Reason, name: str) -> None:
    assert instance_status(assignment(reason), None, 100.0) == Status(name, "why", reason, 10.0)


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        (Reason.NONE, "CLUSTER_SCHEDULED"),
        (Reason.NO_CANDIDATE, "NO_NODE_FOUND"),
        (Reason.NO_CAPACITY, "NO_WORKER_CAPACITY"),
        (Reason.NOT_ELIGIBLE, "NO_QUALIFIED_WORKER_FOUND"),
        (Reason.TARGET_NOT_FOUND, "NO_QUALIFIED_WORKER_FOUND"),
        (Reason.TARGET_NOT_READY, "NO_QUALIFIED_WORKER_FOUND"),
        (Reason.TARGET_NO_CAPACITY, "NO_WORKER_CAPACITY"),
    ],
)
def test_a_refusal_of_a_cluster(reason: Reason, name: str) -> None:
    told = instance_status(assignment(child_id="c1"), heard(State.CLUSTER_SCHEDULED, reason), 100.0)
    assert told == Status(name, "seen", reason, 5.0)


def test_what_is_wanted_and_not_yet_seen() -> None:
    assert instance_status(None, None, 1.0).name == "REQUESTED"
    assert instance_status(assignment(child_id="c1"), None, 100.0).name == "CLUSTER_SCHEDULED"
    assert instance_status(assignment(desired=Desired.STOPPED), None, 100.0).name == "UNDEPLOYED"


def test_what_was_heard_of_a_predecessor_does_not_count() -> None:
    told = instance_status(assignment(child_id="c1"), heard(State.RUNNING, instance_id="i0"), 100.0)
    assert told.name == "CLUSTER_SCHEDULED"


@given(
    st.none() | st.builds(assignment, st.sampled_from(Reason), st.sampled_from([NO_CHILD, "c1"]),
                          st.sampled_from(Desired)),
    st.none() | st.builds(heard, st.sampled_from(State), st.sampled_from(Reason), st.sampled_from(["i1", "i2"])),
)  # fmt: skip
def test_oak_cli_knows_every_status(placed: Assignment | None, said: HeardObservation | None) -> None:
    status = instance_status(placed, said, 100.0)
    assert status.name in OAK_CLI_KNOWS and status.age_s >= 0
    assert most_telling([status]) == status


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], ""),
        (["RUNNING", "FAILED", "NO_WORKER_CAPACITY"], "FAILED"),
        (["RUNNING", "NO_WORKER_CAPACITY", "REQUESTED"], "NO_WORKER_CAPACITY"),
        (["RUNNING", "CREATING", "COMPLETED"], "CREATING"),
        (["COMPLETED", "RUNNING"], "RUNNING"),
        (["UNDEPLOYED", "COMPLETED"], "COMPLETED"),
    ],
)
def test_a_service_shows_its_most_telling_instance(names: list[str], told: str) -> None:
    assert most_telling([Status(name) for name in names]).name == told
    assert most_telling([]) == NO_STATUS
