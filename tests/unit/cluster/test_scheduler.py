"""The cluster's scheduler with its store: what it keeps, what it holds, and that it comes to rest."""

import contextlib
from dataclasses import replace
from random import Random

import pytest

from edge_common.model.errors import Unreachable
from edge_common.model.ids import ChildId, NodeId
from edge_common.model.lifecycle import Desired, Reason, State
from edge_common.model.resources import NOTHING, Resources
from tests.unit.cluster.rig import ASKED, LOST, READY, ROOM, SUSPECT, WEB, Cluster, node, wanted


@pytest.fixture
def cluster() -> Cluster:
    return Cluster("n1", "n2")


class TestPlacing:
    def test_each_slot_gets_a_node_under_the_roots_id(self, cluster: Cluster) -> None:
        cluster.want(wanted(3))
        cluster.settle()
        cluster.check()
        assert [each.instance_id for each in cluster.running()] == ["web-0", "web-1", "web-2"]
        assert all(each.is_placed for each in cluster.running())

    def test_a_second_settle_changes_nothing(self, cluster: Cluster) -> None:
        cluster.want(wanted(3))
        cluster.settle()
        cluster.scheduler.services_changed([WEB])
        assert not cluster.scheduler.settle()

    def test_no_node_is_over_committed_and_the_rest_says_why_it_waits(self, cluster: Cluster) -> None:
        cluster.want(wanted(20))
        cluster.settle()
        cluster.check()
        waiting = [each for each in cluster.running() if not each.is_placed]
        assert len(waiting) == 4
        assert {each.reason for each in waiting} == {Reason.NO_CAPACITY}
        assert all(each.detail and each.since_s for each in waiting)

    def test_what_waits_takes_room_as_soon_as_there_is_some(self, cluster: Cluster) -> None:
        cluster.want(wanted(20))
        cluster.settle()
        cluster.report(cluster.running()[0], State.COMPLETED)
        cluster.settle()
        cluster.check()
        assert sum(not each.is_placed for each in cluster.running()) == 3
        cluster.records[ChildId("n3")] = node("n3")
        cluster.health("n3", READY)
        cluster.settle()
        cluster.check()
        assert all(each.is_placed for each in cluster.running())

    def test_a_cordoned_node_gets_nothing_new_and_keeps_what_it_has(self, cluster: Cluster) -> None:
        cluster.want(wanted(2))
        cluster.settle()
        cluster.records[ChildId("n1")] = replace(cluster.records[ChildId("n1")], is_cordoned=True)
        cluster.health("n1", READY)
        cluster.want(wanted(6))
        cluster.settle()
        cluster.check()
        assert [each.child_id for each in cluster.running()].count(ChildId("n1")) == 1

    def test_more_capacity_of_a_node_keeps_what_it_holds(self, cluster: Cluster) -> None:
        cluster.want(wanted(4))
        cluster.settle()
        bigger = ROOM + Resources(1_000, 1_024, 0)
        cluster.records[ChildId("n1")] = node("n1", bigger)
        cluster.health("n1", READY)
        cluster.check()


class TestStopping:
    def test_a_slot_that_is_not_wanted_is_stopped_and_its_room_kept_until_it_ended(self, cluster: Cluster) -> None:
        cluster.want(wanted(2))
        cluster.settle()
        cluster.nodes_work()
        cluster.want(wanted(1))
        cluster.settle()
        cluster.check()
        assert [each.desired for each in cluster.assignments()] == [Desired.RUNNING, Desired.STOPPED]
        cluster.nodes_work()
        cluster.settle()
        cluster.check()
        assert len(cluster.assignments()) == 1

    def test_a_service_that_is_not_wanted_leaves_nothing(self, cluster: Cluster) -> None:
        cluster.want(wanted(20))
        cluster.settle()
        cluster.nodes_work()
        cluster.unwant()
        cluster.settle()
        cluster.nodes_work()
        cluster.settle()
        cluster.check()
        assert cluster.store.all_assignments() == []
        assert cluster.store.all_observations() == {}
        assert cluster.scheduler.free_of(NodeId("n1")) == ROOM

    def test_the_last_state_of_what_goes_is_told(self, cluster: Cluster) -> None:
        cluster.want(wanted(1))
        cluster.settle()
        cluster.report(cluster.running()[0], State.COMPLETED)
        cluster.unwant()
        done = cluster.settle()
        assert [forget.state for settled in done for forget, _ in settled.forgotten] == [State.COMPLETED]

    @pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED])
    def test_what_has_ended_gives_its_room_back_and_stays_as_it_is(self, cluster: Cluster, state: State) -> None:
        cluster.want(wanted(1))
        cluster.settle()
        cluster.report(cluster.running()[0], state)
        cluster.settle()
        cluster.check()
        cluster.health(str(cluster.running()[0].child_id), LOST)
        cluster.settle()
        assert [each.instance_id for each in cluster.assignments()] == ["web-0"]

    def test_what_its_node_stopped_although_it_is_wanted_gets_a_successor(self, cluster: Cluster) -> None:
        cluster.want(wanted(1))
        cluster.settle()
        cluster.report(cluster.running()[0], State.UNDEPLOYED)
        cluster.settle()
        cluster.check()
        (successor,) = cluster.assignments()
        assert (successor.origin_id, successor.succession) == ("web-0", 1)


class TestLostNodes:
    def lose(self, cluster: Cluster, name: str) -> None:
        cluster.health(name, LOST)
        cluster.settle()
        cluster.check()

    def test_a_lost_node_is_replaced_and_its_instance_fenced(self, cluster: Cluster) -> None:
        cluster.want(wanted(1))
        cluster.settle()
        cluster.nodes_work()
        (before,) = cluster.running()
        self.lose(cluster, before.child_id)
        (after,) = cluster.assignments()
        assert (after.origin_id, after.succession, after.instance_id) == ("web-0", 1, "new-1")
        assert after.child_id != before.child_id

    def test_without_another_node_it_stays_and_says_so(self, cluster: Cluster) -> None:
        cluster.want(wanted(1, constraints=replace(wanted(1).spec.constraints, nodes=("n1",))))
        cluster.settle()
        self.lose(cluster, "n1")
        (kept,) = cluster.assignments()
        assert (kept.instance_id, kept.child_id, kept.reason) == ("web-0", "n1", Reason.NODE_LOST)
        cluster.health("n1", READY)
        cluster.settle()
        (back,) = cluster.assignments()
        assert (back.instance_id, back.reason, back.detail) == ("web-0", Reason.NONE, "")

    def test_a_suspect_node_keeps_what_it_has(self, cluster: Cluster) -> None:
        cluster.want(wanted(2))
        cluster.settle()
        before = cluster.assignments()
        cluster.health("n1", SUSPECT)
        cluster.settle()
        assert cluster.assignments() == before

    def test_the_lease_of_a_service_counts_for_it(self, cluster: Cluster) -> None:
        cluster.want(wanted(1, lease_s=120.0))
        cluster.settle()
        (before,) = cluster.assignments()
        self.lose(cluster, before.child_id)
        assert cluster.assignments() == [before]
        cluster.world.nodes[before.child_id] = replace(LOST, unheard_s=121.0)
        cluster.scheduler.tick()
        cluster.settle()
        assert [each.succession for each in cluster.assignments()] == [1]

    def test_when_most_vanish_at_once_nothing_moves_until_that_is_believed(self) -> None:
        cluster = Cluster("n1", "n2", "n3", "n4")
        cluster.want(wanted(4))
        cluster.settle()
        before = cluster.assignments()
        for name in ("n1", "n2", "n3"):
            cluster.health(name, replace(LOST, unheard_s=5.0))
        cluster.settle()
        assert cluster.assignments() == before
        for name in ("n1", "n2", "n3"):
            cluster.world.nodes[ChildId(name)] = replace(LOST, unheard_s=40.0)
        cluster.scheduler.tick()
        cluster.settle()
        cluster.check()
        assert {each.child_id for each in cluster.running()} == {"n4"}

    def test_nodes_that_went_long_ago_do_not_hold_back_what_a_single_loss_needs(self) -> None:
        cluster = Cluster("n1", "n2", "n3", "n4", "n5")
        cluster.want(wanted(1, constraints=replace(wanted(1).spec.constraints, nodes=("n1", "n2"))))
        cluster.settle()
        (before,) = cluster.assignments()
        for name in ("n4", "n5"):
            cluster.health(name, replace(LOST, unheard_s=86_400.0))
        cluster.health(before.child_id, replace(LOST, unheard_s=5.0))
        cluster.settle()
        assert [each.succession for each in cluster.assignments()] == [1]


class TestStart:
    def test_what_was_assigned_is_held_after_a_start(self, cluster: Cluster) -> None:
        cluster.want(wanted(6))
        cluster.settle()
        cluster.start()
        for name in ("n1", "n2"):
            cluster.health(name, READY)
        cluster.settle()
        cluster.check()
        assert cluster.scheduler.free_of(NodeId("n1")) != ROOM

    def test_what_ended_meanwhile_is_not_held(self, cluster: Cluster) -> None:
        cluster.want(wanted(2))
        cluster.settle()
        for each in cluster.running():
            cluster.report(each, State.FAILED)
        cluster.start()
        cluster.settle()
        cluster.check()


class TestStoreFailures:
    def test_a_decision_that_could_not_be_kept_is_made_again(self, cluster: Cluster) -> None:
        cluster.want(wanted(3))
        cluster.documents.is_away = True
        for _ in range(3):
            with pytest.raises(Unreachable):
                cluster.scheduler.settle()
        cluster.documents.is_away = False
        cluster.settle()
        cluster.check()
        assert len(cluster.running()) == 3

    def test_what_could_not_be_written_holds_nothing(self, cluster: Cluster) -> None:
        cluster.want(wanted(3))
        cluster.documents.is_read_only = True
        for _ in range(10):
            with pytest.raises(Unreachable):
                cluster.scheduler.settle()
        cluster.documents.is_read_only = False
        cluster.settle()
        cluster.check()

    def test_what_was_written_all_the_same_is_held(self, cluster: Cluster) -> None:
        cluster.want(wanted(3))
        cluster.documents.loses_answers = True
        with pytest.raises(Unreachable):
            cluster.scheduler.settle()
        cluster.documents.loses_answers = False
        cluster.settle()
        cluster.check()


class TestSummary:
    def test_it_counts_what_is_promised(self, cluster: Cluster) -> None:
        cluster.want(wanted(3))
        cluster.settle()
        summary = cluster.scheduler.summary(7)
        assert (summary.revision, summary.node_count, summary.ready_node_count, summary.instance_count) == (7, 2, 2, 3)
        assert summary.free == ROOM + ROOM - ASKED - ASKED - ASKED

    def test_lost_and_cordoned_nodes_offer_nothing(self, cluster: Cluster) -> None:
        cluster.health("n1", LOST)
        cluster.records[ChildId("n2")] = replace(cluster.records[ChildId("n2")], is_cordoned=True)
        cluster.health("n2", READY)
        summary = cluster.scheduler.summary(0)
        assert (summary.free, summary.ready_node_count, summary.node_count) == (NOTHING, 1, 2)


NAMES = ("n1", "n2", "n3", "n4")
SERVICES = ("web", "db", "cache")


def disturb(cluster: Cluster, chance: Random) -> None:
    match chance.randrange(7):
        case 0 | 1:
            cluster.want(wanted(chance.randrange(9), chance.choice(SERVICES)))
        case 2:
            cluster.unwant(wanted(0, chance.choice(SERVICES)).service_id)
        case 3:
            cluster.health(chance.choice(NAMES), chance.choice([READY, SUSPECT, LOST]))
        case 4:
            cluster.nodes_work()
        case 5:
            one_reports(cluster, chance)
        case _:
            cluster.clock.advance(chance.random() * 5)
            cluster.scheduler.tick()


def one_reports(cluster: Cluster, chance: Random) -> None:
    """Late and repeated reports, too; but what has ended never begins again."""
    observed = cluster.store.all_observations()
    for each in sorted(cluster.store.all_assignments(), key=lambda _: chance.random()):
        known = observed.get(each.instance_id)
        if each.is_placed and not (known and known.is_terminal):
            states = [State.CREATING, State.RUNNING, State.COMPLETED, State.FAILED, State.UNDEPLOYED]
            cluster.report(each, chance.choice(states), chance.randrange(3))
            return


def fail_to_write(cluster: Cluster) -> None:
    cluster.documents.is_read_only = True
    cluster.scheduler.services_changed(cluster.world.services)
    with contextlib.suppress(Unreachable):
        cluster.scheduler.settle()
    cluster.documents.is_read_only = False


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_it_comes_to_rest_with_every_slot_filled_once(seed: int) -> None:
    chance = Random(seed)
    cluster = Cluster(*NAMES)
    for _ in range(60):
        disturb(cluster, chance)
        if chance.random() < 0.1:
            fail_to_write(cluster)
        cluster.settle()
        cluster.check()
    for name in NAMES:
        cluster.health(name, READY)
    for _ in range(3):
        cluster.settle()
        cluster.nodes_work()
    cluster.settle()
    for service_id, service in cluster.world.services.items():
        assert {each.origin_id for each in cluster.running(service_id)} == {each.origin_id for each in service.slots}
        assert all(each.is_placed for each in cluster.running(service_id))
        assert cluster.assignments(service_id) == cluster.running(service_id)
