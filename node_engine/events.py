"""What happens to a node beside its link."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_common.model.ids import InstanceId
from edge_common.model.probes import ProbeRole
from node_engine.core.health import Answer
from node_engine.core.network import NetworkView, Place
from node_engine.core.operations import Failure, Operation
from node_engine.core.task import Task, TaskKey


@dataclass(frozen=True, slots=True)
class TaskChanged:
    """The runtime saw a task change; None is "look yourself"."""

    runtime: str
    task: Task | None


@dataclass(frozen=True, slots=True)
class Observed:
    """A look at all tasks of a runtime, begun at `mark`. `tasks` is None when it did not answer; `detail` says why."""

    runtime: str
    mark: int
    tasks: Sequence[Task] | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OperationDone:
    operation: Operation
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far the making of a task is."""

    key: TaskKey
    text: str


@dataclass(frozen=True, slots=True)
class ProbeAnswered:
    key: TaskKey
    role: ProbeRole
    answer: Answer


@dataclass(frozen=True, slots=True)
class NetworkLooked:
    """`view` is None when the network manager did not answer; `detail` says why."""

    view: NetworkView | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NetworkAttached:
    """A start has a network for its instance."""

    place: Place


@dataclass(frozen=True, slots=True)
class NetworkRefused:
    """A start got no network: what was known of the manager is out of date."""


@dataclass(frozen=True, slots=True)
class NetworkCorrected:
    """One was taken away (`place` is None) or found again, or that failed: then `detail` says why."""

    instance_id: InstanceId
    place: Place | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NetworkGranted:
    """The network manager was told its subnets; `detail` says why not."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class AddressFound:
    address: str


@dataclass(frozen=True, slots=True)
class LogsTrimmed:
    """A round through the logs ended."""


@dataclass(frozen=True, slots=True)
class QuestionAnswered:
    """A parent's question was answered, well or not."""


NodeEvent = (
    TaskChanged
    | Observed
    | OperationDone
    | Progressed
    | ProbeAnswered
    | NetworkLooked
    | NetworkAttached
    | NetworkRefused
    | NetworkCorrected
    | NetworkGranted
    | AddressFound
    | LogsTrimmed
    | QuestionAnswered
)
