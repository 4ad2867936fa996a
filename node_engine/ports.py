"""What the engine's shell needs of the world, in the core's words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_common.model.errors import HedgerowError
from edge_common.model.lifecycle import Reason
from node_engine.core.task import Task, TaskKey, TaskPlan, TaskUsage


class TaskFailure(HedgerowError):
    """A task could not be made or started. `reason` is for programs, the message for people.

    `is_permanent`: trying again cannot help until somebody changes the spec, the image or the node.
    """

    def __init__(self, message: str, reason: Reason, *, is_permanent: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.is_permanent = is_permanent


@dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    output: bytes


class Runtime(Protocol):
    """One kind of task (containers, Wasm ...).

    Every call is idempotent and bounded in time; calls may come from several threads, never two at once for one key.
    Raises TaskFailure, or Unreachable when the runtime itself does not answer.
    """

    @property
    def name(self) -> str:
        """What a spec's `runtime` calls it."""

    def create(self, plan: TaskPlan, on_progress: Callable[[str], None]) -> None:
        """Make everything up to a task that only waits to be started; pulls the image when the policy says so."""

    def start(self, key: TaskKey) -> None: ...

    def stop(self, key: TaskKey, grace_s: float) -> None:
        """SIGTERM, up to `grace_s`, SIGKILL; then remove all that was made for it. Returns when nothing is left."""

    def remove(self, key: TaskKey) -> None:
        """Take away what an exited or half-made task left."""

    def observe(self) -> list[Task]:
        """Every task of ours on this node, also those that an earlier engine made."""

    def usage(self) -> list[TaskUsage]: ...

    def exec(self, key: TaskKey, command: Sequence[str], timeout_s: float) -> ExecResult: ...

    def watch(self, on_change: Callable[[Task | None], None]) -> None:
        """From now on say each exit as it happens, from a thread of the runtime.

        None says "I may have missed some: observe".
        """

    def close(self) -> None: ...
