"""Who gets to a broker over TLS, who does not, and what the log says then."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edge_common.link.dynsec import DynsecAdmin
from edge_common.model.errors import Broken, Forbidden, Unreachable
from edge_common.model.ids import ChildId
from edge_common.plumbing.mqtt import MqttTransport
from edge_common.plumbing.mqtt_types import MqttEndpoint, MqttTuning
from edge_common.plumbing.tls import TlsFiles, server_context
from edge_common.wire import topics
from tests.parts.heard import Heard
from tests.parts.mosquitto import Mosquitto, private_mosquitto
from tests.parts.tcp_proxy import TcpProxy
from tests.parts.trust import DAY_S, Trust
from tests.support import eventually, free_port

pytestmark = pytest.mark.real

CHILD = ChildId("child-1")
SWIFT = MqttTuning(keepalive_s=2, first_retry_s=0.1, last_retry_s=0.2)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("trust") / "ca")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("stranger") / "ca", "stranger")


@pytest.fixture(scope="module")
def mosquitto(trust: Trust) -> Iterator[Mosquitto]:
    with private_mosquitto(1, trust.server, trust.child("root")) as broker:
        broker.admin.admit(CHILD, "secret")
        yield broker


@pytest.fixture
def endpoint(mosquitto: Mosquitto, trust: Trust) -> MqttEndpoint:
    """That of a child as it should be."""
    return replace(mosquitto.endpoint(CHILD, "secret"), tls=trust.child(CHILD))


@contextmanager
def connected(endpoint: MqttEndpoint, name: str, filters: Sequence[str]) -> Iterator[tuple[MqttTransport, Heard]]:
    heard = Heard()
    transport = MqttTransport(endpoint, name, heard, tuning=SWIFT)
    transport.subscribe(filters)
    transport.start()
    try:
        eventually(lambda: transport.is_connected)
        yield transport, heard
    finally:
        transport.stop()


def refusal(endpoint: MqttEndpoint, name: str = CHILD) -> tuple[str, bool]:
    """The reason that the listener heard first, and whether it is for the credentials' sake."""
    heard = Heard()
    transport = MqttTransport(endpoint, name, heard, tuning=SWIFT)
    transport.start()
    try:
        eventually(lambda: heard.disconnects)
        assert heard.connects == []
        return heard.disconnects[0], transport.is_refused
    finally:
        transport.stop()


def test_both_ends_talk(mosquitto: Mosquitto, endpoint: MqttEndpoint) -> None:
    with (
        connected(mosquitto.endpoint("root"), "parent", topics.heard_by_parent(CHILD)) as (parent, up),
        connected(endpoint, CHILD, topics.heard_by_child(CHILD)) as (child, down),
    ):
        child.publish(topics.report(CHILD), b"up")
        parent.publish(topics.request(CHILD), b"down")
        eventually(lambda: up.payloads == [b"up"] and down.payloads == [b"down"])


def test_whatever_address_is_dialled(endpoint: MqttEndpoint) -> None:
    with connected(replace(endpoint, host="localhost"), CHILD, []):
        pass


@pytest.mark.parametrize("size", [16_384, 3_000_000, 15_000_000])
def test_large_messages_both_ways(mosquitto: Mosquitto, endpoint: MqttEndpoint, size: int) -> None:
    payloads = [bytes([number]) * (size + number) for number in range(3)]
    with (
        connected(mosquitto.endpoint("root"), "parent", topics.heard_by_parent(CHILD)) as (parent, up),
        connected(endpoint, CHILD, topics.heard_by_child(CHILD)) as (child, down),
    ):
        for payload in payloads:
            child.publish(topics.report(CHILD), payload)
            parent.publish(topics.request(CHILD), payload)
        eventually(lambda: len(up.payloads) == len(down.payloads) == 3, timeout_s=30)
        assert up.payloads == down.payloads == payloads
        assert up.disconnects == down.disconnects == []


def test_messages_in_one_record_do_not_wait_for_the_next(endpoint: MqttEndpoint, trust: Trust) -> None:
    """What TLS has decrypted shows at no descriptor; a client that only waits for those hears it much later."""
    topic = topics.request(CHILD).encode()
    numbers = [bytes([number]) for number in range(5)]
    messages = [b"\x30" + bytes([len(topic) + 4]) + b"\0" + bytes([len(topic)]) + topic + b"\0" + n for n in numbers]

    def play_broker(door: socket.socket) -> None:
        connection = server_context(trust.server).wrap_socket(door.accept()[0], server_side=True)
        connection.recv(4_096)
        connection.sendall(b"\x20\x03\0\0\0" + b"".join(messages))
        connection.recv(4_096)
        connection.close()

    heard = Heard()
    with socket.create_server(("127.0.0.1", 0)) as door:
        broker = threading.Thread(target=play_broker, args=(door,))
        broker.start()
        tuning = replace(SWIFT, keepalive_s=60)
        child = MqttTransport(replace(endpoint, port=door.getsockname()[1]), CHILD, heard, tuning=tuning)
        child.start()
        eventually(lambda: heard.payloads == numbers, timeout_s=2)
        child.stop()
        broker.join(5)


def test_no_certificate(endpoint: MqttEndpoint, trust: Trust, caplog: pytest.LogCaptureFixture) -> None:
    reason, is_refused = refusal(replace(endpoint, tls=TlsFiles(trust.ca)))
    assert "refused us: it wants a certificate and we have shown none" in reason
    assert is_refused
    assert f"event=mqtt_disconnected client={CHILD} reason={reason!r}" in caplog.text


def test_a_certificate_of_another_ca(
    endpoint: MqttEndpoint, trust: Trust, stranger: Trust, caplog: pytest.LogCaptureFixture
) -> None:
    reason, is_refused = refusal(replace(endpoint, tls=stranger.child(CHILD, trusts=trust.ca)))
    assert "refused us: our certificate is of another CA than its own" in reason
    assert is_refused
    assert f"event=mqtt_disconnected client={CHILD} reason={reason!r}" in caplog.text


def test_an_expired_certificate(endpoint: MqttEndpoint, trust: Trust, caplog: pytest.LogCaptureFixture) -> None:
    reason, is_refused = refusal(replace(endpoint, tls=trust.child("late", -DAY_S)))
    assert "refused us: our certificate has expired" in reason
    assert is_refused
    assert f"event=mqtt_disconnected client={CHILD} reason={reason!r}" in caplog.text


def test_a_servers_certificate_is_no_childs(endpoint: MqttEndpoint, trust: Trust) -> None:
    server = trust.server
    reason, is_refused = refusal(replace(endpoint, tls=TlsFiles(trust.ca, server.certificate, server.key)))
    assert "does not accept our certificate" in reason
    assert is_refused


def test_a_broker_that_is_not_ours(
    endpoint: MqttEndpoint, trust: Trust, stranger: Trust, caplog: pytest.LogCaptureFixture
) -> None:
    with private_mosquitto(tls=stranger.server, own=stranger.child("root")) as theirs:
        reason, is_refused = refusal(replace(endpoint, port=theirs.port))
        assert "cannot be trusted: its certificate is not of the CA that we trust" in reason
        assert not is_refused
        assert f"event=mqtt_disconnected client={CHILD} reason={reason!r}" in caplog.text
        assert CHILD not in theirs.log


def test_a_child_that_plays_the_broker(endpoint: MqttEndpoint, trust: Trust, tmp_path: Path) -> None:
    posing = trust.child("posing")
    assert posing.certificate is not None
    assert posing.key is not None
    tls = replace(trust.server, certificate=posing.certificate, key=posing.key)
    with private_mosquitto(tls=tls, own=trust.child("root")) as theirs:
        reason, is_refused = refusal(replace(endpoint, port=theirs.port))
    assert "cannot be trusted" in reason
    assert not is_refused


def test_a_broker_whose_certificate_has_expired(endpoint: MqttEndpoint, trust: Trust, tmp_path: Path) -> None:
    made = trust.authority.issue_server([], 1_000_000_000.0)
    (tmp_path / "old.crt").write_text(made.certificate_pem)
    (tmp_path / "old.key").write_text(made.key_pem)
    tls = replace(trust.server, certificate=tmp_path / "old.crt", key=tmp_path / "old.key")
    with private_mosquitto(tls=tls) as theirs:
        reason, is_refused = refusal(replace(endpoint, port=theirs.port))
    assert "its certificate has expired; is our clock right" in reason
    assert not is_refused


def test_a_wrong_password_with_a_right_certificate(endpoint: MqttEndpoint, caplog: pytest.LogCaptureFixture) -> None:
    reason, is_refused = refusal(replace(endpoint, password="guessed"))
    assert "The broker refused the connection" in reason
    assert is_refused
    assert f"event=mqtt_disconnected client={CHILD} reason={reason!r}" in caplog.text


def test_a_right_password_with_another_client_id(endpoint: MqttEndpoint, caplog: pytest.LogCaptureFixture) -> None:
    reason, is_refused = refusal(endpoint, "child-2")
    assert "The broker refused the connection" in reason
    assert is_refused
    assert f"event=mqtt_disconnected client=child-2 reason={reason!r}" in caplog.text


def test_plain_text_at_a_door_with_tls(endpoint: MqttEndpoint) -> None:
    _, is_refused = refusal(replace(endpoint, tls=None))
    assert not is_refused


def test_tls_at_a_plain_door(endpoint: MqttEndpoint) -> None:
    with private_mosquitto() as plain:
        reason, is_refused = refusal(replace(endpoint, port=plain.port))
    assert "does it speak TLS on this port?" in reason
    assert not is_refused


def test_nobody_there_is_no_refusal(endpoint: MqttEndpoint) -> None:
    reason, is_refused = refusal(replace(endpoint, port=free_port()))
    assert "is unreachable" in reason
    assert not is_refused


def test_a_server_that_never_says_a_word_does_not_hold_us_for_ever(endpoint: MqttEndpoint) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        heard = Heard()
        tuning = replace(SWIFT, connect_timeout_s=0.5)
        transport = MqttTransport(replace(endpoint, port=mute.getsockname()[1]), CHILD, heard, tuning=tuning)
        transport.start()
        eventually(lambda: heard.disconnects, timeout_s=3)
        transport.stop()


def test_missing_files_are_named(endpoint: MqttEndpoint, tmp_path: Path) -> None:
    reason, is_refused = refusal(replace(endpoint, tls=TlsFiles(tmp_path / "nowhere.pem")))
    assert "nowhere.pem" in reason
    assert not is_refused


def test_there_is_no_way_back_to_plain_text(endpoint: MqttEndpoint) -> None:
    with private_mosquitto() as plain, connected(endpoint, CHILD, []) as (child, heard):
        plain.admin.admit(CHILD, "secret")
        child.renew(replace(plain.endpoint(CHILD, "secret"), tls=None))
        child._client.disconnect()
        eventually(lambda: any("plain text is not an alternative" in reason for reason in heard.disconnects))
        assert len(heard.connects) == 1


def test_a_renewed_certificate_is_used_at_the_next_connection(
    mosquitto: Mosquitto, endpoint: MqttEndpoint, trust: Trust
) -> None:
    files = trust.child("renewed", -DAY_S)
    heard = Heard()
    transport = MqttTransport(replace(endpoint, tls=files), CHILD, heard, tuning=SWIFT)
    transport.start()
    eventually(lambda: transport.is_refused)
    trust.child("renewed")
    eventually(lambda: transport.is_connected)
    assert not transport.is_refused
    transport.stop()


def test_both_sides_find_a_broker_again_that_was_killed(trust: Trust, endpoint: MqttEndpoint) -> None:
    with private_mosquitto(1, trust.server, trust.child("root")) as broker:
        broker.admin.admit(CHILD, "secret")
        with (
            connected(broker.endpoint("root"), "parent", []) as (parent, _),
            connected(replace(endpoint, port=broker.port), CHILD, topics.heard_by_child(CHILD)) as (child, heard),
        ):
            broker.kill()
            eventually(lambda: not child.is_connected and not parent.is_connected)
            parent.publish(topics.desired(CHILD), b"afterwards", is_retained=True)
            broker.start()
            eventually(lambda: b"afterwards" in heard.payloads, timeout_s=10)


def test_nothing_is_lost_or_overtaken_while_the_connection_breaks(mosquitto: Mosquitto, endpoint: MqttEndpoint) -> None:
    wire = TcpProxy(mosquitto.port)
    numbers = [str(number).encode() for number in range(300)]
    with (
        connected(mosquitto.endpoint("root"), "parent", topics.heard_by_parent(CHILD)) as (_, up),
        connected(replace(endpoint, port=wire.port), CHILD, []) as (child, _),
    ):
        for number in numbers:
            child.publish(topics.report(CHILD), number)
            if int(number) % 100 == 50:
                wire.cut()
                eventually(lambda: child.is_connected)
        eventually(lambda: numbers[-1] in up.payloads)
        assert list(dict.fromkeys(up.payloads)) == numbers
    wire.close()


def test_the_broker_takes_a_new_certificate_at_sighup(
    trust: Trust, stranger: Trust, endpoint: MqttEndpoint, tmp_path: Path
) -> None:
    files = replace(trust.server, certificate=tmp_path / "server.crt", key=tmp_path / "server.key")
    _copy(stranger.server.certificate, files.certificate)
    _copy(stranger.server.key, files.key)
    with private_mosquitto(tls=files, own=trust.child("root")) as broker:
        theirs = replace(endpoint, port=broker.port)
        assert "cannot be trusted" in refusal(theirs)[0]
        _copy(trust.server.certificate, files.certificate)
        _copy(trust.server.key, files.key)
        os.kill(broker.pid, signal.SIGHUP)
        eventually(lambda: "cannot be trusted" not in refusal(theirs)[0])


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def test_one_question_says_why_it_was_refused(
    mosquitto: Mosquitto, trust: Trust, stranger: Trust, endpoint: MqttEndpoint
) -> None:
    root = mosquitto.endpoint("root")

    def ask(tls: TlsFiles | None) -> Callable[[], None]:
        return lambda: DynsecAdmin(replace(root, tls=tls), 2.0).admit(ChildId("other"), "x")

    ask(root.tls)()
    with pytest.raises(Forbidden, match="another CA"):
        ask(stranger.child("root", trusts=trust.ca))()
    with pytest.raises(Forbidden, match="we have shown none"):
        ask(TlsFiles(trust.ca))()
    with pytest.raises(Unreachable, match="cannot be trusted"):
        ask(trust.child("root2", trusts=stranger.ca))()
    with pytest.raises(Broken, match="Cannot use"):
        ask(TlsFiles(Path("/nowhere/ca.crt")))()
