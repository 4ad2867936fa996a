"""NetManager's shell: keeps what is wanted on disk, and the kernel as it is kept.

The data plane is the kernel's: when this ends, and while it starts, every packet goes on.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from edge_common.addressing.address_plan import CLOSEST_V6, INSTANCES_V6, ROUND_ROBIN_V6, SERVICES_V4, Twins
from edge_common.addressing.pool import Network
from edge_common.model.errors import HedgerowError, InvalidInput, Temporary
from edge_common.model.ids import InstanceId, is_id
from edge_common.model.network import PortMapping
from edge_common.plumbing.clock import Clock
from net_manager.core import links, service_table
from net_manager.core.links import InstanceNetwork, Names, NodeNetwork, ObservedNamespace
from net_manager.core.places import Place, Places, published
from net_manager.core.service_table import ServiceTable
from net_manager.ports import Kernel, Store

logger = logging.getLogger(__name__)

REPAIR_S = 30.0
FIRST_RETRY_S = 1.0
USUAL_MTU = 1500
_MAX_DOUBLINGS = 5
SERVICE_RANGES: frozenset[Network] = frozenset({SERVICES_V4, INSTANCES_V6, CLOSEST_V6, ROUND_ROBIN_V6})


@dataclass(frozen=True, slots=True)
class NetParts:
    """`mtu` is told the uplink's and says that of instances."""

    names: Names
    kernel: Kernel
    store: Store
    clock: Clock
    mtu: Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Status:
    detail: str
    mtu: int
    subnets: tuple[Twins, ...]
    subnets_wanted: int
    instance_count: int


class NetService:
    """All calls come from the mailbox's thread. It works on the kernel itself: that is all it does, one at a time."""

    def __init__(self, parts: NetParts) -> None:
        self._names = parts.names
        self._kernel = parts.kernel
        self._store = parts.store
        self._clock = parts.clock
        self._mtu_over = parts.mtu
        self._mtu = 0
        kept = parts.store.load()
        self._places = Places(kept)
        self._may_sweep = not kept.is_fresh
        self._strangers: dict[InstanceId, ObservedNamespace] = {}
        self._table = ServiceTable()
        self._has_v6 = parts.kernel.has_ipv6()
        self._trouble = "It has only just begun."
        self._failures = 0
        self._repair_at_s = parts.clock.monotonic_s()

    def handle(self, event: object) -> None:
        raise TypeError(f"NetManager knows no event {type(event).__name__}.")

    def settle(self) -> None:
        """Everything is durable and in force when its caller hears of it."""

    def tick(self) -> float:
        """Finds and repairs what was changed behind our back; the first time, what an earlier life left."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._repair_at_s:
            self._repair()
            self._repair_at_s = now_s + self._pause_s()
        return self._repair_at_s - now_s

    @property
    def has_v6(self) -> bool:
        return self._has_v6

    def status(self) -> Status:
        places = self._places
        return Status(
            self._trouble,
            self._mtu,
            places.granted,
            places.wanted_subnets(self._clock.now_s()),
            len(places.all()),
        )

    def known(self) -> tuple[tuple[Place, ...], tuple[InstanceId, ...]]:
        """Those that are kept, and those that were only found in the kernel: whoever asks says which of these stay."""
        kept = tuple(place for place in self._places.all() if not place.is_adopted)
        adopted = [place.instance_id for place in self._places.all() if place.is_adopted]
        return kept, (*adopted, *(each for each in self._strangers if self._places.of(each) is None))

    def grant(self, subnets: Iterable[Twins]) -> None:
        wanted = tuple(subnets)
        if wanted == self._places.granted:
            return
        self._places.grant(wanted)
        self._store.save_subnets(wanted)
        logger.info("event=subnets_granted subnets=%s", ",".join(str(one.v4) for one in wanted))
        self._adopt_strangers()
        self._repair()

    def attach(self, instance_id: InstanceId, ports: tuple[PortMapping, ...] = ()) -> Place:
        """Its network, made or repaired. Raises Temporary while that cannot be done."""
        if not is_id(instance_id):
            raise InvalidInput(f"{instance_id[:64]!r} is no instance_id.", "instance_id")
        if self._trouble:
            self._repair()
        if self._trouble:
            raise Temporary(f"This node's network is not in order: {self._trouble}")
        before = self._places.of(instance_id)
        place = self._places.take(instance_id, self._clock.now_s(), ports)
        if place != before:
            self._keep(place, before)
        self._build([place])
        self._publish()
        if before is None:
            logger.info("event=attached instance=%s address=%s", instance_id, place.v4)
        return place

    def detach(self, instance_id: InstanceId) -> None:
        """Nothing of it is left then; nothing happens when there was nothing."""
        if not is_id(instance_id):
            raise InvalidInput(f"{instance_id[:64]!r} is no instance_id.", "instance_id")
        place = self._places.of(instance_id)
        if place is not None:
            self._publish(without=instance_id)
        self._kernel.execute(links.removal(self._names, instance_id))
        self._strangers.pop(instance_id, None)
        if place is None:
            return
        self._forget_flows(place)
        self._places.give_back(instance_id, self._clock.now_s())
        self._store.remove(instance_id, self._places.resting())
        logger.info("event=detached instance=%s address=%s", instance_id, place.v4)

    def _forget_flows(self, place: Place) -> None:
        """A kernel that cannot forget them lets them run out by themselves; that must not keep an address."""
        try:
            self._kernel.forget_flows([place.v4.ip, place.v6.ip])
        except HedgerowError as error:
            logger.warning("event=flows_not_forgotten instance=%s detail=%r", place.instance_id, str(error))

    def _keep(self, place: Place, before: Place | None) -> None:
        try:
            self._store.put(place)
        except HedgerowError:
            if before is None:
                self._places.give_back(place.instance_id, self._clock.now_s())
            else:
                self._places.put_back(before)
            raise

    def _publish(self, without: InstanceId | None = None) -> None:
        """Ports of the node lead to those that are there, but for one that is about to go."""
        staying = [place for place in self._places.all() if place.instance_id != without]
        ports = {port: target for port, target in published(staying).items() if self._has_v6 or port.version == 4}
        wanted = replace(self._table, published=ports)
        changes = service_table.changes(wanted, self._table)
        if changes:
            self._kernel.change_table(changes)
            self._table = wanted

    def _node(self) -> NodeNetwork:
        """A kernel without IPv6 has the IPv4 half of everything."""
        gateways, ranges = self._places.gateways(), SERVICE_RANGES
        if not self._has_v6:
            gateways = frozenset(each for each in gateways if each.version == 4)
            ranges = frozenset(each for each in ranges if each.version == 4)
        return NodeNetwork(gateways, self._mtu, ranges)

    def _network(self, place: Place) -> InstanceNetwork:
        return place.network if self._has_v6 else links.without_v6(place.network)

    def _repair(self) -> None:
        try:
            self._mtu = self._fitting_mtu()
            self._table = self._kernel.table()
            self._sweep()
            self._build(self._places.all())
            self._publish()
        except HedgerowError as error:
            if self._trouble != str(error):
                logger.warning("event=network_in_disorder detail=%r", str(error))
            self._trouble = str(error)
            self._failures += 1
        else:
            if self._trouble:
                logger.info("event=network_in_order instances=%d", len(self._places.all()))
            self._trouble = ""
            self._failures = 0

    def _adopt_strangers(self) -> None:
        """With the addresses that they have, so that nobody new gets one of these."""
        for instance_id in [each for each, inside in self._strangers.items() if links.INNER_LINK in inside.links]:
            addresses = self._strangers.pop(instance_id).links[links.INNER_LINK].addresses
            if self._places.of(instance_id) is None:
                self._keep(self._places.adopt(instance_id, self._clock.now_s(), addresses), None)

    def _fitting_mtu(self) -> int:
        """A machine that is cut off keeps what fitted before."""
        uplink_mtu = self._kernel.uplink_mtu()
        if uplink_mtu is None and self._mtu:
            return self._mtu
        return self._mtu_over(uplink_mtu or USUAL_MTU)

    def _sweep(self) -> None:
        """What of ours nobody wants goes; but one whose memory is empty does not know who is wanted."""
        observed = self._kernel.observe(())
        wanted = {place.instance_id for place in self._places.all()}
        found = {self._names.instance_of(name): one for name, one in observed.namespaces.items() if one.is_whole}
        self._strangers = {} if self._may_sweep else {each: found[each] for each in sorted(found.keys() - wanted)}
        commands = links.sweep(self._names, wanted | self._strangers.keys(), observed)
        for command in commands:
            logger.info("event=swept command=%s", command)
        self._kernel.execute(commands)

    def _build(self, places: Iterable[Place]) -> None:
        """One that cannot be built does not keep the others from it; the first such error is raised in the end."""
        wanted = tuple(places)
        node = self._node()
        if not node.gateways:
            return
        namespaces = [self._names.namespace(place.instance_id) for place in wanted]
        observed = self._kernel.observe(links.host_sysctls(self._names, node), namespaces)
        self._kernel.execute(links.node_changes(self._names, node, observed))
        errors: list[HedgerowError] = []
        for place in wanted:
            try:
                self._kernel.execute(links.instance_changes(self._names, node, self._network(place), observed))
            except HedgerowError as error:
                logger.warning("event=build_failed instance=%s detail=%r", place.instance_id, str(error))
                errors.append(error)
        if errors:
            raise errors[0]

    def _pause_s(self) -> float:
        if not self._failures:
            return REPAIR_S
        return min(FIRST_RETRY_S * 2.0 ** min(self._failures - 1, _MAX_DOUBLINGS), REPAIR_S)
