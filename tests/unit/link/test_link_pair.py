"""What both ends of a link do together, whatever happens between them."""

from random import Random

import pytest

from edge_common.link.memory_broker import MemoryBroker
from edge_common.link.memory_faults import SeededFaults
from edge_common.link.parent import MAX_REPEAT_AFTER_S, REPEAT_AFTER_S
from edge_common.model.errors import Unreachable
from edge_common.model.lifecycle import State
from edge_common.model.node import Readiness
from edge_common.wire import topics
from tests.unit.link.rig import CHILD, DB, WEB, Pair, seen


@pytest.fixture
def pair() -> Pair:
    made = Pair()
    made.settle()
    return made


class TestDesired:
    def test_what_is_wanted_arrives_and_is_acknowledged(self, pair: Pair) -> None:
        pair.parent.want(WEB, "a", "b")
        pair.settle()
        assert pair.child.instances == {"a", "b"}
        assert pair.parent.links.revisions(CHILD) == (1, 1)

    def test_what_is_not_wanted_any_more_goes_and_leaves_nothing_at_the_broker(self, pair: Pair) -> None:
        pair.parent.want(WEB, "a")
        pair.parent.want(DB, "d")
        pair.settle()
        pair.parent.want(WEB)
        pair.settle()
        assert pair.child.instances == {"d"}
        assert topics.desired_service(CHILD, WEB) not in pair.broker.retained

    def test_the_same_said_again_costs_no_message(self, pair: Pair) -> None:
        pair.parent.want(WEB, "a")
        pair.settle()
        pair.parent.want(WEB, "a")
        pair.parent.work()
        assert pair.broker.pump() == 0
        assert pair.parent.links.revisions(CHILD) == (1, 1)

    def test_a_child_that_was_away_gets_what_it_missed(self, pair: Pair) -> None:
        pair.broker.isolate(CHILD)
        pair.parent.want(WEB, "a")
        pair.run(5)
        pair.broker.heal(CHILD)
        pair.run(5)
        assert pair.child.instances == {"a"}

    def test_a_child_without_a_network_starts_with_what_it_held(self, pair: Pair) -> None:
        pair.parent.want(WEB, "a")
        pair.settle()
        pair.broker.isolate(CHILD)
        pair.child.restart()
        assert pair.child.instances == {"a"}

    def test_what_is_not_durable_is_not_acknowledged(self, pair: Pair) -> None:
        pair.child.documents.is_away = True
        pair.parent.want(WEB, "a")
        pair.parent.work()
        pair.broker.pump()
        with pytest.raises(Unreachable):
            pair.child.work()
        assert pair.child.link.acked_revision == 0
        pair.child.documents.is_away = False
        pair.settle()
        assert pair.parent.links.revisions(CHILD) == (1, 1)


class TestRepeat:
    def lose_everything_on_the_way(self, pair: Pair) -> None:
        """The broker forgets, and the child's mailbox was full."""
        pair.parent.work()
        pair.broker.pump()
        pair.child.inbox.take()
        pair.broker.retained.clear()

    def test_what_is_not_acknowledged_is_said_again(self, pair: Pair) -> None:
        pair.parent.want(WEB, "a")
        self.lose_everything_on_the_way(pair)
        pair.run(REPEAT_AFTER_S - 1)
        assert pair.child.instances == set()
        pair.run(2)
        assert pair.child.instances == {"a"}

    def test_also_after_the_parent_was_started_anew(self, pair: Pair) -> None:
        pair.parent.want(WEB, "a")
        self.lose_everything_on_the_way(pair)
        pair.parent.restart()
        pair.run(30)
        assert pair.child.instances == {"a"}

    def test_also_for_a_child_that_lost_its_disk_while_the_broker_forgot(self, pair: Pair) -> None:
        pair.parent.want(WEB, "a")
        pair.settle()
        pair.broker.stop(forgets=True)
        pair.child.restart(loses_disk=True)
        pair.broker.start()
        pair.run(30)
        assert pair.child.instances == {"a"}

    def test_a_stream_of_changes_does_not_put_the_repetition_off(self, pair: Pair) -> None:
        pair.parent.want(WEB, "a")
        self.lose_everything_on_the_way(pair)
        for number in range(20):
            pair.parent.want(DB, f"d{number}")
            pair.run(1)
        assert "a" in pair.child.instances

    def test_only_what_the_child_may_lack_is_repeated(self, pair: Pair) -> None:
        pair.parent.want(WEB, "a")
        pair.settle()
        pair.parent.want(DB, "d")
        self.lose_everything_on_the_way(pair)
        pair.clock.advance(REPEAT_AFTER_S)
        pair.parent.links.tick()
        said = {packet.topic for packet in pair.broker.deliveries}
        assert said == {topics.desired_service(CHILD, DB), topics.desired(CHILD)}

    def test_a_child_that_never_acknowledges_is_told_ever_more_rarely(self, pair: Pair) -> None:
        pair.child.documents.is_away = True
        pair.parent.want(WEB, "a")
        pair.parent.work()
        repeats = 0
        for _ in range(1_000):
            pair.clock.advance(1)
            pair.child.link.flush()
            pair.parent.links.tick()
            repeats += sum(packet.topic == topics.desired(CHILD) for packet in pair.broker.deliveries)
            pair.broker.pump()
            pair.child.inbox.take()
            pair.parent.work()
        assert 5 <= repeats <= 10
        assert MAX_REPEAT_AFTER_S < 1_000


class TestReports:
    def test_changes_arrive_once(self, pair: Pair) -> None:
        pair.child.observe(seen("a", State.CREATING), seen("a", State.RUNNING))
        pair.settle()
        told = [each for _, report in pair.parent.owner.reports for each in report.observations]
        assert told == [seen("a", State.RUNNING)]

    def test_what_happens_while_cut_off_is_said_afterwards(self, pair: Pair) -> None:
        pair.broker.isolate(CHILD)
        pair.run(1)
        pair.child.observe(seen("a", State.RUNNING))
        pair.run(60)
        pair.broker.heal(CHILD)
        pair.run(1)
        assert pair.parent.owner.reports[-1][1].observations == (seen("a", State.RUNNING),)

    def test_a_lost_report_is_noticed_at_the_next_one(self, pair: Pair) -> None:
        pair.child.observe(seen("a"))
        pair.child.work()
        pair.broker.pump()
        pair.parent.inbox.take()
        pair.child.observe(seen("b"))
        pair.settle()
        last = pair.parent.owner.reports[-1][1]
        assert last.is_full
        assert set(last.observations) == {seen("a"), seen("b")}

    def test_a_parent_that_was_started_anew_hears_everything(self, pair: Pair) -> None:
        pair.child.observe(seen("a"))
        pair.settle()
        pair.parent.owner.reports.clear()
        pair.parent.restart()
        pair.run(1)
        assert any(report.is_full for _, report in pair.parent.owner.reports)
        assert pair.readiness() is Readiness.READY

    def test_a_child_that_was_started_anew_says_everything(self, pair: Pair) -> None:
        pair.child.observe(seen("a"))
        pair.settle()
        pair.child.restart()
        pair.run(1)
        last = pair.parent.owner.reports[-1][1]
        assert (last.boot_id, last.is_full, last.observations) == ("boot-2", True, (seen("a"),))

    def test_a_report_that_could_not_be_kept_is_asked_for_again(self, pair: Pair) -> None:
        pair.parent.owner.failure = Unreachable("The database does not answer.")
        pair.child.observe(seen("a"))
        pair.settle()
        pair.parent.owner.failure = None
        pair.run(15)
        assert [report.observations for _, report in pair.parent.owner.reports if report.is_full][-1] == (seen("a"),)

    def test_a_child_that_held_nothing_says_everything_once_it_knows_what_is_wanted(self, pair: Pair) -> None:
        """Only then does its silence about an instance prove that it does not have it."""
        pair.parent.want(WEB, "a")
        pair.settle()
        pair.child.restart(loses_disk=True)
        pair.run(30)
        full = [report.acked_revision for _, report in pair.parent.owner.reports if report.is_full]
        assert full[-1] == pair.parent.links.revisions(CHILD)[0]


class TestRestoredParent:
    def test_a_revision_that_the_child_has_seen_is_not_used_again(self, pair: Pair) -> None:
        for number in range(5):
            pair.parent.want(WEB, f"a{number}")
            pair.settle()
        pair.parent.documents.bulk([])
        pair.parent.documents = type(pair.parent.documents)()
        pair.parent.restart()
        pair.parent.want(WEB, "b")
        pair.run(30)
        assert pair.child.instances == {"b"}
        assert pair.parent.links.revisions(CHILD) == (6, 6)

    def test_one_that_wants_nothing_says_so(self, pair: Pair) -> None:
        pair.parent.want(WEB, "a")
        pair.settle()
        pair.parent.documents = type(pair.parent.documents)()
        pair.parent.owner.wanted.clear()
        pair.parent.restart()
        pair.run(30)
        assert pair.child.instances == set()


class TestStoreFailures:
    def test_a_change_that_could_not_be_kept_is_kept_and_said_later(self, pair: Pair) -> None:
        pair.parent.documents.is_away = True
        pair.parent.want(WEB, "a")
        with pytest.raises(Unreachable):
            pair.parent.work()
        assert pair.broker.pump() == 0
        pair.parent.documents.is_away = False
        pair.settle()
        assert pair.child.instances == {"a"}
        pair.parent.restart()
        pair.run(5)
        assert pair.parent.links.revisions(CHILD) == (1, 1)


@pytest.mark.parametrize("seed", range(40))
def test_both_ends_agree_once_the_faults_end(seed: int) -> None:
    chance = Random(seed)
    faults = SeededFaults(chance, cut=0.05, delay=0.1, duplicate=0.1, reorder=0.2)
    pair = Pair(MemoryBroker(faults))
    wanted: dict[str, set[str]] = {WEB: set(), DB: set()}
    for number in range(60):
        service = chance.choice([WEB, DB])
        wanted[service] = {f"{service}{number}-{each}" for each in range(chance.randrange(3))}
        pair.parent.want(service, *sorted(wanted[service]))
        pair.child.observe(seen(f"o{number % 7}", chance.choice([State.CREATING, State.RUNNING]), attempt=number))
        match chance.randrange(30):
            case 0:
                pair.parent.restart()
                for each in (WEB, DB):
                    pair.parent.links.mark(CHILD, each)
            case 1:
                pair.child.restart(loses_disk=chance.random() < 0.3)
            case 2:
                pair.broker.stop(forgets=chance.random() < 0.5)
                pair.broker.start()
            case _:
                pair.clock.advance(chance.random() * 3)
        pair.parent.work()
        pair.child.work()
        pair.broker.pump(chance.randrange(8))
        pair.parent.links.tick()
    pair.broker.policy = SeededFaults(chance)
    pair.run(60)
    assert pair.child.instances == wanted[WEB] | wanted[DB]
    assert pair.readiness() is Readiness.READY
    desired, acked = pair.parent.links.revisions(CHILD)
    assert desired == acked
