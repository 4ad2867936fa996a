"""Carries out operations on the runtimes, beside the mailbox, and says how they went."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from edge_common.model.errors import HedgerowError, InvalidInput, Temporary
from edge_common.model.ids import InstanceId
from edge_common.model.lifecycle import Reason
from edge_common.model.values import OpenValue, SealedValue, sealing_context
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.sealing import SealingKey
from node_engine.core.operations import Failure, Operation, Outcome, RemoveTask, StartTask, StopTask
from node_engine.core.task import TaskKey, TaskPlan
from node_engine.events import OperationDone, Progressed
from node_engine.ports import Pool, Runtime, TaskFailure

logger = logging.getLogger(__name__)

Post = Callable[[object], object]
MAX_STARTS = 6
"""At once. A pull may take minutes; what is left of the pool is for stops."""
PROGRESS_GAP_S = 1.0

OpenPlan = Callable[[TaskPlan], TaskPlan]
"""Puts the values that a plan has sealed into it in the clear. Raises TaskFailure."""


def as_it_is(plan: TaskPlan) -> TaskPlan:
    return plan


def opening_with(key: SealingKey) -> OpenPlan:
    def open_plan(plan: TaskPlan) -> TaskPlan:
        return replace(plan, values=tuple(_opened(key, each, plan) for each in plan.sealed))

    return open_plan


def _opened(key: SealingKey, sealed: SealedValue, plan: TaskPlan) -> OpenValue:
    try:
        data = key.open(sealed.box, sealing_context(sealed.value_id, sealed.version))
    except InvalidInput as error:
        names = {(ref.value_id, ref.version): str(ref) for ref in plan.spec.values}
        what = names.get((sealed.value_id, sealed.version), "value")
        raise TaskFailure(
            f"The {what} cannot be opened: it was sealed for another key than this node has now. "
            "The cluster sends it again when it hears of the new key.",
            Reason.START_FAILED,
        ) from error
    return OpenValue(sealed.value_id, sealed.version, data)


class Operator:
    """At most one operation an instance at a time, as many in all as the pool has room for.

    `post` is called from the pool's threads, too.
    """

    def __init__(
        self,
        runtimes: Mapping[str, Runtime],
        pool: Pool,
        clock: Clock,
        post: Post,
        max_starts: int = MAX_STARTS,
        open_plan: OpenPlan = as_it_is,
    ) -> None:
        self._runtimes = runtimes
        self._pool = pool
        self._clock = clock
        self._post = post
        self._max_starts = max_starts
        self._open_plan = open_plan
        self._busy: dict[InstanceId, Operation] = {}

    @property
    def busy(self) -> Collection[InstanceId]:
        return self._busy.keys()

    def fits(self, operation: Operation, before_it: Sequence[Operation]) -> bool:
        """Whether there is room for it after those that were decided before it."""
        if len(before_it) >= self._pool.room():
            return False
        if not isinstance(operation, StartTask):
            return True
        starts = sum(isinstance(each, StartTask) for each in (*self._busy.values(), *before_it))
        return starts < self._max_starts

    def begin(self, operation: Operation) -> None:
        logger.info("event=operation_begun operation=%s task=%s", type(operation).__name__, operation.key)
        self._busy[operation.key.instance_id] = operation
        runtimes, report, open_plan = self._runtimes, self._progress_of(operation.key), self._open_plan
        self._pool.submit(lambda: perform(runtimes, operation, report, open_plan))

    def ended(self, operation: Operation) -> None:
        del self._busy[operation.key.instance_id]

    def _progress_of(self, key: TaskKey) -> Callable[[str], None]:
        said_at_s = float("-inf")

        def report(text: str) -> None:
            nonlocal said_at_s
            now_s = self._clock.monotonic_s()
            if now_s - said_at_s >= PROGRESS_GAP_S:
                said_at_s = now_s
                self._post(Progressed(key, text))

        return report


def perform(
    runtimes: Mapping[str, Runtime],
    operation: Operation,
    on_progress: Callable[[str], None],
    open_plan: OpenPlan = as_it_is,
) -> OperationDone:
    try:
        _perform(runtimes, operation, on_progress, open_plan)
    except HedgerowError as error:
        failure = failure_of(error)
        logger.warning(
            "event=operation_failed operation=%s task=%s reason=%s detail=%r",
            type(operation).__name__, operation.key, failure.reason, failure.detail,
        )  # fmt: skip
        return OperationDone(operation, failure)
    except Exception:
        logger.exception("event=operation_broke operation=%s task=%s", type(operation).__name__, operation.key)
        detail = "The node engine failed over this instance; its log says how"
        return OperationDone(operation, Failure(Outcome.UNKNOWN, Reason.START_FAILED, detail))
    return OperationDone(operation)


def failure_of(error: HedgerowError) -> Failure:
    if isinstance(error, TaskFailure):
        outcome = Outcome.PERMANENT if error.is_permanent else Outcome.TEMPORARY
        return Failure(outcome, error.reason, str(error))
    if isinstance(error, InvalidInput):
        return Failure(Outcome.PERMANENT, Reason.START_FAILED, str(error))
    if isinstance(error, Temporary):
        return Failure(Outcome.UNKNOWN, Reason.START_FAILED, str(error))
    return Failure(Outcome.TEMPORARY, Reason.START_FAILED, str(error))


def _perform(
    runtimes: Mapping[str, Runtime], operation: Operation, on_progress: Callable[[str], None], open_plan: OpenPlan
) -> None:
    runtime = runtimes.get(operation.runtime)
    if runtime is None:
        _refuse(runtimes, operation)
        return
    match operation:
        case StartTask(plan=plan):
            runtime.create(open_plan(plan), on_progress)
            runtime.start(plan.key)
        case StopTask(key=key, grace_s=grace_s):
            runtime.stop(key, grace_s)
        case RemoveTask(key=key):
            runtime.remove(key)


def _refuse(runtimes: Mapping[str, Runtime], operation: Operation) -> None:
    """Nothing can be left of what this node cannot run; so only a start is a failure."""
    if isinstance(operation, StartTask):
        known = ", ".join(sorted(runtimes)) or "none"
        raise TaskFailure(
            f"This node has no runtime {operation.runtime!r}; it has: {known}.",
            Reason.RUNTIME_MISSING,
            is_permanent=True,
        )
