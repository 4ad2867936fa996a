"""A whole cluster between a root and two nodes, over brokers in memory."""

import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from cluster_orchestrator.adapters.doors import MAX_OPEN, PooledDoors
from cluster_orchestrator.app import Parts, Tier, build_tier
from cluster_orchestrator.service import NodeForgotten
from edge_common.link.child import Description, last_will
from edge_common.link.events import End
from edge_common.link.memory_broker import MemoryBroker, MemoryTransport
from edge_common.model.cluster import ClusterInfo
from edge_common.model.errors import Conflict, HedgerowError, NotFound, Overloaded
from edge_common.model.ids import ChildId, ClusterId, NodeId, ServiceId
from edge_common.model.instance import Observation
from edge_common.model.lifecycle import Reason, State
from edge_common.model.node import NodeInfo, Readiness
from edge_common.plumbing.clock import FakeClock
from edge_common.wire.messages import Report
from tests.support import eventually
from tests.unit.cluster.rig import ROOM
from tests.unit.link.rig import CHILD, WEB, Child, FailingDocuments, FakeReporter, Inbox, Parent

NODES = (ChildId("n1"), ChildId("n2"))


class NodeReporter(FakeReporter):
    def __init__(self, node_id: ChildId) -> None:
        super().__init__()
        self._info = NodeInfo(NodeId(node_id), node_id, "amd64", ("container",), ROOM)

    def move(self, address: str) -> None:
        self._info = replace(self._info, address=address)

    def claim(self, info: NodeInfo) -> None:
        self._info = info

    def describe(self, *, is_full: bool, acked_revision: int) -> Description:
        return Description(node=self._info if is_full else None)


class Node(Child):
    """Runs at once what it is told to, and says so no later than it acknowledges it."""

    def __init__(self, broker: MemoryBroker, clock: FakeClock, child_id: ChildId) -> None:
        super().__init__(broker, clock, child_id)
        self.reporter: NodeReporter = NodeReporter(child_id)
        self.restart()

    def work(self) -> None:
        for event in self.inbox.take():
            self.link.handle(event)
        self.link.take_changes()
        for service_id, document in self.link.desired.items():
            for each in document.instances:
                if each.instance_id not in self.reporter.observations:
                    number = each.instance_number
                    self.observe(Observation(each.instance_id, service_id, number, State.RUNNING, attempt=1))
        for gone in sorted(self.reporter.observations.keys() - self.instances):
            known = self.reporter.observations[gone]
            self.link.observe(
                Observation(gone, known.service_id, known.instance_number, State.UNDEPLOYED, attempt=known.attempt)
            )
            del self.reporter.observations[gone]
        self.link.flush()


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.above, self.below = MemoryBroker(), MemoryBroker()
        self.root = Parent(self.above, self.clock, CHILD)
        self.documents = FailingDocuments()
        for name in NODES:
            self.documents.put("children", {"_id": name, "kind": "node"})
        self._boots = itertools.count(1)
        self._ids = map("new-{}".format, itertools.count(1))
        self.start()
        self.nodes = {name: Node(self.below, self.clock, name) for name in NODES}
        self.run(2)

    def start(self) -> None:
        self.upper, self.lower = Inbox(End.UPPER), Inbox(End.LOWER)
        self.transports = (
            MemoryTransport(self.above, CHILD, self.upper, last_will(CHILD)),
            MemoryTransport(self.below, "parent-cluster", self.lower),
        )
        info = ClusterInfo(ClusterId(CHILD), "edge")
        boot_id = f"cluster-{next(self._boots)}"
        parts = Parts(self.documents, *self.transports, self.clock, boot_id, lambda: next(self._ids))
        self.tier: Tier = build_tier(info, parts)
        for transport in self.transports:
            transport.start()

    def kill(self) -> None:
        for transport in self.transports:
            transport.kill()

    def work(self) -> None:
        """As a mailbox: what fails is said in the log, and settled again."""
        for event in (*self.upper.take(), *self.lower.take()):
            self.tier.service.handle(event)
        self.attempt(self.tier.service.settle)

    def attempt(self, step: Callable[[], object]) -> None:
        try:
            step()
        except HedgerowError:
            assert self.documents.is_away or self.documents.is_read_only or self.documents.loses_answers

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            self.clock.advance(0.5)
            self.root.links.tick()
            self.attempt(self.tier.service.tick)
            for _ in range(8):
                self.root.work()
                self.work()
                for node in self.nodes.values() if hasattr(self, "nodes") else ():
                    node.work()
                self.above.pump()
                self.below.pump()

    def running(self) -> set[str]:
        return {each for node in self.nodes.values() for each in node.instances}

    def told(self) -> dict[str, State]:
        """What the root knows, folded from all reports."""
        known: dict[str, Observation] = {}
        for _, report in self.root.owner.reports:
            for each in report.observations:
                if each.instance_id not in known or each.order >= known[each.instance_id].order:
                    known[each.instance_id] = each
        return {instance_id: each.state for instance_id, each in known.items()}

    @property
    def reports(self) -> list[Report]:
        return [report for _, report in self.root.owner.reports]


@pytest.fixture
def world() -> World:
    return World()


def test_what_the_root_wants_runs_on_nodes_and_the_root_hears_of_it(world: World) -> None:
    world.root.want(WEB, "a", "b")
    world.run(3)
    assert world.running() == {"a", "b"}
    assert world.told() == {"a": State.RUNNING, "b": State.RUNNING}
    summary = [report.summary for report in world.reports if report.summary][-1]
    assert (summary.revision, summary.instance_count, summary.ready_node_count) == (1, 2, 2)


def test_what_it_does_not_want_any_more_stops_and_is_forgotten(world: World) -> None:
    world.root.want(WEB, "a", "b")
    world.run(3)
    world.root.want(WEB)
    world.run(15)
    assert world.running() == set()
    assert world.told() == {"a": State.UNDEPLOYED, "b": State.UNDEPLOYED}
    assert world.tier.links.placements.all_assignments() == []


def test_a_decision_that_was_kept_is_carried_out_after_a_death(world: World) -> None:
    world.root.want(WEB, "a", "b")
    world.root.work()
    world.above.pump()
    for event in world.upper.take():
        world.tier.service.handle(event)
    changed = world.tier.service._upper.take_changes()
    world.tier.scheduler.services_changed(changed)
    assert world.tier.scheduler.settle().puts
    world.kill()
    world.start()
    world.run(15)
    assert world.running() == {"a", "b"}


def test_the_root_hears_that_a_node_moved(world: World) -> None:
    world.root.want(WEB, "a")
    world.run(3)
    (node,) = [each for each in world.nodes.values() if each.instances]
    node.reporter.move("192.0.2.7")
    node.link.say_all()
    world.run(3)
    said = [each for _, report in world.root.owner.reports for each in report.observations]
    assert (said[-1].instance_id, said[-1].state, said[-1].address) == ("a", State.RUNNING, "192.0.2.7")


def test_a_withdrawal_that_was_kept_is_carried_out_after_a_death(world: World) -> None:
    world.root.want(WEB, "a", "b")
    world.run(3)
    world.root.want(WEB, "a")
    world.root.work()
    world.above.pump()
    for event in world.upper.take():
        world.tier.service.handle(event)
    changed = world.tier.service._upper.take_changes()
    world.tier.scheduler.services_changed(changed)
    assert world.tier.scheduler.settle().puts
    world.kill()
    world.start()
    world.run(15)
    assert world.running() == {"a"}


def test_a_death_of_the_cluster_restarts_nothing(world: World) -> None:
    world.root.want(WEB, "a", "b")
    world.run(3)
    world.kill()
    world.start()
    world.run(20)
    assert world.running() == {"a", "b"}
    assert {each.succession for each in world.tier.links.placements.all_assignments()} == {0}


def test_a_cluster_without_its_root_replaces_a_lost_node(world: World) -> None:
    world.root.want(WEB, "a")
    world.run(3)
    (before,) = world.tier.links.placements.all_assignments()
    world.above.isolate(CHILD)
    world.below.isolate(before.child_id)
    world.run(10)
    (after,) = world.tier.links.placements.all_assignments()
    assert (after.origin_id, after.succession) == ("a", 1)
    world.above.heal(CHILD)
    world.below.heal(before.child_id)
    world.run(15)
    assert world.running() == {after.instance_id}
    assert world.told() == {"a": State.RUNNING}


def test_what_nodes_say_while_the_store_is_away_is_heard_in_the_end(world: World) -> None:
    world.root.want(WEB, "a")
    world.run(3)
    world.documents.is_away = True
    (node,) = (node for node in world.nodes.values() if "a" in node.instances)
    (known,) = node.reporter.observations.values()
    node.observe(Observation(known.instance_id, WEB, 0, State.FAILED, attempt=1, reason=Reason.EXITED))
    world.run(5)
    assert world.told() == {"a": State.RUNNING}
    world.documents.is_away = False
    world.run(25)
    assert world.told() == {"a": State.FAILED}
    assert world.tier.scheduler.free_of(NodeId(node.child_id)) == ROOM


def test_what_the_root_wants_while_the_store_is_away_is_done_in_the_end(world: World) -> None:
    world.documents.is_read_only = True
    world.root.want(WEB, "a")
    world.run(10)
    assert world.running() == set()
    world.documents.is_read_only = False
    world.run(15)
    assert world.running() == {"a"}
    assert world.told() == {"a": State.RUNNING}


def test_a_node_whose_readiness_could_not_be_noted_becomes_ready_in_the_end(world: World) -> None:
    world.below.cut("n1")
    world.documents.is_away = True
    world.below.isolate("n1")
    world.run(8)
    world.below.heal("n1")
    world.documents.is_away = False
    world.run(25)
    assert world.tier.links.health()[ChildId("n1")].readiness is Readiness.READY
    world.root.want(ServiceId("db"), "d1", "d2")
    world.run(5)
    assert all(node.instances for node in world.nodes.values())


def test_questions_about_an_instance_go_to_its_node(world: World) -> None:
    world.root.want(WEB, "a")
    world.run(3)
    answers: list[object] = []
    for node in world.nodes.values():
        node.reporter.answers["logs"] = {"lines": [node.child_id]}
    world.root.links.request(CHILD, "logs", {"instance_id": "a", "service_id": WEB}, 10, answers.append)
    world.root.links.request(CHILD, "logs", {"instance_id": "x", "service_id": WEB}, 10, answers.append)
    world.run(2)
    (holder,) = (node.child_id for node in world.nodes.values() if node.instances)
    assert {"lines": [holder]} in answers
    assert [str(each) for each in answers if isinstance(each, NotFound)] == ["No node of cluster edge has instance x."]


class TestForgetting:
    def test_what_ran_there_is_replaced_at_once(self, world: World) -> None:
        world.root.want(WEB, "a")
        world.run(3)
        (before,) = world.tier.links.placements.all_assignments()
        world.below.isolate(before.child_id)
        forget(world, before.child_id)
        world.run(1)
        (after,) = world.tier.links.placements.all_assignments()
        assert after.child_id not in (before.child_id, "")
        assert after.origin_id == "a"
        world.run(5)
        assert world.told() == {"a": State.RUNNING}
        summary = [report.summary for report in world.reports if report.summary][-1]
        assert summary.node_count == 1

    def test_nothing_is_said_to_it_any_more_and_what_it_says_counts_nothing(self, world: World) -> None:
        world.root.want(WEB, "a")
        world.run(3)
        (before,) = world.tier.links.placements.all_assignments()
        forget(world, before.child_id)
        world.run(5)
        assert [topic for topic in world.below.retained if f"/{before.child_id}/desired" in topic] == []
        assert before.child_id not in world.tier.links.nodes
        world.kill()
        world.start()
        world.run(5)
        assert before.child_id not in world.tier.links.nodes
        assert set(world.tier.links.health()) == {name for name in NODES if name != before.child_id}

    def test_a_death_in_the_middle_completes_it_at_the_next_start(self, world: World) -> None:
        (gone, *_) = NODES
        document = world.documents.get("children", gone)
        assert document is not None
        world.documents.put("children", {**document, "forgotten_at_s": world.clock.now_s()})
        world.kill()
        world.start()
        world.run(5)
        assert gone not in world.tier.links.nodes
        assert world.documents.get("nodes", gone) is None

    def test_where_it_was_the_only_one_its_instances_wait_for_another(self, world: World) -> None:
        world.root.want(WEB, "a")
        world.run(3)
        for name in NODES:
            forget(world, name)
        world.run(5)
        assert len(world.tier.links.placements.all_assignments()) == 1
        forget(world, ChildId("nobody"))


def forget(world: World, child_id: ChildId) -> None:
    """As the doors do it."""
    document = world.documents.get("children", child_id)
    if document is not None:
        world.documents.put("children", {**document, "forgotten_at_s": world.clock.now_s()})
    world.tier.service.handle(NodeForgotten(child_id))


def test_a_node_that_claims_anothers_id_changes_nothing_of_the_other_and_is_told_of(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    thief, victim = (world.nodes[name] for name in NODES)
    before = world.tier.links.nodes[NODES[1]].info
    thief.reporter.claim(NodeInfo(NodeId(victim.child_id), "stolen", "arm64", (), ROOM))
    thief.link.say_all()
    world.run(3)
    assert world.tier.links.nodes[NODES[1]].info == before
    assert world.tier.links.nodes[NODES[0]].info.name == NODES[0]
    assert f"child {NODES[0]} claims to be {NODES[1]}" in caplog.text


class TestQuestionsAboutDoors:
    def test_are_answered_beside_the_mailbox(self, world: World) -> None:
        doors = PooledDoors(lambda kind, body: {"kind": kind, **body})
        world.tier.links.doors = doors
        answers: list[Any] = []
        world.root.links.request(CHILD, "waiting", {"x": 1}, 5.0, answers.append)

        def is_answered() -> bool:
            world.run(0.5)
            return bool(answers)

        eventually(is_answered)
        doors.stop()
        assert answers == [{"kind": "waiting", "x": 1}]

    def test_a_refusal_arrives_as_it_was_said(self, world: World) -> None:
        def refuse(kind: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            raise Conflict(f"No {kind} for {body['child']}.")

        doors = PooledDoors(refuse)
        world.tier.links.doors = doors
        answers: list[Any] = []
        world.root.links.request(CHILD, "forget", {"child": "n1"}, 5.0, answers.append)

        def is_answered() -> bool:
            world.run(0.5)
            return bool(answers)

        eventually(is_answered)
        doors.stop()
        assert isinstance(answers[0], Conflict)
        assert str(answers[0]) == "No forget for n1."

    def test_too_many_at_once_are_refused(self) -> None:
        hold = threading.Event()

        def wait(kind: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
            hold.wait(10)
            return body

        doors = PooledDoors(wait)
        answers: list[Any] = []
        for _ in range(MAX_OPEN):
            doors.ask("waiting", {}, answers.append)
        with pytest.raises(Overloaded):
            doors.ask("waiting", {}, answers.append)
        hold.set()
        eventually(lambda: len(answers) == MAX_OPEN)
        doors.stop()
