import pytest

from edge_common.link.join_refusals import JoinRefused
from edge_common.link.waiting_room import MAX_WAITING, REFUSED_S, SILENT_S, WAITING, WRITE_AFTER_S, WaitingRoom
from edge_common.model.errors import NotFound, RateLimited
from edge_common.model.ids import ChildId
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.plumbing.rate_limit import RateLimit
from edge_common.wire.join_messages import ChildKind


class Room:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.documents = MemoryDocuments()
        self.room = WaitingRoom(self.documents, self.clock, is_open=True)

    def ask(self, child: str, name: str = "shed") -> None:
        self.room.ask(ChildId(child), ChildKind.NODE, name, "f" * 64, "192.0.2.9")

    def there(self) -> list[str]:
        return [each.child_id for each in self.room.newcomers()]


@pytest.fixture
def at() -> Room:
    return Room()


class TestWaitingRoom:
    def test_who_asked_first_comes_first(self, at: Room) -> None:
        for child in ("b", "a"):
            at.ask(child)
            at.clock.advance(1)
        at.ask("b")
        assert at.there() == ["b", "a"]

    def test_who_falls_silent_is_gone(self, at: Room) -> None:
        at.ask("a")
        at.clock.advance(SILENT_S)
        assert at.there() == []
        with pytest.raises(NotFound, match="waiting room"):
            at.room.find("a")

    def test_asking_again_costs_a_write_only_now_and_then(self, at: Room) -> None:
        at.ask("a")
        at.ask("a")
        (before,) = at.documents.find(WAITING)
        assert before["version"] == 1
        at.clock.advance(WRITE_AFTER_S)
        at.ask("a")
        assert at.documents.find(WAITING)[0]["version"] == 2

    def test_is_bounded_and_drops_who_asked_the_longest_ago(self, at: Room) -> None:
        for number in range(MAX_WAITING + 5):
            at.ask(f"c{number:04d}")
            at.clock.advance(1)
        there = at.there()
        assert len(there) == MAX_WAITING
        assert there[0] == "c0005"
        assert len(at.documents.find(WAITING)) == MAX_WAITING

    def test_a_refusal_lasts_a_day_and_can_be_taken_back(self, at: Room) -> None:
        at.ask("a")
        at.room.refuse("a")
        at.clock.advance(REFUSED_S - 1)
        with pytest.raises(JoinRefused, match="refused"):
            at.ask("a")
        assert at.room.find("a").refused_at_s is not None
        at.clock.advance(1)
        at.ask("a")
        assert at.room.find("a").refused_at_s is None

    def test_a_closed_one_lets_nobody_in(self, at: Room) -> None:
        at.room.is_open = False
        with pytest.raises(JoinRefused, match="needs a join token"):
            at.ask("a")


class TestRateLimit:
    def test_a_burst_and_then_so_many_a_second(self) -> None:
        clock = FakeClock()
        limit = RateLimit(clock, burst=3, per_s=1.0)
        for _ in range(3):
            limit.check("192.0.2.1")
        with pytest.raises(RateLimited, match="address"):
            limit.check("192.0.2.1")
        limit.check("192.0.2.2")
        clock.advance(1)
        limit.check("192.0.2.1")
        with pytest.raises(RateLimited):
            limit.check("192.0.2.1")

    def test_one_network_of_ipv6_is_one(self) -> None:
        limit = RateLimit(FakeClock(), burst=1, per_s=1.0)
        limit.check("2001:db8::1")
        with pytest.raises(RateLimited):
            limit.check("2001:db8::ffff:2")
        limit.check("2001:db8:0:1::1")

    def test_neighbours_that_a_server_for_both_protocols_sees_are_apart(self) -> None:
        limit = RateLimit(FakeClock(), burst=1, per_s=1.0)
        limit.check("::ffff:192.0.2.1")
        limit.check("::ffff:192.0.2.2")
        with pytest.raises(RateLimited):
            limit.check("192.0.2.1")

    def test_its_memory_is_bounded(self) -> None:
        limit = RateLimit(FakeClock(), burst=1, per_s=1.0, capacity=10)
        for number in range(1_000):
            limit.check(f"host-{number}")
        assert len(limit._buckets) == 10
