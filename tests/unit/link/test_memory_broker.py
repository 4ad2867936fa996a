"""What the memory broker promises beyond the transport's contract: chance only from the seed, and no loss."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.link.memory_broker import MemoryBroker, MemoryTransport, matches
from edge_common.link.memory_faults import SeededFaults
from edge_common.link.transport import Will
from tests.parts.heard import Heard


@pytest.mark.parametrize(
    ("wanted", "topic", "is_match"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("+/b", "a/b", True),
        ("#", "a/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
    ],
)
def test_filters_match_as_in_mqtt(wanted: str, topic: str, is_match: bool) -> None:
    assert matches(wanted, topic) is is_match


def faulty_run(seed: int) -> tuple[Heard, Heard]:
    """Both ends say 0..19 on one topic of their own, retained, while everything goes wrong."""
    faults = SeededFaults(Random(seed), cut=0.1, delay=0.2, duplicate=0.2, reorder=0.3)
    broker = MemoryBroker(faults)
    up, down = Heard(), Heard()
    parent = MemoryTransport(broker, "parent", up)
    child = MemoryTransport(broker, "child", down, Will("presence", b"offline"))
    parent.subscribe(["report"])
    child.subscribe(["desired"])
    for end in (parent, child):
        end.start()
    for number in range(20):
        child.publish("report", str(number).encode())
        parent.publish("desired", str(number).encode(), is_retained=True)
        broker.pump()
    faults.cut = faults.delay = faults.duplicate = faults.reorder = 0.0
    broker.pump()
    assert broker.deliveries == ()
    assert broker.retained["desired"] == b"19"
    return up, down


@given(st.integers(0, 2**32))
def test_nothing_is_lost_whatever_the_seed(seed: int) -> None:
    up, down = faulty_run(seed)
    expected = {str(number).encode() for number in range(20)}
    assert set(up.payloads) == expected
    assert set(down.payloads) == expected


@given(st.integers(0, 2**32))
def test_a_seed_says_all(seed: int) -> None:
    first, second = faulty_run(seed), faulty_run(seed)
    assert [(end.messages, end.connects) for end in first] == [(end.messages, end.connects) for end in second]


def test_the_isolated_come_back_when_healed() -> None:
    broker = MemoryBroker()
    heard, watching = Heard(), Heard()
    child = MemoryTransport(broker, "child", heard, Will("presence", b"offline"))
    watcher = MemoryTransport(broker, "watcher", watching)
    watcher.subscribe(["presence"])
    watcher.start()
    child.start()
    broker.pump()
    broker.isolate("child")
    broker.pump()
    assert heard.disconnects
    assert watching.payloads == [b"offline"]
    broker.heal("child")
    broker.pump()
    assert heard.connects == [False, True]


def test_a_killed_owner_takes_what_it_had_not_sent_with_it() -> None:
    broker = MemoryBroker()
    heard = Heard()
    watcher = MemoryTransport(broker, "watcher", heard)
    watcher.subscribe(["#"])
    watcher.start()
    child = MemoryTransport(broker, "child", Heard(), Will("presence", b"offline"))
    child.start()
    broker.pump()
    child.publish("report", b"too late")
    child.kill()
    broker.pump()
    assert heard.payloads == [b"offline"]


def test_a_broker_that_forgot_knows_no_session() -> None:
    broker = MemoryBroker()
    heard = Heard()
    child = MemoryTransport(broker, "child", heard)
    child.start()
    broker.pump()
    broker.stop(forgets=True)
    assert broker.pump() == 0
    broker.start()
    broker.pump()
    assert heard.connects == [False, False]


def test_the_queue_of_an_absent_client_is_bounded() -> None:
    broker = MemoryBroker(max_queued=3)
    heard = Heard()
    child = MemoryTransport(broker, "child", heard)
    child.subscribe(["desired"])
    child.start()
    parent = MemoryTransport(broker, "parent", Heard())
    parent.start()
    broker.pump()
    broker.isolate("child")
    for number in range(5):
        parent.publish("desired", str(number).encode())
    broker.pump()
    broker.heal("child")
    broker.pump()
    assert heard.payloads == [b"0", b"1", b"2"]
    assert broker.dropped == 2


def silent_pair() -> tuple[MemoryBroker, MemoryTransport, MemoryTransport, Heard, Heard]:
    """A parent and a child that hear each other, and then the child's cable is pulled."""
    broker, up, down = MemoryBroker(), Heard(), Heard()
    parent = MemoryTransport(broker, "parent", up)
    child = MemoryTransport(broker, "child", down, Will("presence", b"offline"))
    parent.subscribe(["report", "presence"])
    child.subscribe(["desired"])
    for end in (parent, child):
        end.start()
    broker.pump()
    broker.silence("child")
    child.publish("report", b"up")
    parent.publish("desired", b"down")
    broker.pump()
    return broker, parent, child, up, down


def test_nothing_passes_to_or_from_a_silent_client_and_nobody_notices() -> None:
    broker, parent, child, up, down = silent_pair()
    assert (up.messages, down.messages) == ([], [])
    assert parent.is_connected
    assert child.is_connected
    broker.heal("child")
    broker.pump()
    assert up.payloads == [b"up"]
    assert down.payloads == [b"down"]


def test_a_silent_client_that_is_missed_hears_the_rest_when_it_is_back() -> None:
    broker, _, child, up, down = silent_pair()
    broker.cut("child")
    broker.pump()
    assert not child.is_connected
    assert up.payloads == [b"offline"]
    broker.heal("child")
    broker.pump()
    assert up.payloads == [b"offline", b"up"]
    assert down.payloads == [b"down"]
