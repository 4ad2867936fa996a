"""A runtime without containers. What runs in it outlives the engines that use it, one after another."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from edge_common.model.errors import NotFound, Unreachable
from edge_common.model.ids import InstanceId
from edge_common.model.lifecycle import Reason
from edge_common.plumbing.clock import Clock
from node_engine.core.task import Task, TaskKey, TaskPlan, TaskState, TaskUsage
from node_engine.ports import ExecResult, TaskFailure

OnChange = Callable[[Task | None], None]


class FakeRuntime:
    """Programmable: see the attributes and the methods that no `Runtime` has.

    `most_at_once` counts, for each instance, how many of its tasks ever ran at the same time; `started` and `stopped`
    list every task that began to run, and every running one that `stop` ended. `given` are the values that came with
    each, in the clear.
    """

    def __init__(self, clock: Clock | None = None, name: str = "container") -> None:
        self._clock = clock
        self._name = name
        self._lock = threading.Lock()
        self._tasks: dict[TaskKey, Task] = {}
        self._watchers: list[OnChange] = []
        self._failures: dict[InstanceId, list[TaskFailure]] = {}
        self._lasting_failures: dict[InstanceId, TaskFailure] = {}
        self._exits_at_once: dict[InstanceId, int] = {}
        self.is_reachable = True
        self.does_tell = True
        self.answers_lost = 0
        self.most_at_once: Counter[InstanceId] = Counter()
        self.started: list[TaskKey] = []
        self.stopped: list[TaskKey] = []
        self.given: dict[TaskKey, tuple[bytes, ...]] = {}
        self.plans: list[TaskPlan] = []

    @property
    def name(self) -> str:
        return self._name

    def create(self, plan: TaskPlan, on_progress: Callable[[str], None]) -> None:
        with self._call():
            self._fail(plan.key.instance_id)
            self.plans.append(plan)
            if plan.key not in self._tasks:
                on_progress("unpacking the image")
                self.given[plan.key] = tuple(plan.value_of(ref) for ref in plan.spec.values)
                self._tasks[plan.key] = Task(plan.key, TaskState.CREATED)

    def start(self, key: TaskKey) -> None:
        with self._call():
            task = self._tasks.get(key)
            if task is None:
                raise NotFound(f"There is no task {key}.")
            if task.state is TaskState.CREATED:
                self._tasks[key] = replace(task, state=TaskState.RUNNING, pid=1000 + len(self.started))
                self.started.append(key)
                at_once = len(self.running(key.instance_id))
                self.most_at_once[key.instance_id] = max(self.most_at_once[key.instance_id], at_once)
        if key.instance_id in self._exits_at_once:
            self.exit(key.instance_id, self._exits_at_once[key.instance_id])

    def stop(self, key: TaskKey, grace_s: float) -> None:
        with self._call():
            task = self._tasks.pop(key, None)
            if task is not None and task.state is TaskState.RUNNING:
                self.stopped.append(key)
        if task is not None and task.state is TaskState.RUNNING:
            self._tell(replace(task, state=TaskState.EXITED, exit_code=143, pid=0))

    def remove(self, key: TaskKey) -> None:
        with self._call():
            task = self._tasks.get(key)
            if task is not None and task.state is TaskState.RUNNING:
                raise TaskFailure(f"Task {key} still runs.", Reason.START_FAILED)
            self._tasks.pop(key, None)

    def observe(self) -> list[Task]:
        with self._lock:
            self._check_reachable()
            return list(self._tasks.values())

    def usage(self) -> list[TaskUsage]:
        return [TaskUsage(task.key, 1.0, 1 << 20) for task in self.observe() if task.state is TaskState.RUNNING]

    def exec(self, key: TaskKey, command: Sequence[str], timeout_s: float) -> ExecResult:
        with self._lock:
            self._check_reachable()
            if key not in self._tasks:
                raise NotFound(f"There is no task {key}.")
        return ExecResult(0, " ".join(command).encode())

    def watch(self, on_change: OnChange) -> None:
        self._watchers.append(on_change)

    def close(self) -> None:
        self._watchers.clear()

    def running(self, instance_id: InstanceId | None = None) -> list[TaskKey]:
        return sorted(
            task.key
            for task in self._tasks.values()
            if task.state is TaskState.RUNNING and instance_id in {None, task.key.instance_id}
        )

    def tasks(self) -> list[Task]:
        return list(self._tasks.values())

    def exit(self, instance_id: InstanceId, code: int = 0, *, is_out_of_memory: bool = False) -> bool:
        """Its process ends; False when none runs."""
        with self._lock:
            keys = self.running(instance_id)
            for key in keys:
                self._tasks[key] = replace(
                    self._tasks[key],
                    state=TaskState.EXITED,
                    exit_code=code,
                    pid=0,
                    is_out_of_memory=is_out_of_memory,
                )
        for key in keys:
            self._tell(self._tasks[key])
        return bool(keys)

    def exits_at_once(self, instance_id: InstanceId, code: int | None) -> None:
        """From now on every start of it ends with `code` immediately; None for no more."""
        if code is None:
            self._exits_at_once.pop(instance_id, None)
        else:
            self._exits_at_once[instance_id] = code

    def fail_next(self, instance_id: InstanceId, *failures: TaskFailure) -> None:
        """The next creations of it fail so, one after another."""
        self._failures.setdefault(instance_id, []).extend(failures)

    def fail_always(self, instance_id: InstanceId, failure: TaskFailure | None) -> None:
        if failure is None:
            self._lasting_failures.pop(instance_id, None)
        else:
            self._lasting_failures[instance_id] = failure

    def add(self, key: TaskKey, state: TaskState, exit_code: int | None = None) -> None:
        """As if an engine of another life had made it."""
        self._tasks[key] = Task(key, state, exit_code=exit_code)

    def reboot(self) -> None:
        """The machine's: processes are gone, what was made for them is still there."""
        with self._lock:
            self._tasks = {
                key: task if task.state is TaskState.EXITED else Task(key, TaskState.EXITED)
                for key, task in self._tasks.items()
            }

    def lose_answers(self, count: int) -> None:
        """The next calls take effect, but their caller hears that nobody answered."""
        self.answers_lost = count

    def say_observe(self) -> None:
        self._tell(None)

    def _tell(self, task: Task | None) -> None:
        if self.does_tell and self.is_reachable:
            for watcher in tuple(self._watchers):
                watcher(task)

    def _check_reachable(self) -> None:
        if not self.is_reachable:
            raise Unreachable(f"The runtime {self._name} does not answer.")

    def _fail(self, instance_id: InstanceId) -> None:
        waiting = self._failures.get(instance_id)
        if waiting:
            raise waiting.pop(0)
        if instance_id in self._lasting_failures:
            raise self._lasting_failures[instance_id]

    @contextmanager
    def _call(self) -> Iterator[None]:
        with self._lock:
            self._check_reachable()
            yield
            if self.answers_lost:
                self.answers_lost -= 1
                raise Unreachable(f"The runtime {self._name} did not answer in time.")
