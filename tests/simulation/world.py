"""One root, some clusters, some nodes, and what a seed does to them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from edge_common.link.memory_broker import MemoryBroker
from edge_common.link.memory_faults import InOrder, SeededFaults
from edge_common.model.ids import InstanceId, NodeId, ServiceId
from edge_common.plumbing.clock import FakeClock
from tests.simulation.actors import Actor, ClusterActor, Ids, NodeActor, RootActor
from tests.simulation.network import SimulatedNetwork
from tests.simulation.users import SimulatedUser

STEP_S = 0.5
QUIET_ROUNDS = 200


@dataclass(frozen=True, slots=True)
class Shape:
    clusters: int = 3
    nodes_per_cluster: int = 10


class World:
    """Everything that happens is drawn from `seed`."""

    def __init__(
        self, seed: int, shape: Shape | None = None, make_network: Callable[[FakeClock], SimulatedNetwork] | None = None
    ) -> None:
        shape = shape or Shape()
        self.random = Random(seed)
        self.clock = FakeClock()
        self.ids = Ids(Random(seed + 1))
        self.root_broker = MemoryBroker()
        self.root = RootActor(self.clock, self.ids, self.root_broker)
        self.clusters = [
            ClusterActor(self.clock, self.ids, self.root_broker, MemoryBroker(), f"cluster-{number}")
            for number in range(shape.clusters)
        ]
        self.nodes = [
            NodeActor(self.clock, cluster, NodeId(f"node-{cluster.name[-1]}-{number:02d}"))
            for cluster in self.clusters
            for number in range(shape.nodes_per_cluster)
        ]
        self.excused: set[InstanceId] = set()
        self.user = SimulatedUser(Random(seed + 2), self.root)
        for cluster in self.clusters:
            self.root.admit(cluster.name)
        for node in self.nodes:
            node.cluster.admit(node.name)
        if make_network is not None:
            for node in self.nodes:
                node.network = network = make_network(self.clock)
                network.start()
        for actor in self.actors():
            actor.start()

    def actors(self) -> Iterator[Actor]:
        yield self.root
        yield from self.clusters
        yield from self.nodes

    def brokers(self) -> list[MemoryBroker]:
        return [self.root_broker, *(cluster.broker for cluster in self.clusters)]

    def run(self, seconds: float) -> None:
        end_s = self.clock.monotonic_s() + seconds
        while self.clock.monotonic_s() < end_s:
            self.step()

    def step(self) -> None:
        self.clock.advance(STEP_S)
        self.quiesce()

    def quiesce(self) -> None:
        """Let everybody do what is due now and hear what the network lets through."""
        for _ in range(QUIET_ROUNDS):
            moved = sum(broker.pump(1_000) for broker in self.brokers())
            for actor in self.actors():
                actor.pump()
            if not moved and not any(node.work() for node in self.nodes):
                return

    def disturb(self) -> None:
        """The network's bad days: every packet may be delayed, doubled, reordered, or cut its connection."""
        for broker in self.brokers():
            broker.policy = SeededFaults(Random(self.random.random()), cut=0.005, delay=0.2, duplicate=0.1, reorder=0.4)

    def calm(self) -> None:
        """All faults end: everybody is up, connected and undisturbed."""
        for broker in self.brokers():
            broker.policy = InOrder()
            broker.start()
        for node in self.nodes:
            node.cluster.broker.heal(node.name)
        for cluster in self.clusters:
            self.root_broker.heal(cluster.name)
            cluster.broker.heal(f"parent-{cluster.name}")
        self.root_broker.heal("parent-root")
        for actor in self.actors():
            if not actor.is_up:
                actor.start()

    def expected(self) -> dict[ServiceId, int]:
        return self.user.acknowledged()
