import pytest

from hedgerow.deployment import endpoints, progress_of
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
