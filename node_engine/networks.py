"""The networks of instances: asked for when one starts, taken away when nothing needs it any more.

The network manager is a process of its own and may be away; then starts that need it wait, and what runs goes on.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from edge_common.model.errors import HedgerowError
from edge_common.model.ids import InstanceId
from edge_common.model.lifecycle import Reason
from edge_common.model.network import Addresses, PortMapping, Subnet
from edge_common.model.service import ServiceSpec
from edge_common.plumbing.clock import Clock
from node_engine.core import network as core
from node_engine.core.network import NetworkView, Place
from node_engine.core.task import TaskPlan
from node_engine.events import (
    NetworkAttached,
    NetworkCorrected,
    NetworkGranted,
    NetworkLooked,
    NetworkRefused,
    Progressed,
)
from node_engine.ports import Network, Pool, TaskFailure

logger = logging.getLogger(__name__)

LOOK_S = 10.0
"""Between looks that nothing asked for."""
RETRY_S = 1.0
AWAY_S = 15.0
"""A manager that was there a moment ago may be restarting."""

Prepare = Callable[[TaskPlan], TaskPlan]
NetworkEvent = NetworkAttached | NetworkCorrected | NetworkGranted | NetworkLooked | NetworkRefused


class Needs(Protocol):
    """What the instances need of their networks."""

    def needs_network(self, instance_id: InstanceId) -> bool: ...

    def ports_of(self, instance_id: InstanceId) -> tuple[PortMapping, ...]: ...


class HostNetwork:
    """No instance has a network of its own."""

    is_overlay = False

    def attach(self, instance_id: InstanceId, ports: tuple[PortMapping, ...]) -> Place:
        del ports
        return Place(instance_id, "")

    def detach(self, instance_id: InstanceId) -> None:
        """There is nothing to take away."""

    def look(self) -> NetworkView:
        return NetworkView()

    def grant(self, subnets: Sequence[Subnet]) -> None:
        """Nothing here needs a subnet."""


def connecting(network: Network, post: Callable[[object], object], then: Prepare) -> Prepare:
    """Gives a plan its network before it is prepared further; runs in the pool's threads."""
    if not network.is_overlay:
        return then

    def connect(plan: TaskPlan) -> TaskPlan:
        post(Progressed(plan.key, "making its network"))
        try:
            place = network.attach(plan.key.instance_id, plan.spec.ports)
        except HedgerowError as error:
            post(NetworkRefused())
            raise TaskFailure(f"Its network could not be made: {error}", Reason.START_FAILED) from error
        post(NetworkAttached(place))
        return then(replace(plan, network_namespace=place.namespace))

    return connect


class Networks:
    """All calls come from the mailbox's thread."""

    def __init__(self, network: Network, chores: Pool, clock: Clock) -> None:
        self._network = network
        self._chores = chores
        self._clock = clock
        self._view: NetworkView | None = None
        self._given: tuple[Subnet, ...] = ()
        self._trouble = ""
        self._well_at_s = float("-inf")
        self._look_at_s = clock.monotonic_s()
        self._is_looking = False
        self._is_granting = False
        self._places: dict[InstanceId, Place] = {}
        self._touched: set[InstanceId] = set()
        self._corrected: set[InstanceId] = set()

    @property
    def is_overlay(self) -> bool:
        return self._network.is_overlay

    @property
    def is_ready(self) -> bool:
        """Whether an instance could get a network of its own here, or could a moment ago."""
        return self.is_overlay and self._clock.monotonic_s() - self._well_at_s < AWAY_S

    @property
    def wanted_subnets(self) -> int:
        """None are wanted where nobody works with them; one to begin with.

        Fewer than were given only when the manager has all those and says so: it may be away, or have lost its disk.
        """
        if not self.is_overlay:
            return 0
        view = self._view
        if view is not None and view.subnets == self._given:
            return max(1, view.subnets_wanted)
        return max(1, len(self._given), view.subnets_wanted if view else 0)

    @property
    def subnets(self) -> tuple[Subnet, ...]:
        """Those that the manager works with, or else those that it was last given."""
        return self._view.subnets if self._view and self._view.subnets else self._given

    def hindrance(self, instance_id: InstanceId, spec: ServiceSpec) -> str:
        """Why this one may not start now, "" when it may."""
        if not self.is_overlay:
            return ""
        if spec.addresses != Addresses():
            return "waiting for its service addresses, which this version of the node does not program yet"
        if instance_id in self._corrected:
            return "waiting for its earlier network to be taken away"
        return core.hindrance(self._view, self._trouble)

    def touch(self, instance_id: InstanceId) -> None:
        """It may need its network no more."""
        if instance_id in self._places:
            self._touched.add(instance_id)

    def handle(self, event: NetworkEvent) -> None:
        match event:
            case NetworkRefused():
                self._look_at_s = self._clock.monotonic_s()
            case NetworkAttached(place=place):
                self._places[place.instance_id] = place
            case NetworkCorrected():
                self._corrected_one(event)
            case NetworkGranted():
                self._granted(event)
            case NetworkLooked():
                self._looked(event)

    def settle(self, needs: Needs, subnets: Sequence[Subnet]) -> None:
        """`subnets` are those that this node was given; none leaves those that it has."""
        if not self.is_overlay:
            return
        self._given = tuple(subnets)
        if self._clock.monotonic_s() >= self._look_at_s and not self._is_looking and self._chores.room():
            self._is_looking = True
            self._chores.submit(partial(_look, self._network))
        if self._view is None:
            return
        self._grant(self._given)
        self._correct(needs)

    def due_in_s(self) -> float:
        if not self.is_overlay or self._is_looking:
            return LOOK_S
        return max(0.0, self._look_at_s - self._clock.monotonic_s())

    def _looked(self, event: NetworkLooked) -> None:
        now_s = self._clock.monotonic_s()
        self._is_looking = False
        self._look_at_s = now_s + (LOOK_S if event.view else RETRY_S)
        if event.view is None:
            if not self._trouble:
                logger.warning("event=network_manager_away detail=%r", event.detail)
            self._view, self._trouble = None, event.detail
            return
        if self._trouble:
            logger.info("event=network_manager_back instances=%d", len(event.view.places))
        self._view, self._trouble = event.view, ""
        self._places = {place.instance_id: place for place in event.view.places}
        self._touched |= self._places.keys()
        if not event.view.detail and event.view.subnets:
            self._well_at_s = now_s

    def _corrected_one(self, event: NetworkCorrected) -> None:
        self._corrected.discard(event.instance_id)
        if event.detail:
            logger.warning("event=network_correction_failed instance=%s detail=%r", event.instance_id, event.detail)
        elif event.place is None:
            self._places.pop(event.instance_id, None)
        else:
            self._places[event.instance_id] = event.place

    def _granted(self, event: NetworkGranted) -> None:
        self._is_granting = False
        if event.detail:
            logger.warning("event=grant_failed detail=%r", event.detail)
        self._look_at_s = self._clock.monotonic_s() + (RETRY_S if event.detail else 0.0)

    def _grant(self, subnets: tuple[Subnet, ...]) -> None:
        if subnets and self._view and subnets != self._view.subnets and not self._is_granting and self._chores.room():
            self._is_granting = True
            self._view = replace(self._view, subnets=subnets)
            self._chores.submit(partial(_grant, self._network, subnets))

    def _correct(self, needs: Needs) -> None:
        places = [self._places[each] for each in self._touched - self._corrected if each in self._places]
        self._touched &= self._corrected
        wanted = core.corrections(
            places, {place.instance_id: needs.needs_network(place.instance_id) for place in places}
        )
        for instance_id in wanted.detach:
            self._submit(instance_id, partial(_detach, self._network, instance_id))
        for instance_id in wanted.attach:
            self._submit(instance_id, partial(_attach, self._network, instance_id, needs.ports_of(instance_id)))

    def _submit(self, instance_id: InstanceId, job: Callable[[], NetworkCorrected]) -> None:
        """Without room it is done after the next look."""
        if self._chores.room():
            self._corrected.add(instance_id)
            self._chores.submit(job)


def _look(network: Network) -> NetworkLooked:
    try:
        return NetworkLooked(network.look())
    except HedgerowError as error:
        return NetworkLooked(None, str(error))
    except Exception:
        logger.exception("event=network_look_broke")
        return NetworkLooked(None, "the node engine failed over it; its log says how")


def _grant(network: Network, subnets: tuple[Subnet, ...]) -> NetworkGranted:
    return NetworkGranted(_tried(lambda: network.grant(subnets)))


def _detach(network: Network, instance_id: InstanceId) -> NetworkCorrected:
    return NetworkCorrected(instance_id, None, _tried(lambda: network.detach(instance_id)))


def _attach(network: Network, instance_id: InstanceId, ports: tuple[PortMapping, ...]) -> NetworkCorrected:
    found: list[Place] = []
    detail = _tried(lambda: found.append(network.attach(instance_id, ports)))
    return NetworkCorrected(instance_id, found[0] if found else None, detail)


def _tried(job: Callable[[], object]) -> str:
    """What went wrong, "" when nothing did."""
    try:
        job()
    except HedgerowError as error:
        return str(error)
    except Exception:
        logger.exception("event=network_chore_broke")
        return "the node engine failed over it; its log says how"
    return ""
