"""When an instance is started again, and when it is not: the restart policy, and the waiting between tries."""

from dataclasses import replace
from zlib import crc32

from edge_common.model.ids import InstanceId
from edge_common.model.lifecycle import Health, Reason, State
from edge_common.model.service import RestartMode, RestartPolicy
from node_engine.core.operations import Failure, Outcome
from node_engine.core.record import Moment, Record
from node_engine.core.task import Task

SHORTEST_DELAY_S = 0.1
SHORTEST_START_DELAY_S = 1.0
"""Between failed starts, which may ask a registry each time."""
LONGEST_CLEANUP_DELAY_S = 30.0
_JITTER = 0.1
_MAX_DOUBLINGS = 30


def delay_s(policy: RestartPolicy, count: int, instance_id: InstanceId) -> float:
    """The `count`-th wait, from 1. Up to a tenth shorter, by instance, so that many do not start in one moment."""
    wait_s = min(policy.delay_s * 2.0 ** min(max(count, 1) - 1, _MAX_DOUBLINGS), policy.max_delay_s)
    share = crc32(f"{instance_id}:{count}".encode()) / 2**32
    return max(wait_s * (1.0 - _JITTER * share), SHORTEST_DELAY_S)


def running(record: Record, moment: Moment) -> Record:
    return replace(
        record,
        state=State.RUNNING,
        reason=Reason.NONE,
        detail="",
        failed_starts=0,
        health=Health.UNKNOWN,
        started_at_s=moment.wall_s,
        changed_at_s=moment.wall_s,
        not_before_s=None,
        running_since_s=moment.monotonic_s,
    )


def still_running(record: Record, moment: Moment) -> Record:
    """A long run forgives the restarts before it."""
    if record.running_since_s is None:
        record = replace(record, running_since_s=moment.monotonic_s)
    return replace(record, restarts=0) if record.restarts and _ran_long(record, moment) else record


def forgives_at_s(record: Record) -> float | None:
    if record.state is not State.RUNNING or not record.restarts or record.running_since_s is None:
        return None
    return record.running_since_s + record.spec.restart.reset_after_s


def after_exit(record: Record, task: Task, moment: Moment) -> Record:
    policy = record.spec.restart
    restarts = 0 if _ran_long(record, moment) else record.restarts
    record = replace(record, restarts=restarts, exit_code=task.exit_code)
    if record.spec.is_one_shot and task.exit_code == 0:
        return _ended(record, State.COMPLETED, Reason.NONE, "", moment)
    reason = Reason.OUT_OF_MEMORY if task.is_out_of_memory else Reason.EXITED
    return _again(record, _how_it_ended(record, task), reason, moment, wants_restart=_wants_restart(policy, task))


def after_probes(record: Record, why: str, moment: Moment) -> Record:
    """It runs, and its probes say that it had better begin anew: for its restart policy that is an exit."""
    record = replace(record, restarts=0 if _ran_long(record, moment) else record.restarts)
    wants_restart = record.spec.restart.mode is not RestartMode.NEVER
    return _again(record, why, Reason.UNHEALTHY, moment, wants_restart=wants_restart)


def after_loss(record: Record, moment: Moment) -> Record:
    """It was running, and nothing runs now: with a reboot in between that is nobody's fault, so it starts at once."""
    if record.running_since_s is not None and not _ran_long(record, moment):
        return _restarted(record, "vanished", moment)
    return replace(
        another_attempt(record, moment),
        reason=Reason.NONE,
        detail="was gone when the node looked for it, as after a reboot; starting again",
        not_before_s=moment.monotonic_s,
    )


def start_failed(record: Record, failure: Failure, moment: Moment) -> Record:
    """A failure that may pass is tried again for ever; it does not count as a restart."""
    if failure.outcome is Outcome.PERMANENT:
        return _ended(record, State.FAILED, failure.reason, failure.detail, moment)
    record = replace(record, failed_starts=record.failed_starts + 1)
    if failure.outcome is Outcome.TEMPORARY:
        record = another_attempt(record, moment)
    wait_s = waiting_s(record)
    return replace(
        record,
        reason=failure.reason,
        detail=f"{failure.detail.rstrip('.')}; trying again in {_spell(wait_s)}",
        not_before_s=moment.monotonic_s + wait_s,
        changed_at_s=moment.wall_s,
    )


def another_attempt(record: Record, moment: Moment) -> Record:
    return replace(
        record,
        attempt=record.attempt + 1,
        state=State.CREATING,
        health=Health.UNKNOWN,
        changed_at_s=moment.wall_s,
        running_since_s=None,
    )


def waiting_s(record: Record) -> float:
    """How long a record that is not started yet has to wait, counted from the moment that made it wait."""
    policy = record.spec.restart
    if record.failed_starts:
        return max(delay_s(policy, record.failed_starts, record.instance_id), SHORTEST_START_DELAY_S)
    if record.reason is Reason.BACKING_OFF:
        return delay_s(policy, record.restarts, record.instance_id)
    return 0.0


def cleanup_failed(record: Record, failure: Failure, moment: Moment) -> Record:
    wait_s = min(2.0 ** min(record.failed_cleanups, _MAX_DOUBLINGS), LONGEST_CLEANUP_DELAY_S)
    return replace(
        record,
        detail=f"{failure.detail.rstrip('.')}; trying to clean up again in {_spell(wait_s)}",
        failed_cleanups=record.failed_cleanups + 1,
        retry_cleanup_s=moment.monotonic_s + wait_s,
    )


def _again(record: Record, said: str, reason: Reason, moment: Moment, *, wants_restart: bool) -> Record:
    """Another attempt where its policy wants one and has one left, else its end, for `reason`."""
    policy = record.spec.restart
    if not wants_restart:
        return _ended(record, State.FAILED, reason, f"{said}; its restart policy is {policy.mode}", moment)
    if policy.attempts is not None and record.restarts >= policy.attempts:
        detail = f"{said}; its restart policy allows {policy.attempts} restarts"
        return _ended(record, State.FAILED, reason, detail, moment)
    return _restarted(record, said, moment)


def _restarted(record: Record, said: str, moment: Moment) -> Record:
    record = replace(another_attempt(record, moment), restarts=record.restarts + 1, reason=Reason.BACKING_OFF)
    wait_s = waiting_s(record)
    return replace(
        record,
        detail=f"{said}; starting again in {_spell(wait_s)} (restart {record.restarts})",
        not_before_s=moment.monotonic_s + wait_s,
    )


def _ended(record: Record, state: State, reason: Reason, detail: str, moment: Moment) -> Record:
    return replace(
        record,
        state=state,
        reason=reason,
        detail=detail,
        changed_at_s=moment.wall_s,
        not_before_s=None,
        running_since_s=None,
    )


def _wants_restart(policy: RestartPolicy, task: Task) -> bool:
    return policy.mode is RestartMode.ALWAYS or (policy.mode is RestartMode.ON_FAILURE and task.exit_code != 0)


def _ran_long(record: Record, moment: Moment) -> bool:
    since_s = record.running_since_s
    return since_s is not None and moment.monotonic_s - since_s >= record.spec.restart.reset_after_s


def _how_it_ended(record: Record, task: Task) -> str:
    if task.is_out_of_memory:
        return f"was killed because it needed more than its {record.spec.resources.memory_mb} MiB of memory"
    return f"exited with code {task.exit_code}"


def _spell(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 1.0 else f"{seconds:.1f} s"
