"""One instance, at most one operation: what is decided in which situation."""

from dataclasses import replace

import pytest

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.lifecycle import Reason, State
from edge_common.model.network import PortMapping
from node_engine.core.operations import Failure, Operation, Outcome, RemoveTask, StartTask, StopTask
from node_engine.core.ports_in_use import hindrance
from node_engine.core.reconcile import Situation, Step, advance, done, failed
from node_engine.core.record import Moment, Record
from node_engine.core.task import Task, TaskKey, TaskState
from tests.unit.node.world import make_spec

A = InstanceId("a")
NOW = Moment(1_000_000.0, 500.0)
SPEC = make_spec(stop_grace_s=7.0)
NEW = Record(A, ServiceId("s1"), 0, SPEC, 1)
STARTING = replace(NEW, task_attempt=1)
RUNNING = replace(STARTING, state=State.RUNNING, running_since_s=490.0)
FAILED = replace(STARTING, state=State.FAILED)
WAITING = replace(NEW, attempt=2, reason=Reason.BACKING_OFF, restarts=1, not_before_s=510.0)
CREATED, UP, EXITED = TaskState.CREATED, TaskState.RUNNING, TaskState.EXITED


def task(state: TaskState, attempt: int = 1, exit_code: int | None = None) -> Task:
    return Task(TaskKey(A, attempt), state, exit_code=exit_code)


def look(
    record: Record,
    *tasks: Task,
    is_wanted: bool = True,
    is_observed: bool = True,
    is_busy: bool = False,
    hindered: str = "",
) -> Step:
    by_attempt = {each.key.attempt: each for each in tasks}
    return advance(record, Situation(is_wanted, by_attempt, is_observed, NOW, is_busy, hindered))


def start(record: Record) -> Operation:
    return StartTask(record.plan)


def stop(attempt: int = 1) -> Operation:
    return StopTask(TaskKey(A, attempt), "container", 7.0)


def remove(attempt: int = 1) -> Operation:
    return RemoveTask(TaskKey(A, attempt), "container")


@pytest.mark.parametrize(
    ("record", "tasks", "operation"),
    [
        (NEW, [], start(NEW)),
        (STARTING, [], start(STARTING)),
        (STARTING, [task(CREATED)], start(STARTING)),
        (STARTING, [task(UP)], None),
        (RUNNING, [task(UP)], None),
        (RUNNING, [task(UP), task(UP, 3)], stop(3)),
        (RUNNING, [task(UP), task(EXITED, 3, 0)], remove(3)),
        (FAILED, [], remove()),
        (FAILED, [task(UP)], stop()),
        (replace(FAILED, task_attempt=None), [], None),
        (WAITING, [], None),
        (WAITING, [task(EXITED, 1, 0)], remove(1)),
        (WAITING, [task(UP, 1)], stop(1)),
        (replace(WAITING, task_attempt=1), [], remove(1)),
        (replace(WAITING, not_before_s=500.0), [], StartTask(WAITING.plan)),
    ],
)
def test_wanted(record: Record, tasks: list[Task], operation: Operation | None) -> None:
    assert look(record, *tasks).operation == operation


@pytest.mark.parametrize(
    ("record", "tasks", "operation", "state"),
    [
        (NEW, [], None, State.UNDEPLOYED),
        (WAITING, [], None, State.UNDEPLOYED),
        (STARTING, [], stop(), State.CREATING),
        (STARTING, [task(CREATED)], remove(), State.CREATING),
        (RUNNING, [task(UP)], stop(), State.RUNNING),
        (RUNNING, [], stop(), State.RUNNING),
        (RUNNING, [task(EXITED, 1, 0)], remove(), State.RUNNING),
        (FAILED, [], remove(), State.FAILED),
        (replace(FAILED, task_attempt=None), [], None, State.UNDEPLOYED),
        (replace(NEW, state=State.UNDEPLOYED), [], None, State.UNDEPLOYED),
        (replace(NEW, state=State.UNDEPLOYED), [task(UP)], stop(), State.UNDEPLOYED),
    ],
)
def test_not_wanted(record: Record, tasks: list[Task], operation: Operation | None, state: State) -> None:
    step = look(record, *tasks, is_wanted=False)
    assert (step.operation, step.record.state) == (operation, state)


@pytest.mark.parametrize("record", [NEW, STARTING, RUNNING, WAITING])
def test_nothing_is_decided_while_nobody_knows_what_is_there(record: Record) -> None:
    assert look(record, is_observed=False) == Step(record)


@pytest.mark.parametrize("record", [NEW, STARTING, RUNNING, FAILED])
@pytest.mark.parametrize("is_wanted", [True, False])
def test_a_busy_one_is_left_alone(record: Record, is_wanted: bool) -> None:
    assert look(record, is_wanted=is_wanted, is_busy=True) == Step(record)


@pytest.mark.parametrize(
    ("record", "tasks", "state", "attempt"),
    [
        (STARTING, [task(UP)], State.RUNNING, 1),
        (STARTING, [task(EXITED, 1, 3)], State.CREATING, 2),
        (STARTING, [task(EXITED, 1, None)], State.CREATING, 2),
        (RUNNING, [task(EXITED, 1, 3)], State.CREATING, 2),
        (RUNNING, [], State.CREATING, 2),
        (RUNNING, [task(CREATED)], State.CREATING, 2),
        (NEW, [task(UP, 4)], State.RUNNING, 4),
        (NEW, [task(EXITED, 4, 3)], State.CREATING, 5),
        (NEW, [task(CREATED, 4)], State.CREATING, 4),
        (WAITING, [task(UP, 1)], State.CREATING, 2),
    ],
)
def test_what_the_runtime_says_is_believed(record: Record, tasks: list[Task], state: State, attempt: int) -> None:
    after = look(record, *tasks).record
    assert (after.state, after.attempt) == (state, attempt)


def test_a_start_is_written_down_as_begun_only_with_its_operation() -> None:
    step = look(NEW)
    assert (step.record.task_attempt, step.begun.task_attempt) == (None, 1)


def test_one_that_is_hindered_says_so_and_does_not_start() -> None:
    step = look(NEW, hindered="waits for port 80/tcp")
    assert (step.operation, step.record.detail) == (None, "waits for port 80/tcp")


def test_waiting_says_when_to_look_again() -> None:
    assert look(WAITING).wake_s == 510.0
    assert look(replace(RUNNING, restarts=1), task(UP)).wake_s == 550.0
    assert look(RUNNING, task(UP)).wake_s is None


def test_after_a_restart_of_the_engine_it_waits_as_long_again() -> None:
    step = look(replace(WAITING, not_before_s=None))
    assert step.wake_s is not None and 500.9 <= step.wake_s <= 501.0


def test_a_failed_clean_up_is_tried_again_later_and_blocks_the_start() -> None:
    record = replace(WAITING, task_attempt=1, not_before_s=0.0)
    failure = Failure(Outcome.UNKNOWN, Reason.START_FAILED, "containerd does not answer.")
    waiting = failed(record, remove(1), failure, NOW)
    assert waiting.detail == "containerd does not answer; trying to clean up again in 1 s"
    assert look(waiting).operation is None
    assert look(replace(waiting, retry_cleanup_s=499.0)).operation == remove(1)


def test_done() -> None:
    assert done(STARTING, start(STARTING), is_wanted=True, moment=NOW).state is State.RUNNING
    assert done(RUNNING, stop(), is_wanted=False, moment=NOW).task_attempt is None
    assert done(RUNNING, stop(3), is_wanted=True, moment=NOW).task_attempt == 1
    wanted_again = done(STARTING, stop(), is_wanted=True, moment=NOW)
    assert (wanted_again.attempt, wanted_again.task_attempt) == (2, None)


def test_a_late_failure_of_another_attempt_changes_nothing() -> None:
    failure = Failure(Outcome.PERMANENT, Reason.IMAGE_NOT_FOUND, "no")
    later = replace(STARTING, attempt=2, task_attempt=2)
    assert failed(later, start(STARTING), failure, NOW) == later


def test_ports_hinder_only_those_who_share_them() -> None:
    leaving = replace(RUNNING, instance_id=InstanceId("old"), spec=make_spec(ports=(PortMapping(80, 80),)))
    same = replace(NEW, spec=make_spec(ports=(PortMapping(80, 8080),)))
    other = replace(NEW, spec=make_spec(ports=(PortMapping(81, 80),)))
    assert "port 80/tcp" in hindrance(same, [leaving]) and "instance old" in hindrance(same, [leaving])
    assert hindrance(other, [leaving]) == hindrance(NEW, [leaving]) == hindrance(same, []) == ""
