"""What the runtimes have told of tasks, and how far it can be trusted.

An observation takes a while, so it says nothing of an instance that an operation touched since it began.
"""

from collections.abc import Collection, Iterable, Mapping

from edge_common.model.ids import InstanceId
from node_engine.core.task import Task, TaskKey, TaskState

NONE: Mapping[int, Task] = {}


class Seen:
    def __init__(self) -> None:
        self._tasks: dict[InstanceId, dict[int, Task]] = {}
        self._runtime_of: dict[InstanceId, str] = {}
        self._touched: dict[InstanceId, int] = {}
        self._doubtful: dict[InstanceId, str] = {}
        self._observed: set[str] = set()
        self._mark = 0

    def mark(self) -> int:
        """To be taken before an observation begins and given back with its answer."""
        return self._mark

    def touch(self, instance_id: InstanceId) -> None:
        """An operation on this instance begins or ends."""
        self._mark += 1
        self._touched[instance_id] = self._mark

    def doubt(self, instance_id: InstanceId, runtime: str) -> None:
        """Nobody knows what is there, until the next observation."""
        self._doubtful[instance_id] = runtime

    def has_doubts(self, runtime: str) -> bool:
        return runtime in self._doubtful.values()

    def note(self, runtime: str, task: Task) -> None:
        """One that has exited stays so, whatever older word comes in later."""
        tasks = self._tasks.setdefault(task.key.instance_id, {})
        known = tasks.get(task.key.attempt)
        if known is None or known.state is not TaskState.EXITED:
            tasks[task.key.attempt] = task
        self._runtime_of[task.key.instance_id] = runtime

    def gone(self, key: TaskKey) -> None:
        tasks = self._tasks.get(key.instance_id, {})
        tasks.pop(key.attempt, None)
        if not tasks:
            self._tasks.pop(key.instance_id, None)
            self._runtime_of.pop(key.instance_id, None)

    def observed(self, runtime: str, mark: int, tasks: Iterable[Task], busy: Collection[InstanceId]) -> set[InstanceId]:
        """Take a whole observation; returns the instances of which it brought news."""
        found: dict[InstanceId, dict[int, Task]] = {}
        for task in tasks:
            found.setdefault(task.key.instance_id, {})[task.key.attempt] = task
        known = {each for each, name in (*self._runtime_of.items(), *self._doubtful.items()) if name == runtime}
        changed: set[InstanceId] = set()
        for instance_id in known | found.keys():
            if instance_id in busy or self._touched.get(instance_id, 0) > mark:
                continue
            if self._replace(runtime, instance_id, found.get(instance_id, {})):
                changed.add(instance_id)
        self._observed.add(runtime)
        self._touched = {each: at for each, at in self._touched.items() if at > mark}
        return changed

    def tasks_of(self, instance_id: InstanceId) -> Mapping[int, Task]:
        return self._tasks.get(instance_id, NONE)

    def runtime_of(self, instance_id: InstanceId) -> str:
        return self._runtime_of.get(instance_id, "")

    def instances(self) -> Collection[InstanceId]:
        return self._tasks.keys()

    def has_observed(self, runtime: str) -> bool:
        """Whether it has told all its tasks at least once."""
        return runtime in self._observed

    def is_sure(self, instance_id: InstanceId, runtime: str) -> bool:
        """Whether `tasks_of` is all there is."""
        return runtime in self._observed and instance_id not in self._doubtful

    def _replace(self, runtime: str, instance_id: InstanceId, found: dict[int, Task]) -> bool:
        before = self._tasks.get(instance_id, {})
        was_doubtful = instance_id in self._doubtful
        self._doubtful.pop(instance_id, None)
        for attempt, task in before.items():
            if task.state is TaskState.EXITED and attempt in found:
                found[attempt] = task
        if found:
            self._tasks[instance_id] = found
            self._runtime_of[instance_id] = runtime
        else:
            self._tasks.pop(instance_id, None)
            self._runtime_of.pop(instance_id, None)
        return was_doubtful or found != before
