"""Which addresses the instances of this node have, in which of its subnets.

Each subnet has pools of its own. One that was taken away is used up: who is in it stays, nobody new comes.
"""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from edge_common.addressing.address_plan import TwinPools, Twins, gateway, instance_addresses
from edge_common.addressing.pool import Network, Pool, PoolIsFull, PoolState, overlap, single
from edge_common.model.errors import Broken, Conflict, InvalidInput, Temporary
from edge_common.model.ids import InstanceId
from edge_common.model.network import PortMapping
from net_manager.core.commands import Interface, Ip
from net_manager.core.links import InstanceNetwork
from net_manager.core.service_table import Published, Target

MOST_SUBNETS = 16
FEW_LEFT = 4
"""Addresses, below which another subnet is asked for."""
MANY_LEFT = 16
"""Addresses that must be left without the last subnet before it is given back."""


@dataclass(frozen=True, slots=True)
class Place:
    """The addresses carry the prefix of their subnet. `ports` are published on the node.

    `is_adopted`: found in the kernel without being remembered, so its ports are not known.
    """

    instance_id: InstanceId
    v4: IPv4Interface
    v6: IPv6Interface
    ports: tuple[PortMapping, ...] = ()
    is_adopted: bool = False

    @property
    def subnet(self) -> Twins:
        return Twins(self.v4.network, self.v6.network)

    @property
    def network(self) -> InstanceNetwork:
        gateways: frozenset[Ip] = frozenset({gateway(self.v4.network), gateway(self.v6.network)})
        return InstanceNetwork(self.instance_id, frozenset({self.v4, self.v6}), gateways)


@dataclass(frozen=True, slots=True)
class Kept:
    """What must outlive the process. `resting`: single addresses, and the wall clock's time when they are free.

    `is_fresh`: nothing was ever kept here, so that what there is in the kernel may be of a life whose memory was lost.
    """

    subnets: tuple[Twins, ...] = ()
    places: tuple[Place, ...] = ()
    resting: Mapping[Network, float] = field(default_factory=dict)
    is_fresh: bool = False


class Places:
    """Raises Broken when what was kept gives one address to two instances."""

    def __init__(self, kept: Kept) -> None:
        self._granted = kept.subnets
        self._places = {place.instance_id: place for place in kept.places}
        used = dict.fromkeys((*kept.subnets, *(place.subnet for place in kept.places)))
        self._pools = {subnet: _pools(subnet, kept) for subnet in used}

    @property
    def granted(self) -> tuple[Twins, ...]:
        return self._granted

    def all(self) -> tuple[Place, ...]:
        return tuple(self._places.values())

    def of(self, instance_id: InstanceId) -> Place | None:
        return self._places.get(instance_id)

    def gateways(self) -> frozenset[Interface]:
        """The node's own address in each subnet, also in those that are being used up."""
        return frozenset(_gateway(network) for one in self._pools for network in (one.v4, one.v6))

    def grant(self, subnets: Iterable[Twins]) -> None:
        """From now on these, in this order, are what new instances get addresses from."""
        self._granted = tuple(dict.fromkeys(subnets))
        for subnet in self._granted:
            if subnet not in self._pools:
                self._check_apart(subnet)
                self._pools[subnet] = _pools(subnet, Kept())
        self._drop_unused()

    def take(self, instance_id: InstanceId, now_s: float, ports: tuple[PortMapping, ...] = ()) -> Place:
        """That which it has, or a new one; with these ports. Raises Temporary when there is none, Conflict when another
        has one of the ports.
        """
        self._check_ports(instance_id, ports)
        known = self._places.get(instance_id) or self._new(instance_id, now_s)
        self._places[instance_id] = replace(known, ports=ports, is_adopted=False)
        return self._places[instance_id]

    def adopt(self, instance_id: InstanceId, now_s: float, seen: frozenset[Interface]) -> Place:
        """The one that it is `seen` with in the kernel, or a new one when another has that."""
        self._places[instance_id] = replace(self._new(instance_id, now_s, seen), is_adopted=True)
        return self._places[instance_id]

    def put_back(self, place: Place) -> None:
        """As it was before a `take` that came to nothing."""
        self._places[place.instance_id] = place

    def _check_ports(self, instance_id: InstanceId, ports: tuple[PortMapping, ...]) -> None:
        wanted = {(port.host_port, port.transport) for port in ports}
        for place in self._places.values() if wanted else ():
            for port in place.ports:
                if place.instance_id != instance_id and (port.host_port, port.transport) in wanted:
                    raise Conflict(
                        f"Port {port.host_port}/{port.transport} of this node leads to instance {place.instance_id}."
                    )

    def _new(self, instance_id: InstanceId, now_s: float, seen: frozenset[Interface] = frozenset()) -> Place:
        for subnet in self._granted:
            try:
                twins = self._take_in(subnet, instance_id, now_s, seen)
            except PoolIsFull:
                continue
            v4 = IPv4Interface(f"{twins.v4.network_address}/{subnet.v4.prefixlen}")
            return Place(instance_id, v4, IPv6Interface(f"{twins.v6.network_address}/{subnet.v6.prefixlen}"))
        if not self._granted:
            raise Temporary("This node has no subnet of the overlay network yet; its cluster gives it one.")
        raise PoolIsFull(f"All addresses of this node's {len(self._granted)} subnets are in use or rest.")

    def _take_in(self, subnet: Twins, instance_id: InstanceId, now_s: float, seen: frozenset[Interface]) -> Twins:
        pools = self._pools[subnet]
        fixed = [single(str(one.ip)) for one in sorted(seen, key=_version) if one.network in {subnet.v4, subnet.v6}]
        if len(fixed) == len({subnet.v4, subnet.v6}):
            with contextlib.suppress(Conflict, InvalidInput):
                return pools.take(instance_id, now_s, *fixed)
        return pools.take(instance_id, now_s)

    def give_back(self, instance_id: InstanceId, now_s: float) -> Place | None:
        place = self._places.pop(instance_id, None)
        if place is not None:
            self._pools[place.subnet].give_back(instance_id, now_s)
            self._drop_unused()
        return place

    def resting(self) -> dict[Network, float]:
        states = [pool.state() for twins in self._pools.values() for pool in (twins.v4, twins.v6)]
        return {network: until_s for state in states for network, until_s in state.resting.items()}

    def wanted_subnets(self, now_s: float) -> int:
        """How many this node should have. Between asking and giving back there is a gap, so that it does not waver."""
        count = len(self._granted)
        if self._free(self._granted, now_s) < FEW_LEFT:
            return min(count + 1, MOST_SUBNETS)
        is_last_idle = count > 1 and not any(place.subnet == self._granted[-1] for place in self._places.values())
        if is_last_idle and self._free(self._granted[:-1], now_s) >= MANY_LEFT:
            return count - 1
        return count

    def _free(self, subnets: Iterable[Twins], now_s: float) -> int:
        return sum(self._pools[subnet].v4.free(now_s) for subnet in subnets)

    def _check_apart(self, subnet: Twins) -> None:
        for other in self._pools:
            if overlap(subnet.v4, other.v4) or overlap(subnet.v6, other.v6):
                raise Broken(f"The subnet {subnet.v4} overlaps with {other.v4}, which this node has already.")

    def _drop_unused(self) -> None:
        kept = {*self._granted, *(place.subnet for place in self._places.values())}
        self._pools = {subnet: pools for subnet, pools in self._pools.items() if subnet in kept}


def _pools(subnet: Twins, kept: Kept) -> TwinPools:
    plan_v4, plan_v6 = instance_addresses((subnet,))
    mine = [place for place in kept.places if place.subnet == subnet]
    taken_v4: dict[str, Network] = {place.instance_id: single(str(place.v4.ip)) for place in mine}
    taken_v6: dict[str, Network] = {place.instance_id: single(str(place.v6.ip)) for place in mine}
    return TwinPools(
        Pool(plan_v4, PoolState(taken_v4, _inside(kept.resting, subnet.v4))),
        Pool(plan_v6, PoolState(taken_v6, _inside(kept.resting, subnet.v6))),
    )


def _inside(resting: Mapping[Network, float], subnet: Network) -> dict[Network, float]:
    first, count = int(subnet.network_address), subnet.num_addresses
    return {
        network: until_s
        for network, until_s in resting.items()
        if network.version == subnet.version and 0 <= int(network.network_address) - first < count
    }


def _gateway(subnet: Network) -> Interface:
    return ip_interface(f"{gateway(subnet)}/{subnet.prefixlen}")


def _version(interface: Interface) -> int:
    return interface.version


def published(places: Iterable[Place]) -> dict[Published, Target]:
    """Where ports of the node lead."""
    return {
        Published(own.version, port.transport, port.host_port): Target(own.ip, port.instance_port)
        for place in places
        for port in place.ports
        for own in (place.v4, place.v6)
    }
