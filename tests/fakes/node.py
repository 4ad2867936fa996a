"""The rest of what a node needs of the world, and a whole node on a memory link, with a clock that stands still."""

from collections.abc import Callable
from dataclasses import dataclass, field

from edge_common.link.child import last_will
from edge_common.link.desired_store import DocumentDesiredStore
from edge_common.link.events import End, PostingEvents
from edge_common.link.memory_broker import MemoryBroker, MemoryTransport
from edge_common.model.errors import Overloaded
from edge_common.model.ids import ChildId, InstanceId, NodeId
from edge_common.model.node import Usage
from edge_common.model.probes import Probe
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.interface import Documents
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.plumbing.mailbox import Mailbox
from edge_common.plumbing.sealing import SealingKey, new_sealing_key
from node_engine.adapters.record_store import DocumentRecordStore
from node_engine.core.capacity import Machine
from node_engine.core.health import Answer
from node_engine.core.logs import LogChunk
from node_engine.core.task import TaskKey
from node_engine.networks import HostNetwork
from node_engine.ports import Network, Runtime
from node_engine.reporter import Profile
from node_engine.service import NodeParts, NodeService, node_service
from tests.fakes.runtime import FakeRuntime

Job = Callable[[], object | None]


class InlinePool:
    """Runs each job in the submitter's thread, at once."""

    def __init__(self, post: Callable[[object], object]) -> None:
        self._post = post

    def room(self) -> int:
        return 64

    def submit(self, job: Job) -> None:
        event = job()
        if event is not None:
            self._post(event)


class ManualPool:
    """Keeps its jobs until a test runs them, and what they return until a test delivers it, each in any order."""

    def __init__(self, post: Callable[[object], object], capacity: int = 64) -> None:
        self._post = post
        self._capacity = capacity
        self.jobs: list[Job] = []
        self.results: list[object] = []

    def room(self) -> int:
        return self._capacity - len(self.jobs) - len(self.results)

    def submit(self, job: Job) -> None:
        if not self.room():
            raise Overloaded("This pool is full.")
        self.jobs.append(job)

    def run(self, position: int = 0) -> None:
        event = self.jobs.pop(position)()
        if event is not None:
            self.results.append(event)

    def deliver(self, position: int = 0) -> None:
        self._post(self.results.pop(position))

    def finish(self) -> None:
        """Run and deliver all there is."""
        while self.jobs:
            self.run()
        while self.results:
            self.deliver()


class FakeProbe:
    def __init__(self, machine: Machine | None = None) -> None:
        self.found = machine or Machine("host", "amd64", 4, 8192, 100_000)

    def machine(self) -> Machine:
        return self.found

    def usage(self) -> Usage:
        return Usage(1.0, 2.0, 3)

    def address(self) -> str:
        return "192.0.2.1"


class FakeProber:
    """Everybody is well but who is in `unwell`, with what is wrong."""

    def __init__(self) -> None:
        self.unwell: dict[InstanceId, str] = {}
        self.asked: list[tuple[TaskKey, Probe]] = []

    def ask(self, key: TaskKey, runtime: str, probe: Probe, address: str) -> Answer:
        self.asked.append((key, probe))
        detail = self.unwell.get(key.instance_id)
        return Answer(True) if detail is None else Answer(False, detail)


class FakeLogs:
    def __init__(self) -> None:
        self.texts: dict[InstanceId, bytes] = {}
        self.trims = 0

    def read(self, instance_id: InstanceId, cursor: int = 0) -> LogChunk:
        data = self.texts.get(instance_id, b"")
        return LogChunk(data[cursor:], len(data))

    def tail(self, instance_id: InstanceId, lines: int) -> LogChunk:
        data = self.texts.get(instance_id, b"")
        kept = data.splitlines(keepends=True)[-lines:] if lines else []
        return LogChunk(b"".join(kept), len(data))

    def trim(self) -> None:
        self.trims += 1

    def remove(self, instance_id: InstanceId) -> None:
        self.texts.pop(instance_id, None)


@dataclass(slots=True)
class FakeNode:
    """`boot` makes an engine, `kill` ends it as kill -9 does; runtime, documents and logs outlive it."""

    broker: MemoryBroker
    clock: FakeClock
    node_id: ChildId = ChildId("node-1")
    runtime: FakeRuntime = field(default_factory=FakeRuntime)
    documents: Documents = field(default_factory=MemoryDocuments)
    logs: FakeLogs = field(default_factory=FakeLogs)
    probe: FakeProbe = field(default_factory=FakeProbe)
    prober: FakeProber = field(default_factory=FakeProber)
    network: Network = field(default_factory=HostNetwork)
    sealing: SealingKey = field(default_factory=new_sealing_key)
    has_manual_pools: bool = False
    capacity: int = 64
    boots: int = 0
    service: NodeService | None = None
    mailbox: Mailbox | None = None
    transport: MemoryTransport | None = None
    pool: InlinePool | ManualPool | None = None
    chores: InlinePool | ManualPool | None = None

    def boot(self) -> NodeService:
        self.boots += 1
        post = self._poster()
        self.transport = MemoryTransport(
            self.broker, self.node_id, PostingEvents(End.UPPER, post), last_will(self.node_id)
        )
        self.pool = ManualPool(post, self.capacity) if self.has_manual_pools else InlinePool(post)
        self.chores = ManualPool(post) if self.has_manual_pools else InlinePool(post)
        runtimes: dict[str, Runtime] = {self.runtime.name: self.runtime}
        self.service = node_service(
            NodeParts(
                profile=Profile(NodeId(self.node_id)),
                boot_id=f"boot-{self.boots}",
                transport=self.transport,
                desired=DocumentDesiredStore(self.documents),
                records=DocumentRecordStore(self.documents),
                runtimes=runtimes,
                pool=self.pool,
                chores=self.chores,
                probing=InlinePool(post),
                prober=self.prober,
                network=self.network,
                probe=self.probe,
                logs=self.logs,
                clock=self.clock,
                post=post,
                sealing=self.sealing,
            )
        )
        self.mailbox = Mailbox(self.service, name=str(self.node_id), clock=self.clock)
        self.transport.start()
        return self.service

    def kill(self) -> None:
        if self.transport is not None:
            self.transport.kill()
        self.runtime.close()
        self.service = self.mailbox = self.transport = self.pool = self.chores = None

    def pump(self) -> float:
        """What is due now; returns the seconds until the next tick."""
        return self.mailbox.pump() if self.mailbox is not None else float("inf")

    def _poster(self) -> Callable[[object], bool]:
        """Into the engine of this boot alone: what comes late from a dead one is lost."""
        boot = self.boots

        def post(event: object) -> bool:
            return self.mailbox is not None and self.boots == boot and self.mailbox.post(event)

        return post
