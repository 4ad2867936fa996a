"""Carries out one operation on a runtime and says how it went. Runs in a pool, never in the mailbox."""

import logging
from collections.abc import Callable, Mapping

from edge_common.model.errors import HedgerowError, InvalidInput, Temporary
from edge_common.model.lifecycle import Reason
from node_engine.core.operations import Failure, Operation, Outcome, RemoveTask, StartTask, StopTask
from node_engine.events import OperationDone
from node_engine.ports import Runtime, TaskFailure

logger = logging.getLogger(__name__)


def perform(runtimes: Mapping[str, Runtime], operation: Operation, on_progress: Callable[[str], None]) -> OperationDone:
    try:
        _perform(runtimes, operation, on_progress)
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


def _perform(runtimes: Mapping[str, Runtime], operation: Operation, on_progress: Callable[[str], None]) -> None:
    runtime = runtimes.get(operation.runtime)
    if runtime is None:
        _refuse(runtimes, operation)
        return
    match operation:
        case StartTask(plan=plan):
            runtime.create(plan, on_progress)
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
