"""Which cluster runs what: loads what became dirty, asks the core and the placement engine, keeps the assignments."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge_common.link.brake import Brake
from edge_common.link.placement_store import PlacementStore
from edge_common.model.errors import HedgerowError
from edge_common.model.ids import ChildId, InstanceId, ServiceId
from edge_common.model.instance import Assignment
from edge_common.model.lifecycle import Desired, Reason
from edge_common.model.node import Readiness
from edge_common.placement.place import Placement
from edge_common.placement.requests import Request
from edge_common.plumbing.clock import Clock
from root_orchestrator.core.placing import decide, recovered, request_of
from root_orchestrator.core.reconcile import (
    Command,
    FindCluster,
    Forget,
    Stop,
    grace_ends_s,
    is_gone,
    judged,
    reconcile,
    rollout_due_s,
)
from root_orchestrator.core.records import ClusterRecord, ServiceIntent
from root_orchestrator.core.reservations import Reservations
from root_orchestrator.core.rollout import Verdict
from root_orchestrator.core.situation import Situation
from root_orchestrator.core.updates import Phase
from root_orchestrator.core.versions import spec_of
from root_orchestrator.ports import IntentStore, World

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Settled:
    """What one settle changed. `ended_services` were removed and have nothing left; `placed` got a cluster just now.

    `verdicts` are news of rollouts, each with the intent that it is about.
    """

    puts: list[Assignment] = field(default_factory=list)
    placed: list[Assignment] = field(default_factory=list)
    forgotten: list[Assignment] = field(default_factory=list)
    ended_services: list[ServiceId] = field(default_factory=list)
    verdicts: list[tuple[ServiceIntent, Verdict]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.puts or self.forgotten or self.ended_services or self.verdicts)


class Scheduler:
    """Runs on the mailbox's thread."""

    def __init__(
        self,
        intents: IntentStore,
        placements: PlacementStore,
        world: World,
        clock: Clock,
        new_id: Callable[[], InstanceId],
    ) -> None:
        self._intents = intents
        self._placements = placements
        self._world = world
        self._clock = clock
        self._new_id = new_id
        self._reservations = Reservations()
        self._dirty: set[ServiceId] = set()
        self._unplaced: set[ServiceId] = set()
        self._graces: dict[ServiceId, float] = {}
        self._has_new_room = False
        self._brake = Brake()

    def load(self, clusters: Iterable[ClusterRecord]) -> None:
        """At start: the table of candidates from what is kept, and everything dirty."""
        intents = {intent.service_id: intent for intent in self._intents.services()}
        for assignment in self._placements.all_assignments():
            intent = intents.get(assignment.service_id)
            if intent is not None and assignment.is_placed:
                self._reservations.count(assignment, _request(FindCluster(assignment), intent))
        for cluster in clusters:
            self._reservations.upsert(cluster)
        self._dirty.update(intents)

    def services_changed(self, service_ids: Iterable[ServiceId]) -> None:
        self._dirty.update(service_ids)

    def cluster_changed(self, record: ClusterRecord, withdrawn_at: Callable[[ServiceId], int | None]) -> None:
        """It joined, or its summary is new. `withdrawn_at` is the revision that last changed a service's document."""
        child_id = ChildId(record.info.cluster_id)
        counted = [
            instance_id
            for instance_id, service_id in self._reservations.uncounted(child_id).items()
            if (revision := withdrawn_at(service_id)) is not None and revision <= record.summary.revision
        ]
        self._reservations.upsert(record, counted)
        self._has_new_room = True

    def readiness_changed(self, record: ClusterRecord) -> None:
        child_id = ChildId(record.info.cluster_id)
        self._reservations.set_ready(child_id, is_ready=record.readiness is Readiness.READY)
        self._has_new_room |= record.readiness is Readiness.READY
        self.services_changed(each.service_id for each in self._placements.assignments_on(child_id))

    def cluster_forgotten(self, cluster_id: ChildId) -> None:
        """What it had is placed anew as soon as another cluster takes it."""
        self.services_changed(each.service_id for each in self._placements.assignments_on(cluster_id))
        self._reservations.remove(cluster_id)

    def tick(self) -> None:
        """What depends on the clock alone: graces that are over, rollouts, and the end of the brake."""
        now_s = self._clock.now_s()
        self._check_brake()
        self._dirty.update(service_id for service_id, ends_s in self._graces.items() if ends_s <= now_s)

    def due_in_s(self) -> float:
        """Until the next grace is over, or the next rollout goes on."""
        return max(0.0, min(self._graces.values(), default=float("inf")) - self._clock.now_s())

    def settle(self) -> Settled:
        """Decide about everything that is dirty, once, and make it durable."""
        self._check_brake()
        if self._has_new_room:
            self._has_new_room = False
            self._dirty |= self._unplaced
        settled = Settled()
        dirty, self._dirty = sorted(self._dirty), set()
        try:
            for intent in self._intents.services_by_id(dirty):
                self._settle_service(intent, settled)
            forgotten = {assignment.instance_id for assignment in settled.forgotten}
            kept = [put for put in settled.puts if put.instance_id not in forgotten]
            self._placements.write_assignments(kept, sorted(forgotten))
        except HedgerowError:
            self._dirty.update(dirty)
            for assignment in settled.placed:
                self._reservations.release(assignment)
            raise
        return settled

    @property
    def has_work(self) -> bool:
        return bool(self._dirty) or (self._has_new_room and bool(self._unplaced))

    def _settle_service(self, intent: ServiceIntent, settled: Settled) -> None:
        situation = self._situation(intent)
        if is_gone(situation):
            settled.ended_services.append(intent.service_id)
            self._dirty.add(intent.service_id)
            self._unplaced.discard(intent.service_id)
            self._graces.pop(intent.service_id, None)
            return
        situation = self._judge(situation, settled)
        commands = reconcile(situation, self._new_id)
        puts = self._carry_out(commands, situation, settled)
        settled.puts += puts.values()
        self._account(situation, puts, commands)
        for command in commands:
            logger.info("event=decided service=%s command=%s", intent.service_id, _say(command))

    def _judge(self, situation: Situation, settled: Settled) -> Situation:
        """What is about to go back takes no further step forward."""
        verdict = judged(situation)
        rollout = verdict.rollout
        if verdict.goes_back or rollout != situation.intent.rollout:
            settled.verdicts.append((situation.intent, verdict))
        if verdict.goes_back:
            rollout = replace(rollout, phase=Phase.PAUSED)
        return replace(situation, intent=replace(situation.intent, rollout=rollout))

    def _carry_out(
        self, commands: Sequence[Command], situation: Situation, settled: Settled
    ) -> dict[InstanceId, Assignment]:
        now_s = situation.now_s
        puts: dict[InstanceId, Assignment] = {}
        for command in commands:
            if isinstance(command, Stop):
                stopped = replace(command.assignment, desired=Desired.STOPPED, since_s=now_s)
                puts[stopped.instance_id] = stopped
            elif isinstance(command, Forget):
                settled.forgotten.append(command.assignment)
        searches = [command for command in commands if isinstance(command, FindCluster)]
        requests = [_request(search, situation.intent) for search in searches]
        answers = self._reservations.place(situation.intent.service_id, requests)
        for search, answer in zip(searches, answers, strict=True):
            decided = decide(search, answer, now_s)
            puts |= {put.instance_id: put for put in decided}
            if isinstance(answer, Placement):
                settled.placed.append(decided[-1])
        for assignment in situation.assignments:
            if assignment.reason is Reason.CLUSTER_LOST and not situation.is_lost(assignment):
                puts.setdefault(assignment.instance_id, recovered(assignment, now_s))
        return puts

    def _situation(self, intent: ServiceIntent) -> Situation:
        assignments = self._placements.assignments_of([intent.service_id])
        heard = self._placements.observations_of([intent.service_id]) if assignments else []
        return Situation(
            intent=intent,
            assignments=sorted(assignments, key=lambda each: (each.instance_number, each.since_s)),
            heard={each.observation.instance_id: each for each in heard},
            clusters=self._world.health(),
            now_s=self._clock.now_s(),
            is_braked=self._brake.is_on,
        )

    def _account(
        self, situation: Situation, puts: Mapping[InstanceId, Assignment], commands: Sequence[Command]
    ) -> None:
        """Give back what is gone; note whether something still waits, for room or for a grace to end."""
        service_id = situation.intent.service_id
        gone = {each.assignment.instance_id for each in commands if isinstance(each, Forget)}
        for command in commands:
            if isinstance(command, Forget):
                self._has_new_room |= self._reservations.release(command.assignment)
        is_stopping = any(put.desired is Desired.STOPPED for put in puts.values())
        if is_stopping or any(not isinstance(command, FindCluster) for command in commands):
            self._dirty.add(service_id)
        after = [
            each
            for instance_id, each in ({each.instance_id: each for each in situation.assignments} | dict(puts)).items()
            if instance_id not in gone
        ]
        grace_s = grace_ends_s(situation)
        waits = grace_s is not None or any(not each.is_placed or each.reason is Reason.CLUSTER_LOST for each in after)
        (self._unplaced.add if waits else self._unplaced.discard)(service_id)
        dues = [due for due in (grace_s, rollout_due_s(situation)) if due is not None and due > situation.now_s]
        if dues:
            self._graces[service_id] = min(dues)
        else:
            self._graces.pop(service_id, None)

    def _check_brake(self) -> None:
        if self._brake.check(len(self._world.health()), self._world.unready().values()):
            for child_id in self._world.health():
                self.services_changed(each.service_id for each in self._placements.assignments_on(child_id))


def _request(search: FindCluster, intent: ServiceIntent) -> Request:
    return request_of(search, spec_of(intent, search.assignment.spec_revision) or intent.spec)


def _say(command: Command) -> str:
    return f"{type(command).__name__}({command.assignment.instance_id}#{command.assignment.instance_number})"
