"""Who is turned away, over real processes and real TLS, and that both sides' logs say so in words for an operator."""

import json
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from edge_common.link.identity import IdentityFiles
from edge_common.link.token_text import parse_token
from edge_common.model.errors import Unauthenticated
from edge_common.model.ids import ChildId
from edge_common.plumbing.http_client import HttpClient
from edge_common.plumbing.mqtt import MqttTransport
from edge_common.plumbing.pki import certificate_fingerprint, load_or_make_key, open_authority
from edge_common.wire import routes, topics
from edge_common.wire.codec import encode
from edge_common.wire.join_messages import ChildKind, JoinRequest, what_is_proven
from edge_common.wire.messages import Presence
from net_manager.adapters import namespaces
from tests.parts import netns
from tests.parts.heard import Heard
from tests.parts.many_hosts import IMAGE, ManyHosts, Running, many_hosts
from tests.parts.stack import sla
from tests.parts.tiers import BROKER, CLUSTER, MQTT_PORT, NODE, WorkerHost, id_of, token_file_of
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

WAIT_S = 30.0
COUNT = 4
LEASE_S = 120.0
"""Nothing moves while a node is kept out."""


@pytest.fixture(scope="module")
def hosts() -> Iterator[ManyHosts]:
    """Tokens for nodes are good for a second, if nothing else is said."""
    settings = {"HEDGEROW_CLUSTER_JOIN_TOKEN_LIFE_S": "1"}
    with many_hosts({"cluster1": ("worker1", "worker2")}, settings) as found:
        found.apply(sla("steady", COUNT, image=IMAGE, lease=LEASE_S))
        found.wait_converged(COUNT, WAIT_S)
        yield found


@pytest.fixture
def before(hosts: ManyHosts) -> Iterator[set[Running]]:
    """What runs, and still runs afterwards, whoever was turned away."""
    found = set(hosts.running())
    assert len(found) == COUNT
    yield found
    hosts.wait_converged(COUNT, WAIT_S)
    assert set(hosts.running()) == found


@pytest.fixture(scope="module")
def stranger(hosts: ManyHosts) -> Iterator[WorkerHost]:
    """A host that has never joined."""
    made = hosts.prepare_worker("stranger", "cluster1", "")
    yield made
    made.end()


def said(log: Callable[[], str], *words: str) -> str:
    """The first line with all of these."""
    lines = eventually(
        lambda: [line for line in log().splitlines() if all(word in line for word in words)],
        WAIT_S,
        message=f"a line with {words} in the log",
    )
    return str(lines[0])


class TestJoining:
    def ask(self, stranger: WorkerHost, token: str) -> None:
        """A new key each time."""
        shutil.rmtree(stranger.data_dir, ignore_errors=True)
        token_file_of(stranger.host).write_text(token)
        stranger.start_engine()

    @pytest.fixture(autouse=True)
    def _end(self, hosts: ManyHosts, stranger: WorkerHost, before: set[Running]) -> Iterator[None]:
        yield
        stranger.host.kill(NODE)
        assert node_names(hosts) == {"worker1", "worker2"}

    def check_refused(self, hosts: ManyHosts, stranger: WorkerHost, ground: str, words: str) -> None:
        cluster, host = hosts.clusters["cluster1"], stranger.host
        line = said(
            lambda: cluster.host.log(CLUSTER),
            "event=join_refused",
            f"reason={ground}",
            "name='stranger'",
            f"address={host.address}",
            f"child={id_of(stranger.data_dir)}",
        )
        assert "level=warning" in line
        assert parse_token(token_file_of(host).read_text()).secret not in line
        said(lambda: host.log(NODE), "level=warning", "event=join_failed", words)

    def test_a_wrong_token(self, hosts: ManyHosts, stranger: WorkerHost) -> None:
        good = parse_token(hosts.new_token("cluster1"))
        self.ask(stranger, f"{good.token_id}.{'x' * len(good.secret)}.{good.ca_fingerprint}")
        self.check_refused(hosts, stranger, "wrong_token", "not one of this parent's")

    def test_an_expired_token(self, hosts: ManyHosts, stranger: WorkerHost) -> None:
        made = hosts.request("POST", "/api/clusters/cluster1/join-tokens", {})
        eventually(lambda: state_of(hosts, made["token_id"]) == "expired", WAIT_S)
        self.ask(stranger, made["token"])
        self.check_refused(hosts, stranger, "expired_token", "has expired")

    def test_a_revoked_token(self, hosts: ManyHosts, stranger: WorkerHost) -> None:
        token = hosts.new_token("cluster1")
        hosts.request("DELETE", f"/api/clusters/cluster1/join-tokens/{parse_token(token).token_id}")
        self.ask(stranger, token)
        self.check_refused(hosts, stranger, "revoked_token", "was revoked")

    def test_a_token_that_was_used_before(self, hosts: ManyHosts, stranger: WorkerHost, tmp_path: Path) -> None:
        token = hosts.new_token("cluster1", max_uses=1)
        admitted = send(hosts, stranger, request_of(hosts, stranger, tmp_path, token))
        self.ask(stranger, token)
        self.check_refused(hosts, stranger, "used_up_token", "was used as often as it may be")
        forget(hosts, admitted["child_id"])

    def test_a_request_that_was_recorded(self, hosts: ManyHosts, stranger: WorkerHost, tmp_path: Path) -> None:
        request = request_of(hosts, stranger, tmp_path, hosts.new_token("cluster1"))
        admitted = send(hosts, stranger, request)
        with pytest.raises(Unauthenticated):
            send(hosts, stranger, request)
        cluster = hosts.clusters["cluster1"]
        said(lambda: cluster.host.log(CLUSTER), "event=join_refused", "reason=replayed", admitted["child_id"])
        forget(hosts, admitted["child_id"])

    def test_a_cluster_that_is_not_the_one_that_the_token_is_from(self, hosts: ManyHosts, stranger: WorkerHost) -> None:
        """The token pins the root's CA, so it is not even sent."""
        token = hosts.new_token()
        self.ask(stranger, token)
        said(lambda: stranger.host.log(NODE), "level=error", "event=parent_refused", "reason=another_ca")
        said(lambda: stranger.host.log(NODE), "event=join_failed", "Nothing secret was sent to it")
        assert id_of(stranger.data_dir) not in hosts.clusters["cluster1"].host.log(CLUSTER)


def request_of(hosts: ManyHosts, stranger: WorkerHost, directory: Path, token: str) -> dict[str, Any]:
    """What a node would send to join."""
    key = load_or_make_key(directory / "key.pem")
    hello = within(hosts, stranger, lambda client: client.request("GET", routes.HELLO))
    proven = what_is_proven(certificate_fingerprint(hello["ca"]), hello["nonce"], ChildKind.NODE, "recorded", token)
    request = JoinRequest(ChildKind.NODE, "recorded", key.make_csr(), hello["nonce"], key.sign(proven), token)
    return {**asdict(request), "v": 1}


def send(hosts: ManyHosts, stranger: WorkerHost, request: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = within(hosts, stranger, lambda client: client.request("POST", routes.JOIN, json=request))
    return answer


def within(hosts: ManyHosts, stranger: WorkerHost, work: Callable[[HttpClient], Any]) -> Any:
    cluster = hosts.clusters["cluster1"]
    client = HttpClient(cluster.url, WAIT_S, tls=cluster.trust)
    try:
        return namespaces.within(stranger.host.plug.path, lambda: work(client), WAIT_S)
    finally:
        client.close()


def state_of(hosts: ManyHosts, token_id: str) -> str:
    tokens = hosts.request("GET", "/api/clusters/cluster1/join-tokens")
    return next(str(each["state"]) for each in tokens if each["token_id"] == token_id)


def node_names(hosts: ManyHosts) -> set[str]:
    return {each["node_name"] for each in hosts.request("GET", "/api/nodes")["nodes"]}


def forget(hosts: ManyHosts, child_id: str) -> None:
    hosts.request("DELETE", f"/api/clusters/cluster1/nodes/{child_id}?force=true")


class TestBroker:
    def test_a_certificate_of_another_ca(self, hosts: ManyHosts, before: set[Running], tmp_path: Path) -> None:
        worker, cluster = hosts.workers["worker1"], hosts.clusters["cluster1"]
        worker.host.kill(NODE)
        key = load_or_make_key(worker.data_dir / "identity" / "key.pem")
        forger = open_authority(tmp_path / "ca", "cluster1", time.time())
        forged = forger.issue_child(key.make_csr(), id_of(worker.data_dir), time.time(), 3600.0)
        (worker.data_dir / "identity" / "cert.pem").write_text(forged)
        worker.start_engine()
        said(lambda: worker.host.log(NODE), "event=mqtt_disconnected", "our certificate is of another CA than its own")
        said(lambda: cluster.host.log(BROKER), "certificate verify failed")
        said(lambda: worker.host.log(NODE), "event=credentials_refused action=join_again")
        said(lambda: worker.host.log(NODE), "event=mqtt_connected")

    def test_a_node_that_claims_anothers_id(self, hosts: ManyHosts, before: set[Running]) -> None:
        """With its own certificate and password, under the id and the user name of the other."""
        victim, claimant, cluster = hosts.workers["worker1"], hosts.workers["worker2"], hosts.clusters["cluster1"]
        claimant.host.kill(NODE)
        file = claimant.data_dir / "identity" / "identity.json"
        own = file.read_text()
        claimed = json.loads(own)
        claimed["child_id"] = claimed["mqtt"]["username"] = id_of(victim.data_dir)
        file.write_text(json.dumps(claimed))
        claimant.start_engine()
        said(lambda: claimant.host.log(NODE), "event=mqtt_disconnected", "The broker refused the connection")
        said(lambda: after(claimant.host.address, cluster.host.log(BROKER)), "disconnected, not authorised")
        assert readiness(hosts, "worker1") == "ready"
        claimant.host.kill(NODE)
        file.write_text(own)
        claimant.start_engine()
        eventually(lambda: readiness(hosts, "worker2") == "ready", WAIT_S)
        assert "mqtt_disconnected" not in victim.host.log(NODE).partition("event=mqtt_connected")[2]

    def test_a_node_that_speaks_for_another(
        self, hosts: ManyHosts, before: set[Running], caplog: pytest.LogCaptureFixture
    ) -> None:
        """As itself, with its own certificate, password and id; but on the other's topic."""
        victim, claimant, cluster = hosts.workers["worker1"], hosts.workers["worker2"], hosts.clusters["cluster1"]
        claimant.host.kill(NODE)
        identity = IdentityFiles(claimant.data_dir).load()
        assert identity is not None
        heard = Heard()
        transport = MqttTransport(identity.endpoint, str(identity.child_id), heard)
        namespaces.within(claimant.host.plug.path, transport.start)
        try:
            eventually(lambda: heard.connects, WAIT_S)
            forged = topics.presence(ChildId(id_of(victim.data_dir)))
            transport.publish(forged, encode(Presence(is_online=False)), is_retained=True)
            said(lambda: caplog.text, "event=publish_refused", forged, "Not authorized")
        finally:
            transport.stop()
        claimant.start_engine()
        eventually(lambda: readiness(hosts, "worker2") == "ready", WAIT_S)
        changes = [line for line in cluster.host.log(CLUSTER).splitlines() if "event=readiness" in line]
        assert id_of(claimant.data_dir) in changes[-1]
        assert readiness(hosts, "worker1") == "ready"

    def test_a_broker_that_is_not_ours_is_told_nothing(
        self, hosts: ManyHosts, before: set[Running], tmp_path: Path
    ) -> None:
        worker, cluster = hosts.workers["worker1"], hosts.clusters["cluster1"]
        cluster.host.kill(BROKER)
        with impostor(cluster.host.plug.path, cluster.host.address, tmp_path) as heard:
            for log in (lambda: worker.host.log(NODE), lambda: cluster.host.log(CLUSTER)):
                said(log, "event=mqtt_disconnected", "cannot be trusted", "not ours and was told nothing")
            eventually(lambda: worker.host.address in heard, WAIT_S)
        assert set(heard.values()) == {b""}
        cluster.start_broker()
        for each in hosts.workers.values():
            said(lambda: each.host.log(NODE).rpartition("cannot be trusted")[2], "event=mqtt_connected")  # noqa: B023
        eventually(lambda: readiness(hosts, "worker1") == readiness(hosts, "worker2") == "ready", WAIT_S)


def after(address: str, log: str) -> str:
    """Of a broker's log what follows the last connection from there."""
    return log.rpartition(f"New connection from {address}:")[2]


def readiness(hosts: ManyHosts, name: str) -> str:
    nodes = hosts.request("GET", "/api/nodes")["nodes"]
    return next((str(each["readiness"]) for each in nodes if each["node_name"] == name), "not there")


@contextmanager
def impostor(path: Path, address: str, directory: Path) -> Iterator[dict[str, bytes]]:
    """Listens where the broker did, with a certificate of a CA of its own; what it was told, by who said it."""
    pair = open_authority(directory / "ca", "cluster1", time.time()).issue_server([address], time.time())
    (directory / "server.crt").write_text(pair.certificate_pem)
    (directory / "server.key").write_text(pair.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.crt", directory / "server.key")
    heard: dict[str, bytes] = {}
    stopping = threading.Event()
    door = netns.listener(path, address, MQTT_PORT)
    door.settimeout(0.2)

    def serve() -> None:
        while not stopping.is_set():
            try:
                connection, (client, _) = door.accept()
            except TimeoutError:
                continue
            heard[client] = heard.get(client, b"") + told(connection, context)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        stopping.set()
        thread.join(10)
        door.close()


def told(connection: socket.socket, context: ssl.SSLContext) -> bytes:
    """What a client says to a server that it may not trust."""
    connection.settimeout(2.0)
    with connection:
        try:
            with context.wrap_socket(connection, server_side=True) as session:
                return session.recv(4096)
        except (ssl.SSLError, OSError):
            return b""


def test_a_forgotten_node_is_out_at_once_and_waits_for_an_operator(hosts: ManyHosts) -> None:
    """The last test: the node does not come back."""
    worker, cluster = hosts.workers["worker2"], hosts.clusters["cluster1"]
    token_file_of(worker.host).unlink()
    forget(hosts, id_of(worker.data_dir))
    said(lambda: cluster.host.log(CLUSTER), "event=forgotten", id_of(worker.data_dir), "name='worker2'")
    said(lambda: worker.host.log(NODE), "event=mqtt_disconnected")
    eventually(lambda: {each["node_name"] for each in hosts.instances()} == {"worker1"}, WAIT_S, message="the move")
    said(lambda: worker.host.log(NODE), "event=join_waiting", "in its waiting room", id_of(worker.data_dir))
    waiting = hosts.request("GET", "/api/clusters/cluster1/waiting")["newcomers"]
    assert [each["child_id"] for each in waiting] == [id_of(worker.data_dir)]
    assert node_names(hosts) == {"worker1"}
