import pytest

from hedgerow.deployment import endpoints, progress_of, rollout_state
from tests.unit.operator.fake_root import instance, service


@pytest.mark.parametrize(
    ("case", "is_done"),
    [
        (service("web", instance(0)), True),
        (service("web", replicas=0), True),
        (service("web", replicas=1), False),
        (service("web", instance(0, health="starting")), False),
        (service("web", instance(0, "CREATING")), False),
        (service("web", instance(0), spec_revision=2), False),
        (service("web", instance(0, "DEAD")), False),
        (service("web", instance(0), instance(1, desired="STOPPED"), replicas=1), True),
        (service("web", instance(0, "COMPLETED"), one_shot=True), True),
        (service("web", instance(0, "RUNNING"), one_shot=True), False),
        (service("web", instance(0, "COMPLETED")), False),
        (service("web", instance(0), instance(1, "FAILED")), False),
    ],
)
def test_done_is_what_was_wanted_and_healthy(case: dict[str, object], is_done: bool) -> None:
    assert progress_of(case).is_done is is_done


def test_a_refusal_is_stuck_and_says_so() -> None:
    refused = instance(0, "NO_WORKER_CAPACITY", reason="NO_CAPACITY", status_detail="1 node: memory 9 GiB.")
    progress = progress_of(service("web", refused))
    assert progress.stuck == ("shop.web.0 is NO_WORKER_CAPACITY: 1 node: memory 9 GiB.",)
    assert not progress.failed


def test_endpoints_are_those_of_running_instances() -> None:
    case = service("web", instance(0), instance(1, "FAILED", publicip="10.0.0.8"), port="8080:80/tcp;53:53/udp")
    assert endpoints(case) == ("10.0.0.7:8080", "10.0.0.7:53")
    assert endpoints(service("web", instance(0, publicip="fd00::1"))) == ("[fd00::1]:8080",)
    assert endpoints(service("web", instance(0), port="")) == ()


def rollout(state: str, **changes: object) -> dict[str, object]:
    return {"state": state, "from": 1, "to": 2, "healthy": 1, "total": 2, "reason": "", **changes}


@pytest.mark.parametrize(
    ("case", "is_done"),
    [
        (service("web", instance(0), rollout=rollout("rolling")), False),
        (service("web", instance(0), rollout=rollout("rolling", **{"from": 0})), True),
        (service("web", instance(0), rollout=rollout("done")), True),
        (service("web", instance(0), rollout=rollout("paused", reason="It failed.")), False),
        (service("web", instance(0, spec_revision=1, is_current=True), spec_revision=3), True),
    ],
)
def test_a_change_is_done_when_its_rollout_is(case: dict[str, object], is_done: bool) -> None:
    assert progress_of(case).is_done is is_done


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        ("done", "", "done, revision 2"),
        ("rolling", "", "rolling, revision 2, 1 of 2 are well"),
        ("rolled_back", "It failed.", "rolled_back, revision 2: It failed."),
    ],
)
def test_the_state_of_a_rollout_in_a_line(state: str, reason: str, said: str) -> None:
    assert rollout_state(service("web", rollout=rollout(state, reason=reason))) == said


def test_an_old_instance_that_failed_does_not_fail_the_change() -> None:
    case = service("web", instance(0, "FAILED", spec_revision=1), spec_revision=2)
    assert not progress_of(case).failed


def test_a_change_that_was_taken_back_failed() -> None:
    went_back = rollout("rolled_back", reason="Back to revision 1: Instance 0 failed.")
    case = service("web", instance(0, spec_revision=3), spec_revision=3, rollout=went_back)
    assert progress_of(case, 2).failed == (
        "shop.web did not stay at revision 2: Back to revision 1: Instance 0 failed.",
    )
