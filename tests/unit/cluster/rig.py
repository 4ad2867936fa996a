"""A cluster's scheduler between a root and nodes that do as told, without links."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cluster_orchestrator.core.records import NodeRecord, Slot, WantedService
from cluster_orchestrator.scheduler import Scheduler, Settled
from edge_common.link.placement_store import PlacementStore
from edge_common.model.ids import ApplicationId, ChildId, InstanceId, NodeId, ServiceId
from edge_common.model.instance import Assignment, Observation
from edge_common.model.lifecycle import Desired, State
from edge_common.model.node import ChildHealth, NodeInfo, Readiness
from edge_common.model.resources import NOTHING, Resources
from edge_common.model.service import ServiceSpec
from edge_common.plumbing.clock import FakeClock
from tests.unit.link.rig import FailingDocuments

WEB = ServiceId("web")
READY = ChildHealth(Readiness.READY)
SUSPECT = ChildHealth(Readiness.SUSPECT, 1.0)
LOST = ChildHealth(Readiness.LOST, 60.0)
ROOM = Resources(4_000, 4_096, 10_000)
ASKED = Resources(500, 256, 100)


def spec(service_id: str = WEB, **changes: Any) -> ServiceSpec:
    plain = ServiceSpec(
        ServiceId(service_id), ApplicationId("app"), service_id, "container", "busybox", resources=ASKED
    )
    return replace(plain, **changes)


def wanted(count: int, service_id: str = WEB, spec_revision: int = 1, **changes: Any) -> WantedService:
    slots = tuple(Slot(InstanceId(f"{service_id}-{number}"), number) for number in range(count))
    return WantedService(ServiceId(service_id), spec_revision, spec(service_id, **changes), slots)


def node(name: str, room: Resources = ROOM, **changes: Any) -> NodeRecord:
    return NodeRecord(NodeInfo(NodeId(name), name, "amd64", ("container",), room), **changes)


def observation(assignment: Assignment, state: State, attempt: int = 1) -> Observation:
    return Observation(
        assignment.instance_id, assignment.service_id, assignment.instance_number, state, attempt=attempt
    )


@dataclass
class World:
    services: dict[ServiceId, WantedService] = field(default_factory=dict)
    nodes: dict[ChildId, ChildHealth] = field(default_factory=dict)

    def wanted(self, service_id: ServiceId) -> WantedService | None:
        return self.services.get(service_id)

    def health(self) -> Mapping[ChildId, ChildHealth]:
        return self.nodes

    def unready(self) -> Mapping[ChildId, ChildHealth]:
        return {name: health for name, health in self.nodes.items() if health.readiness is not Readiness.READY}


class Cluster:
    def __init__(self, *names: str, room: Resources = ROOM, documents: FailingDocuments | None = None) -> None:
        self.documents = documents or FailingDocuments()
        self.clock = FakeClock()
        self.world = World()
        self.store = PlacementStore(self.documents)
        self._ids = map("new-{}".format, itertools.count(1))
        self.records = {ChildId(name): node(name, room) for name in names}
        self.start()
        for name in names:
            self.health(name, READY)

    def start(self) -> None:
        """Also anew, with what is in the store."""
        self.scheduler = Scheduler(self.store, self.world, self.clock, lambda: InstanceId(next(self._ids)), lease_s=3.0)
        self.scheduler.load(self.records.values(), self.world.services)

    def health(self, name: str, health: ChildHealth) -> None:
        self.world.nodes[ChildId(name)] = health
        self.scheduler.node_changed(self.records[ChildId(name)])

    def want(self, service: WantedService) -> None:
        self.world.services[service.service_id] = service
        self.scheduler.services_changed([service.service_id])

    def unwant(self, service_id: ServiceId = WEB) -> None:
        self.world.services.pop(service_id, None)
        self.scheduler.services_changed([service_id])

    def settle(self, rounds: int = 10) -> list[Settled]:
        done = []
        for _ in range(rounds):
            done.append(self.scheduler.settle())
            if not self.scheduler.has_work:
                return done
        raise AssertionError(f"Still something to decide after {rounds} rounds: {done[-1]}")

    def report(self, assignment: Assignment, state: State, attempt: int = 1) -> None:
        self.store.fold_report(assignment.child_id, [observation(assignment, state, attempt)], self.clock.now_s())
        self.scheduler.services_changed([assignment.service_id])

    def nodes_work(self) -> None:
        """Every node that is heard does what it is told and says so."""
        observed = self.store.all_observations()
        for each in self.store.all_assignments():
            if each.is_placed and self.world.nodes[each.child_id].readiness is Readiness.READY:
                known = observed.get(each.instance_id)
                if known is None or not known.is_terminal or each.desired is Desired.STOPPED:
                    state = State.RUNNING if each.desired is Desired.RUNNING else State.UNDEPLOYED
                    self.report(each, state, known.attempt if known else 1)

    def assignments(self, service_id: ServiceId = WEB) -> list[Assignment]:
        found = self.store.assignments_of([service_id])
        return sorted(found, key=lambda each: (each.instance_number, each.succession))

    def running(self, service_id: ServiceId = WEB) -> list[Assignment]:
        return [each for each in self.assignments(service_id) if each.desired is Desired.RUNNING]

    def check(self) -> None:
        """What holds after every settle."""
        alive = self.store.all_assignments()
        slots = [each.origin_id for each in alive if each.desired is Desired.RUNNING]
        assert len(slots) == len(set(slots)), "two instances shall run in one slot"
        observed = self.store.all_observations()
        for child_id, record in self.records.items():
            held = sum(
                (
                    ASKED
                    for each in alive
                    if each.child_id == child_id
                    and not (each.instance_id in observed and observed[each.instance_id].is_terminal)
                ),
                NOTHING,
            )
            free = self.scheduler.free_of(NodeId(child_id))
            assert free == record.info.capacity - held, f"{child_id} holds {held}, and has {free} free"
            assert free.cpu_millis >= 0, f"{child_id} is over-committed"
