"""What to do next about one instance: at most one operation, from its record, what is wanted and what the runtime says.

Level-triggered: whatever was lost on the way, the next look decides the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edge_common.model.lifecycle import TERMINAL, Reason, State
from node_engine.core.operations import Failure, Operation, RemoveTask, StartTask, StopTask
from node_engine.core.record import Moment, Record
from node_engine.core.restart import (
    after_exit,
    after_loss,
    another_attempt,
    cleanup_failed,
    forgives_at_s,
    running,
    start_failed,
    still_running,
    waiting_s,
)
from node_engine.core.task import Task, TaskKey, TaskState


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything beside the record that a decision may depend on.

    `tasks` are those of this instance by attempt; `is_observed` says whether they are all there are. While `is_busy`
    an operation is under way. `hindrance` is why it may not start just now, "" when it may.
    """

    is_wanted: bool
    tasks: Mapping[int, Task]
    is_observed: bool
    moment: Moment
    is_busy: bool = False
    hindrance: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """`record` is as it is without the operation, which may have to wait for room: `begun` is as it is with it.

    `wake_s` (monotonic) is when to look again.
    """

    record: Record
    operation: Operation | None = None
    wake_s: float | None = None

    @property
    def begun(self) -> Record:
        if not isinstance(self.operation, StartTask):
            return self.record
        return replace(self.record, task_attempt=self.record.attempt, reason=Reason.NONE, detail="", not_before_s=None)


def advance(record: Record, situation: Situation) -> Step:
    if situation.is_busy:
        return Step(record)
    if not situation.is_wanted:
        return _withdraw(record, situation)
    if situation.is_observed and record.state not in TERMINAL:
        record = _as_seen(_adopted(record, situation), situation)
    if record.state in TERMINAL:
        return _clean_up(record, situation) or Step(record)
    if record.state is State.RUNNING:
        stray = _clean_up(record, situation, keeps=record.task_attempt)
        return stray or Step(record, wake_s=forgives_at_s(record))
    return _start(record, situation)


def done(record: Record, operation: Operation, *, is_wanted: bool, moment: Moment) -> Record:
    """The record after an operation went well."""
    if operation.key.attempt != record.task_attempt:
        return replace(record, retry_cleanup_s=None, failed_cleanups=0)
    if isinstance(operation, StartTask):
        return running(record, moment) if record.state is State.CREATING else record
    record = replace(record, task_attempt=None, retry_cleanup_s=None, failed_cleanups=0)
    if is_wanted and record.state is State.CREATING and record.attempt == operation.key.attempt:
        return replace(record, attempt=record.attempt + 1)
    return record


def failed(record: Record, operation: Operation, failure: Failure, moment: Moment) -> Record:
    if not isinstance(operation, StartTask):
        return cleanup_failed(record, failure, moment)
    if operation.key.attempt != record.task_attempt or record.state is not State.CREATING:
        return record
    return start_failed(record, failure, moment)


def _withdraw(record: Record, situation: Situation) -> Step:
    step = _clean_up(record, situation)
    if step is not None:
        return step
    if record.state is State.UNDEPLOYED:
        return Step(record)
    gone = replace(
        record,
        state=State.UNDEPLOYED,
        reason=Reason.NONE,
        detail="",
        not_before_s=None,
        running_since_s=None,
        changed_at_s=situation.moment.wall_s,
    )
    return Step(gone)


def _adopted(record: Record, situation: Situation) -> Record:
    """A task that an engine with a better memory made is ours all the same."""
    if record.state is not State.CREATING or record.task_attempt is not None:
        return record
    attempt = max(situation.tasks, default=0)
    if attempt < record.attempt:
        return record
    return replace(record, attempt=attempt, task_attempt=attempt, not_before_s=situation.moment.monotonic_s)


def _as_seen(record: Record, situation: Situation) -> Record:
    moment = situation.moment
    task = situation.tasks.get(record.task_attempt) if record.task_attempt is not None else None
    if record.state is State.CREATING:
        if task is None or task.state is TaskState.CREATED or record.task_attempt != record.attempt:
            return record
        if task.ended_unseen:
            return another_attempt(record, moment)
        record = running(record, moment)
    if task is None or task.state is TaskState.CREATED or task.ended_unseen:
        return after_loss(record, moment)
    if task.state is TaskState.EXITED:
        return after_exit(record, task, moment)
    return still_running(record, moment)


def _start(record: Record, situation: Situation) -> Step:
    if not situation.is_observed:
        return Step(record)
    now_s = situation.moment.monotonic_s
    if record.not_before_s is None:
        record = replace(record, not_before_s=now_s + waiting_s(record))
    step = _clean_up(record, situation, keeps=record.attempt)
    if step is not None:
        return step
    if record.not_before_s is not None and record.not_before_s > now_s:
        return Step(record, wake_s=record.not_before_s)
    if situation.hindrance:
        return Step(replace(record, detail=situation.hindrance))
    return Step(record, StartTask(record.plan))


def _clean_up(record: Record, situation: Situation, keeps: int | None = None) -> Step | None:
    """The next thing to take away, one by one, the oldest first; None when nothing but `keeps` is left."""
    attempts = set(situation.tasks)
    if record.task_attempt is not None:
        attempts.add(record.task_attempt)
    attempts.discard(keeps if keeps is not None else -1)
    if not attempts:
        return None
    retry_s = record.retry_cleanup_s
    if retry_s is not None and retry_s > situation.moment.monotonic_s:
        return Step(record, wake_s=retry_s)
    return Step(record, _removal(record, min(attempts), situation))


def _removal(record: Record, attempt: int, situation: Situation) -> Operation:
    task = situation.tasks.get(attempt)
    key = TaskKey(record.instance_id, attempt)
    is_unknown = task is None and attempt == record.attempt and record.state not in TERMINAL
    if is_unknown or (task is not None and task.state is TaskState.RUNNING):
        return StopTask(key, record.spec.runtime, record.spec.stop_grace_s)
    return RemoveTask(key, record.spec.runtime)
