"""MqttTransport where it hurts: kill -9, pulled cables, broken connections, a broker that dies."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from edge_common.link.transport import Will
from edge_common.model.ids import ChildId
from edge_common.plumbing.mqtt import MqttTransport
from edge_common.plumbing.mqtt_types import MqttEndpoint, MqttTuning
from edge_common.wire import topics
from tests.parts.heard import Heard
from tests.parts.mosquitto import Mosquitto, private_mosquitto
from tests.parts.tcp_proxy import TcpProxy
from tests.support import eventually, free_port

pytestmark = pytest.mark.real

CHILD = ChildId("child-1")
OFFLINE = Will(topics.presence(CHILD), b"offline")
SWIFT = MqttTuning(keepalive_s=1, first_retry_s=0.1, last_retry_s=0.2)
A_CHILD_PROCESS = f"""
import sys, threading
from edge_common.link.transport import Will
from edge_common.plumbing.mqtt import MqttTransport
from edge_common.plumbing.mqtt_types import MqttEndpoint
class Events:
    def on_connected(self, has_session): print("connected", flush=True)
    def on_disconnected(self, reason): pass
    def on_message(self, topic, payload, is_retained): pass
endpoint = MqttEndpoint("127.0.0.1", int(sys.argv[1]), "{CHILD}", "secret")
MqttTransport(endpoint, "{CHILD}", Events(), Will("{OFFLINE.topic}", b"offline")).start()
threading.Event().wait()
"""


@pytest.fixture
def mosquitto() -> Iterator[Mosquitto]:
    with private_mosquitto(autosave_interval_s=1) as broker:
        broker.admin.admit(CHILD, "secret")
        yield broker


@pytest.fixture
def wire(mosquitto: Mosquitto) -> Iterator[TcpProxy]:
    proxy = TcpProxy(mosquitto.port)
    yield proxy
    proxy.close()


@pytest.fixture
def parent(mosquitto: Mosquitto) -> Iterator[tuple[MqttTransport, Heard]]:
    heard = Heard()
    transport = MqttTransport(mosquitto.endpoint("root"), "parent", heard, tuning=SWIFT)
    transport.subscribe(topics.heard_by_parent(CHILD))
    transport.start()
    eventually(lambda: transport.is_connected)
    yield transport, heard
    transport.stop()


@pytest.fixture
def child(mosquitto: Mosquitto, wire: TcpProxy) -> Iterator[tuple[MqttTransport, Heard]]:
    heard = Heard()
    endpoint = replace(mosquitto.endpoint(CHILD, "secret"), port=wire.port)
    transport = MqttTransport(endpoint, CHILD, heard, OFFLINE, SWIFT)
    transport.subscribe(topics.heard_by_child(CHILD))
    transport.start()
    eventually(lambda: transport.is_connected)
    yield transport, heard
    transport.stop()


def test_kill_9_of_a_child_is_told_at_once(mosquitto: Mosquitto, parent: tuple[MqttTransport, Heard]) -> None:
    _, heard = parent
    command = [sys.executable, "-c", A_CHILD_PROCESS, str(mosquitto.port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        eventually(lambda: heard.payloads == [b"offline"], timeout_s=1)


def test_a_pulled_cable_is_noticed_at_both_ends(
    wire: TcpProxy, parent: tuple[MqttTransport, Heard], child: tuple[MqttTransport, Heard]
) -> None:
    _, parent_heard = parent
    transport, child_heard = child
    wire.freeze()
    eventually(lambda: child_heard.disconnects, timeout_s=4)
    eventually(lambda: b"offline" in parent_heard.payloads, timeout_s=10)
    wire.thaw()
    eventually(lambda: transport.is_connected)


def test_nothing_is_lost_or_overtaken_while_the_connection_breaks_again_and_again(
    wire: TcpProxy, parent: tuple[MqttTransport, Heard], child: tuple[MqttTransport, Heard]
) -> None:
    _, heard = parent
    transport, _ = child
    numbers = [str(number).encode() for number in range(600)]
    for number in numbers:
        transport.publish(topics.report(CHILD), number)
        if int(number) % 150 == 100:
            wire.cut()
            eventually(lambda: transport.is_connected)
    eventually(lambda: numbers[-1] in heard.payloads)
    reports = [payload for topic, payload, _ in heard.messages if topic == topics.report(CHILD)]
    assert list(dict.fromkeys(reports)) == numbers


def test_the_last_of_many_retained_values_stays(
    wire: TcpProxy, mosquitto: Mosquitto, child: tuple[MqttTransport, Heard]
) -> None:
    transport, _ = child
    for number in range(200):
        transport.publish(topics.presence(CHILD), str(number).encode(), is_retained=True)
        if number % 60 == 30:
            wire.cut()
    late = Heard()
    watcher = MqttTransport(mosquitto.endpoint("cluster"), "watcher", late)
    watcher.subscribe([topics.presence(CHILD)])
    watcher.start()
    eventually(lambda: late.payloads and late.payloads[-1] == b"199")
    watcher.stop()


def test_both_sides_find_a_broker_again_that_was_killed(
    mosquitto: Mosquitto, parent: tuple[MqttTransport, Heard], child: tuple[MqttTransport, Heard]
) -> None:
    sender, _ = parent
    transport, heard = child
    mosquitto.kill()
    eventually(lambda: not transport.is_connected and not sender.is_connected)
    sender.publish(topics.desired(CHILD), b"afterwards", is_retained=True)
    mosquitto.start()
    eventually(lambda: b"afterwards" in heard.payloads, timeout_s=5)


def test_a_listener_that_fails_does_not_end_the_transport(
    mosquitto: Mosquitto, parent: tuple[MqttTransport, Heard], caplog: pytest.LogCaptureFixture
) -> None:
    class Clumsy(Heard):
        def on_message(self, topic: str, payload: bytes, is_retained: bool) -> None:
            if payload == b"trip":
                raise RuntimeError("tripped")
            super().on_message(topic, payload, is_retained)

    sender, _ = parent
    clumsy = Clumsy()
    transport = MqttTransport(mosquitto.endpoint(CHILD, "secret"), CHILD, clumsy, tuning=SWIFT)
    transport.subscribe([topics.request(CHILD)])
    transport.start()
    eventually(lambda: transport.is_connected)
    sender.publish(topics.request(CHILD), b"trip")
    sender.publish(topics.request(CHILD), b"walk")
    eventually(lambda: clumsy.payloads == [b"walk"])
    transport.stop()
    assert clumsy.disconnects == []
    assert "tripped" in caplog.text


def test_new_credentials_are_tried_at_once(mosquitto: Mosquitto) -> None:
    patient = MqttTuning(first_retry_s=60, last_retry_s=60)
    transport = MqttTransport(mosquitto.endpoint(CHILD, "outdated"), CHILD, Heard(), tuning=patient)
    transport.start()
    eventually(lambda: transport.is_refused)
    transport.renew(mosquitto.endpoint(CHILD, "secret"))
    eventually(lambda: transport.is_connected, timeout_s=2)
    assert not transport.is_refused
    transport.stop()


@pytest.mark.parametrize("is_started", [True, False])
def test_stopping_is_prompt_without_a_broker(is_started: bool) -> None:
    transport = MqttTransport(MqttEndpoint("127.0.0.1", free_port(), "x", "x"), "x", Heard())
    transport.publish("hedgerow/v1/link/x/report", b"never sent")
    if is_started:
        transport.start()
    began_s = time.monotonic()
    transport.stop()
    assert time.monotonic() - began_s < 0.5
