"""What every Transport does, against the one in memory and against MQTT with a real mosquitto, plain and with TLS."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from edge_common.link.memory_broker import MemoryBroker, MemoryTransport
from edge_common.link.transport import Transport, TransportEvents, Will
from edge_common.model.errors import Overloaded, TooLarge
from edge_common.model.ids import ChildId
from edge_common.plumbing.mqtt import MqttTransport
from edge_common.plumbing.mqtt_types import MqttTuning
from tests.parts.heard import Heard
from tests.parts.mosquitto import Mosquitto, private_mosquitto
from tests.parts.tcp_proxy import TcpProxy
from tests.parts.trust import Trust
from tests.support import eventually

CHILD = ChildId("child-1")
PARENT = "parent"
DESIRED = f"hedgerow/v1/link/{CHILD}/desired"
REPORT = f"hedgerow/v1/link/{CHILD}/report"
PRESENCE = f"hedgerow/v1/link/{CHILD}/presence"
MAX_QUEUED = 50
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024


class World(Protocol):
    """A broker that admits CHILD and a parent, and ways to hurt it."""

    def transport(self, client_id: str, events: TransportEvents, will: Will | None = None) -> Transport: ...

    def cut(self) -> None:
        """CHILD's connection breaks."""

    def stop_broker(self) -> None: ...

    def start_broker(self) -> None: ...

    def withdraw(self) -> None:
        """CHILD's credentials stop working."""

    def admit(self) -> None: ...

    def wait(self, condition: Callable[[], bool]) -> None: ...

    def close(self) -> None: ...


class MemoryWorld:
    def __init__(self) -> None:
        self.broker = MemoryBroker(max_queued=MAX_QUEUED)

    def transport(self, client_id: str, events: TransportEvents, will: Will | None = None) -> Transport:
        return MemoryTransport(self.broker, client_id, events, will)

    def cut(self) -> None:
        self.broker.cut(CHILD)

    def stop_broker(self) -> None:
        self.broker.stop()

    def start_broker(self) -> None:
        self.broker.start()

    def withdraw(self) -> None:
        self.broker.refuse(CHILD)

    def admit(self) -> None:
        self.broker.admit(CHILD)

    def wait(self, condition: Callable[[], bool]) -> None:
        self.broker.pump()
        assert condition()

    def close(self) -> None:
        return


class MqttWorld:
    def __init__(self, mosquitto: Mosquitto) -> None:
        self._mosquitto = mosquitto
        self._wire = TcpProxy(mosquitto.port)
        self._transports: list[MqttTransport] = []
        self.admit()

    def transport(self, client_id: str, events: TransportEvents, will: Will | None = None) -> Transport:
        if client_id == CHILD:
            endpoint = replace(self._mosquitto.endpoint(CHILD, "secret"), port=self._wire.port)
        else:
            endpoint = self._mosquitto.endpoint("root")
        tuning = MqttTuning(first_retry_s=0.1, last_retry_s=0.2, max_queued=MAX_QUEUED)
        transport = MqttTransport(endpoint, client_id, events, will, tuning)
        self._transports.append(transport)
        return transport

    def cut(self) -> None:
        self._wire.cut()

    def stop_broker(self) -> None:
        self._mosquitto.stop()

    def start_broker(self) -> None:
        self._mosquitto.start()

    def withdraw(self) -> None:
        self._mosquitto.admin.evict(CHILD)

    def admit(self) -> None:
        self._mosquitto.admin.admit(CHILD, "secret")

    def wait(self, condition: Callable[[], bool]) -> None:
        eventually(condition)

    def close(self) -> None:
        for transport in self._transports:
            transport.stop()
        self._wire.close()


@pytest.fixture(params=["memory", *(pytest.param(each, marks=pytest.mark.real) for each in ("mqtt", "mqtt-tls"))])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    trust = Trust(tmp_path / "ca") if request.param == "mqtt-tls" else None
    tls, own = (trust.server, trust.child("own")) if trust is not None else (None, None)
    with private_mosquitto(tls=tls, own=own) as mosquitto:
        mqtt = MqttWorld(mosquitto)
        try:
            yield mqtt
        finally:
            mqtt.close()


def start(world: World, client_id: str, *topics: str, will: Will | None = None) -> tuple[Transport, Heard]:
    heard = Heard()
    transport = world.transport(client_id, heard, will)
    transport.subscribe(topics)
    transport.start()
    world.wait(lambda: transport.is_connected)
    return transport, heard


class TestTransport:
    def test_what_is_published_is_heard_in_order(self, world: World) -> None:
        parent, _ = start(world, PARENT)
        _, heard = start(world, CHILD, f"{DESIRED}/#")
        parent.publish(DESIRED, b"mark", is_retained=True)
        world.wait(lambda: b"mark" in heard.payloads)
        for number in range(40):
            parent.publish(f"{DESIRED}/web", str(number).encode())
        world.wait(lambda: len(heard.messages) >= 41)
        assert heard.messages[1:] == [(f"{DESIRED}/web", str(number).encode(), False) for number in range(40)]

    def test_a_retained_message_awaits_who_subscribes_later(self, world: World) -> None:
        parent, parent_heard = start(world, PARENT, REPORT)
        parent.publish(DESIRED, b"old", is_retained=True)
        parent.publish(DESIRED, b"new", is_retained=True)
        parent.publish(f"{DESIRED}/web", b"gone", is_retained=True)
        parent.publish(f"{DESIRED}/web", b"", is_retained=True)
        parent.publish(REPORT, b"mark")
        world.wait(lambda: parent_heard.payloads == [b"mark"])
        child, heard = start(world, CHILD, f"{DESIRED}/#")
        world.wait(lambda: bool(heard.messages))
        child.publish(REPORT, b"mark")
        world.wait(lambda: len(parent_heard.messages) == 2)
        assert heard.messages == [(DESIRED, b"new", True)]

    def test_unsubscribed_topics_are_heard_no_more(self, world: World) -> None:
        parent, heard = start(world, PARENT, REPORT, PRESENCE)
        child, _ = start(world, CHILD)
        child.publish(REPORT, b"1")
        world.wait(lambda: heard.payloads == [b"1"])
        parent.unsubscribe([REPORT])
        parent.publish(PRESENCE, b"mark")  # follows the unsubscription on the same connection
        world.wait(lambda: heard.payloads == [b"1", b"mark"])
        child.publish(REPORT, b"2")
        child.publish(PRESENCE, b"online")
        world.wait(lambda: b"online" in heard.payloads)
        assert b"2" not in heard.payloads

    def test_the_will_is_said_when_the_connection_breaks(self, world: World) -> None:
        _, heard = start(world, PARENT, PRESENCE)
        child, child_heard = start(world, CHILD, will=Will(PRESENCE, b"offline"))
        world.cut()
        world.wait(lambda: heard.payloads == [b"offline"])
        world.wait(lambda: child.is_connected and len(child_heard.connects) == 2)
        assert child_heard.disconnects

    def test_a_goodbye_keeps_the_will_unsaid(self, world: World) -> None:
        parent, heard = start(world, PARENT, PRESENCE, REPORT)
        child, child_heard = start(world, CHILD, will=Will(PRESENCE, b"offline"))
        child.publish(REPORT, b"last words")
        world.wait(lambda: heard.payloads == [b"last words"])
        child.stop()
        parent.publish(REPORT, b"mark")
        world.wait(lambda: b"mark" in heard.payloads)
        assert heard.payloads == [b"last words", b"mark"]
        assert child_heard.disconnects == []

    def test_a_session_keeps_what_its_client_missed(self, world: World) -> None:
        parent, parent_heard = start(world, PARENT, REPORT)
        child, first = start(world, CHILD, f"{DESIRED}/#")
        parent.publish(f"{DESIRED}/web", b"0")
        world.wait(lambda: first.payloads == [b"0"])
        child.stop()
        for number in (1, 2, 3):
            parent.publish(f"{DESIRED}/web", str(number).encode())
        parent.publish(REPORT, b"mark")
        world.wait(lambda: parent_heard.payloads == [b"mark"])
        _, second = start(world, CHILD, f"{DESIRED}/#")
        world.wait(lambda: len(second.messages) >= 3)
        assert second.payloads == [b"1", b"2", b"3"]
        assert (first.connects, second.connects) == ([False], [True])

    def test_everything_goes_on_after_the_broker_was_away(self, world: World) -> None:
        parent, parent_heard = start(world, PARENT, REPORT)
        child, child_heard = start(world, CHILD, f"{DESIRED}/#")
        world.stop_broker()
        world.wait(lambda: not child.is_connected and not parent.is_connected)
        for number in range(MAX_QUEUED):
            child.publish(REPORT, str(number).encode())
        with pytest.raises(Overloaded):
            child.publish(REPORT, b"one too many")
        parent.publish(DESIRED, b"still here")
        world.start_broker()
        world.wait(lambda: len(parent_heard.payloads) >= MAX_QUEUED)
        world.wait(lambda: b"still here" in child_heard.payloads)
        assert parent_heard.payloads == [str(number).encode() for number in range(MAX_QUEUED)]
        assert child_heard.disconnects
        child.publish(REPORT, b"room again")
        world.wait(lambda: parent_heard.payloads[-1] == b"room again")

    def test_refused_credentials_show_and_may_heal(self, world: World) -> None:
        child, heard = start(world, CHILD)
        assert not child.is_refused
        world.withdraw()
        world.wait(lambda: child.is_refused)
        assert not child.is_connected
        assert heard.disconnects
        world.admit()
        world.wait(lambda: child.is_connected)
        assert not child.is_refused

    def test_the_size_of_a_payload_is_bounded(self, world: World) -> None:
        parent, _ = start(world, PARENT)
        _, heard = start(world, CHILD, DESIRED)
        with pytest.raises(TooLarge):
            parent.publish(DESIRED, bytes(MAX_PAYLOAD_BYTES + 1))
        parent.publish(DESIRED, bytes(MAX_PAYLOAD_BYTES), is_retained=True)
        world.wait(lambda: [len(payload) for payload in heard.payloads] == [MAX_PAYLOAD_BYTES])
