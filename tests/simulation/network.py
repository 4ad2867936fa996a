"""A node's network manager in the simulation: the real one, over a kernel that is none."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_common.addressing.address_plan import twins_of
from edge_common.model.errors import Unreachable
from edge_common.model.ids import InstanceId
from edge_common.model.network import PortMapping, Subnet
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.memory import MemoryDocuments
from net_manager.adapters.place_store import DocumentPlaceStore
from net_manager.core.links import Names
from net_manager.core.places import Place as Kept
from net_manager.service import NetParts, NetService
from node_engine.core.network import NetworkView, Place
from tests.fakes.kernel import FakeKernel

NAMES = Names("sim")


@dataclass(slots=True)
class SimulatedNetwork:
    clock: FakeClock
    kernel: FakeKernel = field(default_factory=FakeKernel)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    service: NetService | None = None

    @property
    def is_overlay(self) -> bool:
        return True

    def start(self) -> None:
        store = DocumentPlaceStore(self.documents)
        self.service = NetService(NetParts(NAMES, self.kernel, store, self.clock, lambda uplink: uplink - 70))
        self.service.tick()

    def crash(self) -> None:
        self.service = None

    def lose_disk(self) -> None:
        self.crash()
        self.documents = MemoryDocuments()

    def attach(self, instance_id: InstanceId, ports: tuple[PortMapping, ...]) -> Place:
        return _place(self._running().attach(instance_id, ports))

    def detach(self, instance_id: InstanceId) -> None:
        self._running().detach(instance_id)

    def look(self) -> NetworkView:
        service = self._running()
        status = service.status()
        kept, strangers = service.known()
        return NetworkView(
            status.detail,
            tuple(Subnet(str(each.v4), str(each.v6)) for each in status.subnets),
            status.subnets_wanted,
            (*map(_place, kept), *(Place(each, NAMES.namespace(each)) for each in strangers)),
        )

    def grant(self, subnets: Sequence[Subnet]) -> None:
        self._running().grant([twins_of(each) for each in subnets])

    def namespaces(self) -> set[str]:
        return set(self.kernel.spaces)

    def subnets(self) -> list[str]:
        return [str(each.v4) for each in self.service.status().subnets] if self.service else []

    def addresses(self) -> list[str]:
        found = [inside.links["eth0"] for inside in self.kernel.spaces.values() if "eth0" in inside.links]
        return [str(address.ip) for link in found for address in link.addresses]

    def _running(self) -> NetService:
        if self.service is None:
            raise Unreachable("the network manager is not there")
        return self.service


def _place(kept: Kept) -> Place:
    return Place(kept.instance_id, NAMES.namespace(kept.instance_id), str(kept.v4.ip), str(kept.v6.ip))
