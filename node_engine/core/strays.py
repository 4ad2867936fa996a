"""Tasks of ours that no record and no desired set knows."""

from collections.abc import Mapping

from node_engine.core.operations import Operation, RemoveTask, StopTask
from node_engine.core.task import Task, TaskState

GRACE_S = 10.0


def removal(tasks: Mapping[int, Task], runtime: str) -> Operation | None:
    """The next one to take away, the oldest first."""
    if not tasks:
        return None
    task = tasks[min(tasks)]
    if task.state is TaskState.RUNNING:
        return StopTask(task.key, runtime, GRACE_S)
    return RemoveTask(task.key, runtime)
