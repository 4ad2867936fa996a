"""The real services of each tier on memory transports. A crash drops all but the documents and the containers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from cluster_orchestrator import app as cluster_app
from edge_common.link.child import last_will
from edge_common.link.desired_store import DocumentDesiredStore
from edge_common.link.events import End, PostingEvents
from edge_common.link.members import CHILDREN
from edge_common.link.memory_broker import MemoryBroker, MemoryTransport
from edge_common.model.cluster import ClusterInfo
from edge_common.model.errors import NotFound
from edge_common.model.ids import ChildId, ClusterId, InstanceId, NodeId
from edge_common.model.node import Usage
from edge_common.model.probes import Probe
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.plumbing.mailbox import Mailbox, Shell
from edge_common.plumbing.sealing import SealingKey, new_sealing_key
from edge_common.plumbing.vault import Vault, new_vault
from node_engine.core.capacity import Machine
from node_engine.core.health import Answer
from node_engine.core.logs import LogChunk
from node_engine.core.record import Record, kept
from node_engine.core.task import TaskKey
from node_engine.networks import HostNetwork
from node_engine.ports import Network
from node_engine.reporter import Profile
from node_engine.service import NodeParts, NodeService, node_service
from root_orchestrator import app as root_app
from tests.simulation.runtime import SimulatedRuntime


class Ids:
    """Ids from the seed."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def __call__(self) -> str:
        return f"{self._random.getrandbits(96):024x}"


class Actor(Protocol):
    @property
    def is_up(self) -> bool: ...
    def start(self) -> None: ...
    def crash(self) -> None: ...
    def pump(self) -> float: ...


@dataclass(slots=True)
class Running:
    """One life of an actor."""

    mailbox: Mailbox
    transports: tuple[MemoryTransport, ...]

    def kill(self) -> None:
        for transport in self.transports:
            transport.kill()


class LatePost:
    """Transports are made before the mailbox that hears them."""

    def __init__(self) -> None:
        self.mailbox: Mailbox | None = None

    def __call__(self, event: object) -> bool:
        return self.mailbox is not None and self.mailbox.post(event)


def begin(shell: Shell, post: LatePost, clock: FakeClock, *transports: MemoryTransport) -> Running:
    post.mailbox = Mailbox(shell, clock=clock)
    for transport in transports:
        transport.start()
    return Running(post.mailbox, transports)


@dataclass(slots=True)
class RootActor:
    clock: FakeClock
    ids: Ids
    broker: MemoryBroker
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    name: str = "root"
    vault: Vault = field(default_factory=new_vault)
    tier: root_app.Tier | None = None
    life: Running | None = None

    @property
    def is_up(self) -> bool:
        return self.life is not None

    def start(self) -> None:
        post = LatePost()
        transport = MemoryTransport(self.broker, "parent-root", PostingEvents(End.LOWER, post))
        self.tier = root_app.build_tier(
            root_app.Parts(self.documents, transport, self.clock, self.ids, vault=self.vault)
        )
        self.life = begin(self.tier.service, post, self.clock, transport)

    def crash(self) -> None:
        if self.life is not None:
            self.life.kill()
        self.life = self.tier = None

    def pump(self) -> float:
        return self.life.mailbox.pump() if self.life else float("inf")

    def admit(self, child_id: str) -> None:
        self.documents.put(CHILDREN, {"_id": child_id, "kind": "cluster", "name": child_id})


@dataclass(slots=True)
class ClusterActor:
    clock: FakeClock
    ids: Ids
    upper_broker: MemoryBroker
    broker: MemoryBroker
    name: str
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    sealing: SealingKey = field(default_factory=new_sealing_key)
    tier: cluster_app.Tier | None = None
    life: Running | None = None
    boots: int = 0

    @property
    def is_up(self) -> bool:
        return self.life is not None

    def start(self) -> None:
        self.boots += 1
        post = LatePost()
        child_id = ChildId(self.name)
        upper = MemoryTransport(self.upper_broker, self.name, PostingEvents(End.UPPER, post), last_will(child_id))
        lower = MemoryTransport(self.broker, f"parent-{self.name}", PostingEvents(End.LOWER, post))
        info = ClusterInfo(ClusterId(self.name), self.name)
        parts = cluster_app.Parts(
            self.documents, upper, lower, self.clock, f"{self.boots:04d}", self.ids, sealing=self.sealing
        )
        self.tier = cluster_app.build_tier(info, parts)
        self.life = begin(self.tier.service, post, self.clock, lower, upper)

    def crash(self) -> None:
        if self.life is not None:
            self.life.kill()
        self.life = self.tier = None

    def pump(self) -> float:
        return self.life.mailbox.pump() if self.life else float("inf")

    def admit(self, child_id: str) -> None:
        self.documents.put(CHILDREN, {"_id": child_id, "kind": "node", "name": child_id})


class Records:
    """A node's records on a disk that survives it."""

    def __init__(self) -> None:
        self._kept: dict[InstanceId, Record] = {}

    def load(self) -> list[Record]:
        return [kept(record) for record in self._kept.values()]

    def save(self, puts: Iterable[Record], removed: Iterable[InstanceId]) -> None:
        self._kept |= {record.instance_id: record for record in puts}
        for instance_id in removed:
            self._kept.pop(instance_id, None)


class NoLogs:
    def read(self, instance_id: InstanceId, cursor: int = 0) -> LogChunk:
        raise NotFound(f"{instance_id} has no output here ({cursor}).")

    def tail(self, instance_id: InstanceId, lines: int) -> LogChunk:
        raise NotFound(f"{instance_id} has no output here ({lines}).")

    def trim(self) -> None:
        pass

    def remove(self, instance_id: InstanceId) -> None:
        pass


class AllWell:
    """But for those whose probe is the command `false`."""

    def ask(self, key: TaskKey, runtime: str, probe: Probe, address: str) -> Answer:
        return Answer(probe.command != ("false",))


class StillProbe:
    def machine(self) -> Machine:
        return Machine("sim", "amd64", cpus=4, memory_mb=4096, disk_mb=10_000)

    def usage(self) -> Usage:
        return Usage()

    def address(self) -> str:
        return "192.0.2.1"


class WorkLater:
    """A pool whose jobs are done when the world gets to them."""

    def __init__(self, post: LatePost) -> None:
        self._post = post
        self._jobs: list[Callable[[], object | None]] = []

    def room(self) -> int:
        return 8 - len(self._jobs)

    def submit(self, job: Callable[[], object | None]) -> None:
        self._jobs.append(job)

    def work(self) -> int:
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            event = job()
            if event is not None:
                self._post(event)
        return len(jobs)


@dataclass(slots=True)
class NodeActor:
    clock: FakeClock
    cluster: ClusterActor
    name: NodeId
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    records: Records = field(default_factory=Records)
    runtime: SimulatedRuntime = field(default_factory=SimulatedRuntime)
    sealing: SealingKey = field(default_factory=new_sealing_key)
    network: Network = field(default_factory=HostNetwork)
    life: Running | None = None
    service: NodeService | None = None
    pools: tuple[WorkLater, ...] = ()
    boots: int = 0

    @property
    def is_up(self) -> bool:
        return self.life is not None

    def start(self) -> None:
        self.boots += 1
        post = LatePost()
        child_id = ChildId(self.name)
        transport = MemoryTransport(self.cluster.broker, self.name, PostingEvents(End.UPPER, post), last_will(child_id))
        self.pools = (WorkLater(post), WorkLater(post))
        self.service = node_service(
            NodeParts(
                profile=Profile(self.name, name=self.name),
                boot_id=f"{self.boots:04d}",
                transport=transport,
                desired=DocumentDesiredStore(self.documents),
                records=self.records,
                runtimes={self.runtime.name: self.runtime},
                pool=self.pools[0],
                chores=self.pools[1],
                probing=self.pools[1],
                prober=AllWell(),
                probe=StillProbe(),
                logs=NoLogs(),
                clock=self.clock,
                post=post,
                sealing=self.sealing,
                network=self.network,
            )
        )
        self.life = begin(self.service, post, self.clock, transport)

    def crash(self) -> None:
        """The engine dies; containers go on. Work under way may or may not have happened."""
        if self.life is not None:
            self.life.kill()
        self.life = self.service = None
        self.pools = ()
        self.runtime.forget_watcher()

    def reboot(self) -> None:
        """The machine dies."""
        self.crash()
        self.runtime.lose_all()

    def pump(self) -> float:
        return self.life.mailbox.pump() if self.life else float("inf")

    def work(self) -> int:
        return sum(pool.work() for pool in self.pools)
