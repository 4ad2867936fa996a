"""The root's scheduler with its stores: what it keeps, what it promises, and that it comes to rest."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from edge_common.link.placement_store import PlacementStore
from edge_common.model.cluster import ClusterInfo, Pool, Summary
from edge_common.model.errors import Unreachable
from edge_common.model.ids import ApplicationId, ChildId, ClusterId, InstanceId, ServiceId
from edge_common.model.instance import Assignment, Observation
from edge_common.model.lifecycle import Desired, Reason, State
from edge_common.model.node import ChildHealth, Readiness, Usage
from edge_common.model.resources import Resources
from edge_common.model.service import ServiceSpec
from edge_common.plumbing.clock import FakeClock
from root_orchestrator.adapters.intent_store import DocumentIntentStore
from root_orchestrator.core.records import ClusterRecord, ServiceIntent
from root_orchestrator.core.situation import GRACE_S, ROUND_S
from root_orchestrator.core.updates import Order, UpdatePolicy
from root_orchestrator.core.versions import revisions_like, with_spec
from root_orchestrator.scheduler import Scheduler, Settled
from tests.unit.link.rig import FailingDocuments

WEB = ServiceId("web")
C1, C2, C3 = ChildId("c1"), ChildId("c2"), ChildId("c3")
ASKED = Resources(500, 256, 100)
ROOM = Resources(2_000, 4_096, 10_000)
READY = ChildHealth(Readiness.READY)
LOST = ChildHealth(Readiness.LOST, 60.0)


def summary(room: Resources = ROOM, revision: int = 0) -> Summary:
    return Summary(revision, 1, 1, 0, (Pool("amd64", ("container",), False, 1, ROOM, room, (room,)),))


@dataclass
class World:
    clusters: dict[ChildId, ChildHealth] = field(default_factory=dict)

    def health(self) -> Mapping[ChildId, ChildHealth]:
        return self.clusters

    def unready(self) -> Mapping[ChildId, ChildHealth]:
        return {name: health for name, health in self.clusters.items() if health.readiness is not Readiness.READY}


class Root:
    update = UpdatePolicy(order=Order.STOP_FIRST, min_healthy_s=0.0)

    def __init__(self, *names: ChildId) -> None:
        self.documents = FailingDocuments()
        self.clock = FakeClock()
        self.world = World()
        self.intents = DocumentIntentStore(self.documents)
        self.store = PlacementStore(self.documents)
        self.records: dict[ChildId, ClusterRecord] = {}
        self._ids = map("i{}".format, itertools.count(1))
        self.start()
        for name in names:
            self.summary(name, summary())

    def start(self) -> None:
        self.scheduler = Scheduler(
            self.intents, self.store, self.world, self.clock, lambda: InstanceId(next(self._ids))
        )
        self.scheduler.load(self.records.values())

    def summary(self, name: ChildId, said: Summary, withdrawn_at: int | None = None) -> None:
        info = ClusterInfo(ClusterId(name), name)
        self.records[name] = ClusterRecord(info, said, Usage(), Readiness.READY, self.clock.now_s(), 0.0)
        self.world.clusters.setdefault(name, READY)
        self.scheduler.cluster_changed(self.records[name], lambda _: withdrawn_at)

    def health(self, name: ChildId, health: ChildHealth) -> None:
        self.world.clusters[name] = health
        self.records[name] = replace(self.records[name], readiness=health.readiness)
        self.scheduler.readiness_changed(self.records[name])

    def want(
        self, slots: int, spec_revision: int = 1, service_id: ServiceId = WEB, *, is_removed: bool = False
    ) -> None:
        spec = ServiceSpec(
            service_id, ApplicationId("app"), service_id, "container", f"busybox:{spec_revision}", resources=ASKED
        )
        numbers = () if is_removed else tuple(range(slots))
        known = self.intents.service(service_id) or ServiceIntent(
            service_id, ApplicationId("app"), spec, {}, update=self.update
        )
        if known.spec != spec:
            known = with_spec(known, spec, {}, self.clock.now_s())
        intent = replace(known, slots=numbers, next_number=max(slots, known.next_number), is_removed=is_removed)
        self.intents.write(put_services=[intent])
        self.scheduler.services_changed([service_id])

    def settle(self, rounds: int = 10) -> list[Settled]:
        done = []
        for _ in range(rounds):
            settled = self.scheduler.settle()
            done.append(settled)
            if settled.ended_services:
                self.intents.write(delete_services=settled.ended_services)
            for intent, verdict in settled.verdicts:
                self.intents.write(put_services=[replace(intent, rollout=verdict.rollout)])
                self.scheduler.services_changed([intent.service_id])
            if not self.scheduler.has_work:
                return done
        raise AssertionError(f"Still something to decide after {rounds} rounds: {done[-1]}")

    def report(self, assignment: Assignment, state: State, reason: Reason = Reason.NONE) -> None:
        said = Observation(
            assignment.instance_id, assignment.service_id, assignment.instance_number, state, reason=reason
        )
        self.store.fold_report(assignment.child_id, [said], self.clock.now_s())
        self.scheduler.services_changed([assignment.service_id])

    def clusters_work(self) -> None:
        observed = self.store.all_observations()
        for each in self.store.all_assignments():
            known = observed.get(each.instance_id)
            if each.is_placed and self.world.clusters[each.child_id] == READY and not (known and known.is_terminal):
                self.report(each, State.RUNNING if each.desired is Desired.RUNNING else State.UNDEPLOYED)

    def assignments(self, service_id: ServiceId = WEB) -> list[Assignment]:
        return sorted(self.store.assignments_of([service_id]), key=lambda each: (each.instance_number, each.desired))

    def running(self, service_id: ServiceId = WEB) -> list[Assignment]:
        return [each for each in self.assignments(service_id) if each.desired is Desired.RUNNING]


@pytest.fixture
def root() -> Root:
    return Root(C1, C2)


def test_slots_are_spread_over_clusters_and_a_second_settle_changes_nothing(root: Root) -> None:
    root.want(4)
    root.settle()
    assert sorted(each.child_id for each in root.running()) == [C1, C1, C2, C2]
    assert all(each.instance_id == each.origin_id for each in root.running())
    root.scheduler.services_changed([WEB])
    assert not root.scheduler.settle()


def test_a_burst_does_not_promise_more_than_the_summaries_have(root: Root) -> None:
    for number in range(12):
        root.want(1, service_id=ServiceId(f"s{number}"))
    root.settle()
    everything = root.store.all_assignments()
    assert sum(each.is_placed for each in everything) == 8
    assert {each.reason for each in everything if not each.is_placed} == {Reason.NO_CAPACITY}


def test_a_summary_that_counts_them_takes_the_place_of_reservations(root: Root) -> None:
    root.want(8)
    root.settle()
    root.summary(C1, summary(Resources(0, 3_072, 9_600), revision=4), withdrawn_at=4)
    root.summary(C2, summary(revision=3), withdrawn_at=4)
    root.want(9)
    root.settle()
    assert not root.running()[8].is_placed
    root.summary(C1, summary(Resources(500, 3_328, 9_700), revision=5), withdrawn_at=4)
    root.settle()
    assert root.running()[8].child_id == C1


def test_a_lost_cluster_is_replaced_only_when_another_takes_over(root: Root) -> None:
    root.want(8)
    root.settle()
    root.clusters_work()
    root.health(C1, LOST)
    root.settle()
    kept = [each for each in root.running() if each.child_id == C1]
    assert len(kept) == 4
    assert {each.reason for each in kept} == {Reason.CLUSTER_LOST}
    root.health(C1, READY)
    root.settle()
    assert {each.reason for each in root.running()} == {Reason.NONE}
    assert {each.instance_id for each in kept} <= {each.instance_id for each in root.running()}


def test_a_lost_cluster_with_room_elsewhere_is_replaced_and_forgotten(root: Root) -> None:
    root.want(2)
    root.settle()
    root.clusters_work()
    root.health(C1, LOST)
    root.settle()
    assert [each.child_id for each in root.assignments()] == [C2, C2]


def test_what_a_cluster_cannot_place_goes_to_the_next_after_the_grace(root: Root) -> None:
    root.want(1)
    root.settle()
    (before,) = root.running()
    root.report(before, State.CLUSTER_SCHEDULED, Reason.NO_CAPACITY)
    root.settle()
    assert root.running() == [before]
    assert root.scheduler.due_in_s() == pytest.approx(GRACE_S)
    root.clock.advance(GRACE_S)
    root.scheduler.tick()
    root.settle()
    (after,) = root.running()
    assert after.child_id != before.child_id
    assert root.scheduler.due_in_s() > ROUND_S
    root.clusters_work()
    root.settle()
    assert root.assignments() == [after]


def test_every_cluster_is_asked_before_one_is_asked_again() -> None:
    root = Root(C1, C2, C3)
    root.want(1)
    root.settle()
    assert [refused_by(root, GRACE_S) for _ in range(2)] == [C1, C2]
    (last,) = root.running()
    assert last.child_id == C3
    refused_by(root, GRACE_S)
    assert root.running() == [last], "where every cluster has refused it, it stays"
    assert root.scheduler.due_in_s() == pytest.approx(ROUND_S - GRACE_S)
    assert [refused_by(root, ROUND_S - GRACE_S), *(refused_by(root, GRACE_S) for _ in range(2))] == [C3, C1, C2]
    assert [each.child_id for each in root.running()] == [C2], "asked last in this round"


def test_a_cluster_that_once_refused_a_slot_may_take_over_from_a_lost_one(root: Root) -> None:
    root.want(1)
    root.settle()
    refused_by(root, GRACE_S)
    root.clusters_work()
    root.health(C2, LOST)
    root.settle()
    assert [each.child_id for each in root.running()] == [C1]


def refused_by(root: Root, wait_s: float) -> ChildId:
    """Which cluster says of the only instance that no node fits; then time passes."""
    (instance,) = root.running()
    root.report(instance, State.CLUSTER_SCHEDULED, Reason.NO_CAPACITY)
    root.settle()
    root.clock.advance(wait_s)
    root.scheduler.tick()
    root.settle()
    for each in root.assignments():
        if each.desired is Desired.STOPPED:
            root.report(each, State.UNDEPLOYED)
    root.settle()
    return instance.child_id


def test_a_changed_spec_replaces_one_slot_at_a_time(root: Root) -> None:
    root.want(3)
    root.settle()
    root.clusters_work()
    root.settle()
    root.want(3, spec_revision=2)
    for _ in range(12):
        root.settle()
        alive = [each for each in root.running() if root.store.all_observations().get(each.instance_id)]
        assert len(alive) >= 2
        root.clusters_work()
    assert [each.spec_revision for each in root.assignments()] == [2, 2, 2]


def test_a_removed_service_ends_with_its_last_instance(root: Root) -> None:
    root.want(3)
    root.settle()
    root.clusters_work()
    root.want(3, is_removed=True)
    assert not any(settled.ended_services for settled in root.settle())
    root.clusters_work()
    assert [settled.ended_services for settled in root.settle() if settled.ended_services] == [[WEB]]
    assert root.store.all_assignments() == []
    assert root.intents.service(WEB) is None


def test_an_end_that_could_not_be_carried_out_is_told_again(root: Root) -> None:
    root.want(1, is_removed=True)
    assert root.scheduler.settle().ended_services == [WEB]
    assert root.scheduler.settle().ended_services == [WEB]


def test_a_decision_that_could_not_be_kept_is_made_again_and_holds_nothing(root: Root) -> None:
    root.want(8)
    root.documents.is_read_only = True
    for _ in range(5):
        with pytest.raises(Unreachable):
            root.scheduler.settle()
    root.documents.is_read_only = False
    root.settle()
    assert all(each.is_placed for each in root.running())


def disturb(root: Root, chance: Random) -> None:
    services = [ServiceId("web"), ServiceId("db")]
    match chance.randrange(6):
        case 0:
            root.want(chance.randrange(5), chance.randrange(1, 4), chance.choice(services))
        case 1:
            root.health(chance.choice([C1, C2]), chance.choice([READY, LOST]))
        case 2 | 3:
            root.clusters_work()
        case 4:
            waiting = [each for each in root.store.all_assignments() if each.is_placed]
            for each in waiting[:1]:
                root.report(each, State.CLUSTER_SCHEDULED, Reason.NO_CAPACITY)
        case _:
            root.clock.advance(chance.random() * 6)
            root.scheduler.tick()


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_it_comes_to_rest_with_every_slot_filled_once(seed: int) -> None:
    chance = Random(seed)
    root = Root(C1, C2)
    for _ in range(50):
        disturb(root, chance)
        root.settle()
        slots = [
            (each.service_id, each.instance_number)
            for each in root.store.all_assignments()
            if each.desired is Desired.RUNNING
        ]
        assert len(slots) == len(set(slots))
    for name in (C1, C2):
        root.summary(name, summary(revision=99), withdrawn_at=1)
        root.health(name, READY)
    for _ in range(25):
        root.settle()
        root.clusters_work()
        root.clock.advance(1)
        root.scheduler.tick()
    root.settle()
    for service in root.intents.services():
        kept = root.assignments(service.service_id)
        assert [each.instance_number for each in kept] == list(service.slots)
        newest = revisions_like(service, service.spec)
        assert all(each.is_placed and each.spec_revision in newest for each in kept)
