"""A node, its parent and its runtime in one process, under a clock that stands still."""

from edge_common.link.memory_broker import MemoryBroker
from edge_common.model.ids import ApplicationId, ChildId, InstanceId, ServiceId
from edge_common.model.service import ServiceSpec
from edge_common.plumbing.clock import FakeClock
from node_engine.core.record import Record
from node_engine.ports import Network
from node_engine.service import NodeService
from tests.fakes.node import FakeNode, InlinePool, ManualPool
from tests.fakes.parent import FakeParent
from tests.fakes.runtime import FakeRuntime

NODE = ChildId("node-1")
STEP_S = 0.25


def make_spec(name: str = "s1", **fields: object) -> ServiceSpec:
    given = {"image": "docker.io/library/web:1", **fields}
    return ServiceSpec(ServiceId(name), ApplicationId("app"), f"app.ns.{name}.ns", "container", **given)  # type: ignore[arg-type]


class World:
    def __init__(self, *, has_manual_pools: bool = False, capacity: int = 64, network: Network | None = None) -> None:
        self.clock = FakeClock()
        self.broker = MemoryBroker()
        self.parent = FakeParent(self.broker, NODE)
        self.node = FakeNode(self.broker, self.clock, NODE, has_manual_pools=has_manual_pools, capacity=capacity)
        if network is not None:
            self.node.network = network
        self.node.boot()
        self.settle()

    @property
    def runtime(self) -> FakeRuntime:
        return self.node.runtime

    @property
    def service(self) -> NodeService:
        if self.node.service is None:
            raise RuntimeError("No engine runs.")
        return self.node.service

    @property
    def pool(self) -> ManualPool:
        return _manual(self.node.pool)

    @property
    def chores(self) -> ManualPool:
        return _manual(self.node.chores)

    def finish_work(self) -> None:
        """Until no pool has anything left to do."""
        self.settle()
        while self.pool.jobs or self.pool.results or self.chores.jobs or self.chores.results:
            self.chores.finish()
            self.pool.finish()
            self.settle()

    def record(self, instance_id: str) -> Record:
        return self.service.instances.records[InstanceId(instance_id)]

    def running(self) -> list[str]:
        return [str(key) for key in self.runtime.running()]

    def settle(self) -> None:
        for _ in range(50):
            self.node.pump()
            if not self.broker.pump() and not (self.node.mailbox and self.node.mailbox.waiting()):
                return

    def pass_time(self, seconds: float) -> None:
        until_s = self.clock.monotonic_s() + seconds
        self.settle()
        while (left_s := until_s - self.clock.monotonic_s()) > 1e-9:
            self.clock.advance(min(left_s, STEP_S))
            self.settle()

    def restart(self) -> None:
        self.node.kill()
        self.node.boot()
        self.settle()


def _manual(pool: InlinePool | ManualPool | None) -> ManualPool:
    if not isinstance(pool, ManualPool):
        raise TypeError("This world's pools do their jobs by themselves.")
    return pool
