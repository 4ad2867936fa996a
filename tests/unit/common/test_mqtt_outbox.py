import pytest

from edge_common.model.errors import Overloaded, TooLarge
from edge_common.plumbing.mqtt_outbox import MqttOutbox, Outgoing


def message(size: int = 1) -> Outgoing:
    return Outgoing("topic", bytes(size), False)


def test_counts_what_waits_and_what_is_in_flight_until_it_is_done() -> None:
    outbox = MqttOutbox(max_messages=2, max_bytes=100, max_in_flight=1)
    outbox.put(message(), 10)
    outbox.put(message(), 10)
    with pytest.raises(Overloaded):
        outbox.put(message(), 10)
    first = outbox.take()
    assert first is not None
    outbox.sent(7, first)
    with pytest.raises(Overloaded):
        outbox.put(message(), 10)
    assert outbox.done(7) == first
    outbox.put(message(), 10)


def test_bounds_the_bytes_too() -> None:
    outbox = MqttOutbox(max_messages=10, max_bytes=15, max_in_flight=1)
    outbox.put(message(10), 10)
    with pytest.raises(Overloaded):
        outbox.put(message(6), 10)
    outbox.put(message(5), 10)


def test_refuses_one_that_is_too_large() -> None:
    outbox = MqttOutbox(max_messages=10, max_bytes=100, max_in_flight=1)
    with pytest.raises(TooLarge):
        outbox.put(message(11), 10)
    assert outbox.is_empty


def test_gives_no_more_than_may_be_in_flight() -> None:
    outbox = MqttOutbox(max_messages=10, max_bytes=100, max_in_flight=1)
    outbox.put(message(), 10)
    outbox.put(message(), 10)
    first = outbox.take()
    assert first is not None
    outbox.sent(1, first)
    assert outbox.take() is None
    outbox.done(1)
    assert outbox.take() is not None


def test_an_unknown_acknowledgement_is_harmless() -> None:
    assert MqttOutbox(1, 1, 1).done(99) is None
