"""What the engine's shell needs of the world, in the core's words."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_common.model.errors import HedgerowError
from edge_common.model.ids import InstanceId
from edge_common.model.lifecycle import Reason
from edge_common.model.network import PortMapping, Subnet
from edge_common.model.node import Usage
from edge_common.model.probes import Probe as HealthProbe
from node_engine.core.capacity import Machine
from node_engine.core.health import Answer
from node_engine.core.logs import LogChunk
from node_engine.core.network import NetworkView, Place
from node_engine.core.record import Record
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


class RecordStore(Protocol):
    def load(self) -> list[Record]:
        """What cannot be read any more is left out, and logged."""

    def save(self, puts: Iterable[Record], removed: Iterable[InstanceId]) -> None:
        """Durable, all at once, when it returns. Raises Unreachable."""


class Network(Protocol):
    """Makes and removes the networks of instances.

    Thread-safe; each call is idempotent and bounded in time, and raises an error of the tree.
    """

    @property
    def is_overlay(self) -> bool:
        """Whether each instance has a network of its own; else all have the host's."""

    def attach(self, instance_id: InstanceId, ports: tuple[PortMapping, ...]) -> Place:
        """With these ports of the node leading to it."""

    def detach(self, instance_id: InstanceId) -> None: ...

    def look(self) -> NetworkView: ...

    def grant(self, subnets: Sequence[Subnet]) -> None:
        """From now on this node has these."""


class Pool(Protocol):
    """Runs a few jobs at a time beside the mailbox. What a job returns comes back as an event; None is no event."""

    def room(self) -> int:
        """How many more jobs it takes now. Only the mailbox submits, so it does not shrink in between."""

    def submit(self, job: Callable[[], object | None]) -> None:
        """Raises Overloaded when there is no room. A job has a bound on its time and raises nothing."""


class Probe(Protocol):
    """What can be measured of this machine. `machine` and `usage` return at once."""

    def machine(self) -> Machine: ...

    def usage(self) -> Usage: ...

    def address(self) -> str:
        """That under which others reach this node, "" while it has none. May wait for a name server."""


class Prober(Protocol):
    """Asks an instance how it is."""

    def ask(self, key: TaskKey, runtime: str, probe: HealthProbe, address: str) -> Answer:
        """Returns within the probe's `timeout_s` or little more; what goes wrong is an answer."""


class Logs(Protocol):
    """The output of instances, by instance."""

    def read(self, instance_id: InstanceId, cursor: int = 0) -> LogChunk: ...

    def tail(self, instance_id: InstanceId, lines: int) -> LogChunk: ...

    def trim(self) -> None:
        """Bring what has grown too large back to size."""

    def remove(self, instance_id: InstanceId) -> None: ...
