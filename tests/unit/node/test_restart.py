"""The restart policy, as tables."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.lifecycle import Reason, State
from edge_common.model.resources import Resources
from edge_common.model.service import RestartMode, RestartPolicy, ServiceSpec
from node_engine.core.operations import Failure, Outcome
from node_engine.core.record import Moment, Record
from node_engine.core.restart import after_exit, after_loss, delay_s, running, start_failed, still_running, waiting_s
from node_engine.core.task import Task, TaskKey, TaskState
from tests.unit.node.world import make_spec

A = InstanceId("a")
NOW = Moment(1_000_000.0, 500.0)
ALWAYS, ON_FAILURE, NEVER = RestartMode


def make_record(spec: ServiceSpec, **fields: object) -> Record:
    given = {"state": State.RUNNING, "task_attempt": 1, "running_since_s": 490.0, **fields}
    return Record(A, ServiceId("s1"), 0, spec, 1, **given)  # type: ignore[arg-type]


def exited(code: int, *, is_out_of_memory: bool = False) -> Task:
    return Task(TaskKey(A, 1), TaskState.EXITED, exit_code=code, is_out_of_memory=is_out_of_memory)


@pytest.mark.parametrize(
    ("mode", "is_one_shot", "code", "state"),
    [
        (ALWAYS, False, 0, State.CREATING),
        (ALWAYS, False, 1, State.CREATING),
        (ON_FAILURE, False, 1, State.CREATING),
        (ON_FAILURE, False, 0, State.FAILED),
        (NEVER, False, 0, State.FAILED),
        (NEVER, False, 1, State.FAILED),
        (NEVER, True, 0, State.COMPLETED),
        (NEVER, True, 1, State.FAILED),
        (ON_FAILURE, True, 0, State.COMPLETED),
        (ON_FAILURE, True, 1, State.CREATING),
    ],
)
def test_what_follows_an_exit(mode: RestartMode, is_one_shot: bool, code: int, state: State) -> None:
    spec = make_spec(restart=RestartPolicy(mode), is_one_shot=is_one_shot)
    after = after_exit(make_record(spec), exited(code), NOW)
    assert (after.state, after.exit_code) == (state, code)
    assert after.attempt == (2 if state is State.CREATING else 1)
    assert after.task_attempt == 1
    assert (after.reason is Reason.NONE) == (state is State.COMPLETED)


def test_attempts_count_restarts_and_a_long_run_forgives_them() -> None:
    spec = make_spec(restart=RestartPolicy(ALWAYS, attempts=2, reset_after_s=60.0))
    spent = make_record(spec, restarts=2)
    failed = after_exit(spent, exited(9), NOW)
    assert (failed.state, failed.reason, failed.exit_code) == (State.FAILED, Reason.EXITED, 9)
    assert failed.detail == "exited with code 9; its restart policy allows 2 restarts"
    again = after_exit(replace(spent, running_since_s=440.0), exited(9), NOW)
    assert (again.state, again.restarts) == (State.CREATING, 1)


def test_a_long_run_forgives_while_it_runs() -> None:
    record = make_record(make_spec(), restarts=3, running_since_s=440.0)
    assert still_running(record, NOW).restarts == 0
    assert still_running(replace(record, running_since_s=441.0), NOW).restarts == 3


def test_out_of_memory_is_said() -> None:
    spec = make_spec(restart=RestartPolicy(NEVER), resources=Resources(memory_mb=64))
    after = after_exit(make_record(spec), exited(137, is_out_of_memory=True), NOW)
    assert after.reason is Reason.OUT_OF_MEMORY
    assert after.detail.startswith("was killed because it needed more than its 64 MiB of memory")


def test_a_restart_says_when() -> None:
    after = after_exit(make_record(make_spec(restart=RestartPolicy(delay_s=4.0)), restarts=0), exited(3), NOW)
    assert (after.reason, after.restarts) == (Reason.BACKING_OFF, 1)
    assert after.detail == "exited with code 3; starting again in 4 s (restart 1)"
    assert after.not_before_s == pytest.approx(500.0 + waiting_s(after))


@pytest.mark.parametrize(
    ("running_since_s", "is_at_once"), [(None, True), (400.0, True), (499.0, False)], ids=["reboot", "long", "short"]
)
def test_what_vanished_starts_at_once_unless_it_only_just_began(running_since_s: float, is_at_once: bool) -> None:
    after = after_loss(make_record(make_spec(), running_since_s=running_since_s, restarts=1), NOW)
    assert (after.state, after.attempt) == (State.CREATING, 2)
    assert (after.not_before_s == 500.0) == is_at_once
    assert after.detail


def test_failed_starts_wait_longer_and_count_no_restart() -> None:
    record = make_record(make_spec(restart=RestartPolicy(attempts=1)), state=State.CREATING)
    failure = Failure(Outcome.TEMPORARY, Reason.IMAGE_UNREACHABLE, "The registry is away.")
    waits = []
    for _ in range(5):
        record = replace(start_failed(record, failure, NOW), task_attempt=None)
        waits.append((record.not_before_s or 0.0) - 500.0)
        assert (record.state, record.restarts, record.reason) == (State.CREATING, 0, Reason.IMAGE_UNREACHABLE)
    assert record.attempt == 6
    assert waits == sorted(waits) and waits[-1] > 10.0
    assert record.detail.startswith("The registry is away; trying again in")
    assert running(record, NOW).failed_starts == 0


def test_a_permanent_failure_ends_it_and_an_unknown_one_keeps_the_attempt() -> None:
    record = make_record(make_spec(), state=State.CREATING)
    gone = start_failed(record, Failure(Outcome.PERMANENT, Reason.IMAGE_NOT_FOUND, "There is no such image."), NOW)
    assert (gone.state, gone.reason, gone.detail) == (
        State.FAILED,
        Reason.IMAGE_NOT_FOUND,
        "There is no such image.",
    )
    unknown = start_failed(record, Failure(Outcome.UNKNOWN, Reason.START_FAILED, "No answer."), NOW)
    assert (unknown.state, unknown.attempt, unknown.task_attempt) == (State.CREATING, 1, 1)


@given(st.floats(0.0, 100.0), st.floats(0.1, 1000.0), st.integers(1, 10_000), st.text(min_size=1, max_size=8))
def test_delays_stay_within_their_bounds_and_are_the_same_each_time(
    first_s: float, longest_s: float, number: int, name: str
) -> None:
    policy = RestartPolicy(delay_s=first_s, max_delay_s=longest_s)
    wait_s = delay_s(policy, number, InstanceId(name))
    assert 0.1 <= wait_s <= max(longest_s, 0.1)
    assert wait_s == delay_s(policy, number, InstanceId(name))


def test_delays_double() -> None:
    waits = [delay_s(RestartPolicy(), number, A) for number in range(1, 9)]
    for wait_s, full_s in zip(waits, (1, 2, 4, 8, 16, 32, 60, 60), strict=True):
        assert 0.9 * full_s <= wait_s <= full_s
