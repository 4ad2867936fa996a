"""A network manager without a network. What it made outlives the engines that ask it."""

from collections.abc import Sequence
from dataclasses import replace

from edge_common.model.errors import Temporary, Unreachable
from edge_common.model.ids import InstanceId
from edge_common.model.network import PortMapping, Subnet
from node_engine.core.network import NetworkView, Place

SUBNET = Subnet("10.16.0.0/26", "fc00::/120")


class FakeNetwork:
    """`detail` is what it says is wrong with it. `attached` and `detached` list what it was asked."""

    is_overlay = True

    def __init__(self, *subnets: Subnet) -> None:
        self.is_reachable = True
        self.detail = ""
        self.subnets = subnets or (SUBNET,)
        self.subnets_wanted = 1
        self.places: dict[InstanceId, Place] = {}
        self.attached: list[InstanceId] = []
        self.detached: list[InstanceId] = []
        self.fails_to_detach = False
        self.needs_subnets = False
        self.ports: dict[InstanceId, tuple[PortMapping, ...]] = {}

    def attach(self, instance_id: InstanceId, ports: tuple[PortMapping, ...] = ()) -> Place:
        self._check()
        if self.needs_subnets and not self.subnets:
            raise Temporary("This node has no subnet.")
        self.ports[instance_id] = ports
        self.attached.append(instance_id)
        known = self.places.get(instance_id)
        if known is None or not known.ip:
            number = 1 + len(self.attached)
            namespace = f"/run/netns/t-{instance_id}"
            known = self.places[instance_id] = Place(instance_id, namespace, f"10.16.0.{number}", f"fc00::{number:x}")
        return known

    def detach(self, instance_id: InstanceId) -> None:
        self._check()
        if self.fails_to_detach:
            raise Temporary("The kernel is busy.")
        self.detached.append(instance_id)
        self.places.pop(instance_id, None)

    def look(self) -> NetworkView:
        self._check()
        return NetworkView(self.detail, self.subnets, self.subnets_wanted, tuple(self.places.values()))

    def grant(self, subnets: Sequence[Subnet]) -> None:
        self._check()
        self.subnets = tuple(subnets)

    def forget_addresses(self) -> None:
        """As one that lost its disk: it sees namespaces, and does not know them."""
        self.places = {each: replace(place, ip="", ip_v6="") for each, place in self.places.items()}

    def _check(self) -> None:
        if not self.is_reachable:
            raise Unreachable("nobody listens there")
