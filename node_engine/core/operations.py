"""What a node can do for one instance. Each takes its time: it runs beside the mailbox and says later how it went."""

from dataclasses import dataclass
from enum import Enum, auto

from edge_common.model.lifecycle import Reason
from node_engine.core.task import TaskKey, TaskPlan


@dataclass(frozen=True, slots=True)
class StartTask:
    """Create it and start it."""

    plan: TaskPlan

    @property
    def key(self) -> TaskKey:
        return self.plan.key

    @property
    def runtime(self) -> str:
        return self.plan.spec.runtime


@dataclass(frozen=True, slots=True)
class StopTask:
    """End it, however it is, and leave nothing of it."""

    key: TaskKey
    runtime: str
    grace_s: float


@dataclass(frozen=True, slots=True)
class RemoveTask:
    """Take away what is left of one that does not run."""

    key: TaskKey
    runtime: str


Operation = StartTask | StopTask | RemoveTask


class Outcome(Enum):
    PERMANENT = auto()
    TEMPORARY = auto()
    UNKNOWN = auto()  # the runtime did not answer, so it may have happened all the same


@dataclass(frozen=True, slots=True)
class Failure:
    outcome: Outcome
    reason: Reason
    detail: str
