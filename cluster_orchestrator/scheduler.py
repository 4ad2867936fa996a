"""Which node runs what: loads what became dirty, asks the core and the placement engine, keeps the assignments."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from cluster_orchestrator.core.placing import decide, recovered, request_of
from cluster_orchestrator.core.reconcile import Command, FindNode, Forget, Situation, Stop, holds_resources, reconcile
from cluster_orchestrator.core.records import NodeRecord, WantedService
from cluster_orchestrator.core.reservations import Reservations
from cluster_orchestrator.core.summary import NodeView, summarise
from cluster_orchestrator.ports import World
from edge_common.link.brake import Brake
from edge_common.link.placement_store import PlacementStore
from edge_common.model.cluster import Summary
from edge_common.model.errors import HedgerowError
from edge_common.model.ids import ChildId, InstanceId, NodeId, ServiceId
from edge_common.model.instance import Assignment, Observation
from edge_common.model.lifecycle import Desired, Reason
from edge_common.model.node import Readiness
from edge_common.model.resources import Resources
from edge_common.placement.place import Placement
from edge_common.placement.requests import Request
from edge_common.plumbing.clock import Clock

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Settled:
    """What one settle changed. `forgotten` carries the last state and what was observed of each; `placed` are
    those that were given a node just now."""

    puts: list[Assignment] = field(default_factory=list)
    placed: list[InstanceId] = field(default_factory=list)
    forgotten: list[tuple[Forget, Observation | None]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.puts or self.forgotten)


class Scheduler:
    """Runs on the mailbox's thread."""

    def __init__(
        self,
        store: PlacementStore,
        world: World,
        clock: Clock,
        new_id: Callable[[], InstanceId],
        lease_s: float,
    ) -> None:
        self._store = store
        self._world = world
        self._clock = clock
        self._new_id = new_id
        self._lease_s = lease_s
        self._nodes: dict[NodeId, NodeRecord] = {}
        self._reservations = Reservations()
        self._dirty: set[ServiceId] = set()
        self._unplaced: set[ServiceId] = set()
        self._has_new_room = False
        self._brake = Brake()

    def load(self, nodes: Iterable[NodeRecord], service_ids: Iterable[ServiceId]) -> None:
        """At start: the table of candidates from what is kept, and everything dirty."""
        for node in nodes:
            self.node_changed(node)
        observations = self._store.all_observations()
        assignments = self._store.all_assignments()
        wanted_of = {service_id: self._world.wanted(service_id) for service_id in {a.service_id for a in assignments}}
        for assignment in assignments:
            wanted = wanted_of[assignment.service_id]
            if wanted and holds_resources(assignment, observations.get(assignment.instance_id)):
                self._reservations.hold(assignment, _request(FindNode(assignment), wanted))
            self._dirty.add(assignment.service_id)
        self._dirty.update(service_ids)

    def services_changed(self, service_ids: Iterable[ServiceId]) -> None:
        self._dirty.update(service_ids)

    def node_changed(self, record: NodeRecord) -> None:
        """It joined, said something new of itself, was cordoned, or became ready, suspect or lost."""
        node_id = record.info.node_id
        self._nodes[node_id] = record
        health = self._world.health().get(ChildId(node_id))
        is_ready = health is not None and health.readiness is Readiness.READY
        self._reservations.upsert(record.info, is_ready=is_ready, is_cordoned=record.is_cordoned)
        self._has_new_room |= is_ready and not record.is_cordoned
        self.services_changed(each.service_id for each in self._store.assignments_on(ChildId(node_id)))

    def node_forgotten(self, node_id: NodeId) -> None:
        self._nodes.pop(node_id, None)
        self.services_changed(each.service_id for each in self._store.assignments_on(ChildId(node_id)))
        self._reservations.remove(node_id)

    def tick(self) -> None:
        """What depends on the clock alone: leases of services, and the end of the brake."""
        self._check_brake()
        away = self._world.unready()
        service_ids = {each.service_id for node_id in away for each in self._store.assignments_on(node_id)}
        for service_id in service_ids - self._dirty:
            wanted = self._world.wanted(service_id)
            if wanted is None or wanted.spec.lease_s is not None:
                self._dirty.add(service_id)

    def settle(self) -> Settled:
        """Decide about everything that is dirty, once, and make it durable."""
        self._check_brake()
        if self._has_new_room:
            self._has_new_room = False
            self._dirty |= self._unplaced
        settled = Settled()
        dirty, self._dirty = sorted(self._dirty), set()
        try:
            for service_id in dirty:
                self._settle_service(service_id, settled)
            self._write(settled)
        except HedgerowError:
            self._dirty.update(dirty)
            for instance_id in settled.placed:
                self._reservations.release(instance_id)
            raise
        return settled

    @property
    def has_work(self) -> bool:
        return bool(self._dirty) or (self._has_new_room and bool(self._unplaced))

    def summary(self, revision: int) -> Summary:
        free = self._reservations.free()
        ready = self._world.health().keys() - self._world.unready().keys()
        views = [
            NodeView(record.info, free[node_id], ChildId(node_id) in ready, record.is_cordoned)
            for node_id, record in self._nodes.items()
        ]
        return summarise(revision, views, self._reservations.count)

    def free_of(self, node_id: NodeId) -> Resources:
        return self._reservations.free_of(node_id)

    def _write(self, settled: Settled) -> None:
        if settled:
            forgotten = {forget.assignment.instance_id: None for forget, _ in settled.forgotten}
            kept = [put for put in settled.puts if put.instance_id not in forgotten]
            self._store.write_assignments(kept, forgotten)

    def _settle_service(self, service_id: ServiceId, settled: Settled) -> None:
        situation = self._situation(service_id)
        self._hold(situation)
        commands = reconcile(situation, self._new_id)
        now_s = self._clock.now_s()
        puts: dict[InstanceId, Assignment] = {}
        for command in commands:
            if isinstance(command, Stop):
                stopped = replace(command.assignment, desired=Desired.STOPPED, since_s=now_s)
                puts[stopped.instance_id] = stopped
            elif isinstance(command, Forget):
                settled.forgotten.append((command, situation.observed(command.assignment)))
        for put in self._place(commands, situation, settled):
            puts[put.instance_id] = put
        for put in self._recovered(situation, now_s):
            puts.setdefault(put.instance_id, put)
        settled.puts += puts.values()
        self._account(situation, puts, commands)
        is_stopping = any(put.desired is Desired.STOPPED for put in puts.values())
        if is_stopping or any(not isinstance(command, FindNode) for command in commands):
            self._dirty.add(service_id)
        for command in commands:
            logger.info("event=decided service=%s command=%s", service_id, _say(command))

    def _situation(self, service_id: ServiceId) -> Situation:
        assignments = self._store.assignments_of([service_id])
        observed = self._store.observations_of([service_id]) if assignments else []
        return Situation(
            wanted=self._world.wanted(service_id),
            assignments=assignments,
            observations={heard.observation.instance_id: heard.observation for heard in observed},
            nodes=self._world.health(),
            lease_s=self._lease_s,
            is_braked=self._brake.is_on,
        )

    def _hold(self, situation: Situation) -> None:
        """What is assigned is held, also when a write took effect of which the store said that it failed."""
        for assignment in situation.assignments:
            is_held = assignment.instance_id in self._reservations
            if not is_held and situation.wanted and holds_resources(assignment, situation.observed(assignment)):
                self._reservations.hold(assignment, _request(FindNode(assignment), situation.wanted))

    def _place(self, commands: Sequence[Command], situation: Situation, settled: Settled) -> list[Assignment]:
        wanted = situation.wanted
        searches = [each for each in commands if isinstance(each, FindNode)]
        if not searches or wanted is None:
            return []
        answers = self._reservations.place([_request(search, wanted) for search in searches])
        settled.placed += [InstanceId(each.key) for each in answers if isinstance(each, Placement)]
        now_s = self._clock.now_s()
        decisions = [decide(search, answer, now_s) for search, answer in zip(searches, answers, strict=True)]
        return [put for decision in decisions for put in decision.puts]

    def _recovered(self, situation: Situation, now_s: float) -> list[Assignment]:
        return [
            recovered(assignment, now_s)
            for assignment in situation.assignments
            if assignment.reason is Reason.NODE_LOST and not situation.is_lost(assignment)
        ]

    def _account(
        self,
        situation: Situation,
        puts: dict[InstanceId, Assignment],
        commands: Sequence[Command],
    ) -> None:
        """Give back what ended; note whether something still waits for room."""
        forgotten = {each.assignment.instance_id for each in commands if isinstance(each, Forget)}
        after = {each.instance_id: each for each in situation.assignments} | puts
        for instance_id, assignment in after.items():
            is_held = holds_resources(assignment, situation.observations.get(instance_id))
            if instance_id in forgotten or not is_held:
                self._has_new_room |= self._reservations.release(instance_id)
        still = [each for each in after.values() if each.instance_id not in forgotten]
        waits = any(not each.is_placed or each.reason is Reason.NODE_LOST for each in still)
        service_id = next((each.service_id for each in after.values()), None)
        if service_id is not None:
            (self._unplaced.add if waits else self._unplaced.discard)(service_id)

    def _check_brake(self) -> None:
        if self._brake.check(len(self._world.health()), self._world.unready().values()):
            for child_id in self._nodes:
                self.services_changed(each.service_id for each in self._store.assignments_on(ChildId(child_id)))


def _request(search: FindNode, wanted: WantedService) -> Request:
    return request_of(search, wanted.spec_of(search.assignment.spec_revision))


def _say(command: Command) -> str:
    return f"{type(command).__name__}({command.assignment.instance_id}#{command.assignment.instance_number})"
