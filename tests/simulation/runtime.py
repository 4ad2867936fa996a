"""Containers that are only remembered; they outlive the engine, and not the machine."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_common.model.ids import InstanceId
from edge_common.model.lifecycle import Reason
from node_engine.core.task import Task, TaskKey, TaskPlan, TaskState, TaskUsage
from node_engine.ports import ExecResult, TaskFailure

NO_IMAGE, CRASHING_IMAGE = "no-such-image", "crashing-image"


class SimulatedRuntime:
    """`started` counts the starts of each instance on this node; `given` are the values that each got, in the clear.

    What has CRASHING_IMAGE ends as soon as it runs. `images` says what each instance was made from.
    """

    name = "container"

    def __init__(self) -> None:
        self._tasks: dict[TaskKey, Task] = {}
        self._watcher: Callable[[Task | None], None] | None = None
        self.started: dict[InstanceId, int] = {}
        self.given: dict[TaskKey, tuple[bytes, ...]] = {}
        self.numbers: dict[InstanceId, tuple[str, int]] = {}
        self.images: dict[InstanceId, str] = {}

    def create(self, plan: TaskPlan, on_progress: Callable[[str], None]) -> None:
        on_progress("making it")
        if plan.spec.image == NO_IMAGE:
            raise TaskFailure("There is no such image.", Reason.IMAGE_NOT_FOUND, is_permanent=True)
        self.images[plan.key.instance_id] = plan.spec.image
        self.numbers[plan.key.instance_id] = (plan.spec.service_id, plan.instance_number)
        self.given[plan.key] = tuple(plan.value_of(ref) for ref in plan.spec.values)
        self._tasks.setdefault(plan.key, Task(plan.key, TaskState.CREATED))

    def start(self, key: TaskKey) -> None:
        task = self._tasks.get(key)
        if task is None:
            raise TaskFailure(f"{key} was never made.", Reason.START_FAILED)
        if task.state is TaskState.CREATED:
            self._tasks[key] = replace(task, state=TaskState.RUNNING, pid=1)
            self.started[key.instance_id] = self.started.get(key.instance_id, 0) + 1
            if self.images.get(key.instance_id) == CRASHING_IMAGE:
                self._exit(key, 1)

    def stop(self, key: TaskKey, grace_s: float) -> None:
        del grace_s
        self._tasks.pop(key, None)

    def remove(self, key: TaskKey) -> None:
        task = self._tasks.get(key)
        if task is not None and task.state is not TaskState.RUNNING:
            del self._tasks[key]

    def observe(self) -> list[Task]:
        return list(self._tasks.values())

    def usage(self) -> list[TaskUsage]:
        return []

    def exec(self, key: TaskKey, command: Sequence[str], timeout_s: float) -> ExecResult:
        raise TaskFailure(f"{key} runs nothing ({command}, {timeout_s}).", Reason.START_FAILED)

    def watch(self, on_change: Callable[[Task | None], None]) -> None:
        self._watcher = on_change

    def close(self) -> None:
        pass

    def forget_watcher(self) -> None:
        self._watcher = None

    def lose_all(self) -> None:
        self._tasks.clear()

    def exit_one(self, choose: Callable[[Sequence[TaskKey]], TaskKey], code: int) -> InstanceId | None:
        """One of the running ends by itself."""
        running = [key for key, task in self._tasks.items() if task.state is TaskState.RUNNING]
        if not running:
            return None
        key = choose(running)
        self._exit(key, code)
        return key.instance_id

    def _exit(self, key: TaskKey, code: int) -> None:
        self._tasks[key] = replace(self._tasks[key], state=TaskState.EXITED, exit_code=code, pid=0)
        if self._watcher is not None:
            self._watcher(self._tasks[key])

    def running(self) -> list[InstanceId]:
        return [key.instance_id for key, task in self._tasks.items() if task.state is TaskState.RUNNING]
