"""A root and a cluster with their brokers, in this process: letting in, turning away and forgetting, over the API."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster_orchestrator.app import App as ClusterApp
from cluster_orchestrator.settings import Settings as ClusterSettings
from edge_common.link.child import ChildLink, Description, Reply, last_will
from edge_common.link.desired_store import DocumentDesiredStore
from edge_common.link.events import Connected, End, MessageArrived, PostingEvents
from edge_common.link.identity import Identity
from edge_common.link.join import Waiting, join
from edge_common.model.errors import Conflict, HedgerowError, NotFound, Unauthenticated
from edge_common.model.node import NodeInfo
from edge_common.model.resources import Resources
from edge_common.plumbing.clock import SystemClock
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.plumbing.http_client import HttpClient
from edge_common.plumbing.mailbox import Mailbox
from edge_common.plumbing.mqtt import MqttTransport
from edge_common.plumbing.pki import open_authority
from edge_common.plumbing.server_certificate import keep_server_certificate
from edge_common.plumbing.tls import TlsFiles
from edge_common.wire.join_messages import ChildKind
from root_orchestrator.app import ADMIN_PASSWORD
from root_orchestrator.app import App as RootApp
from root_orchestrator.settings import Settings as RootSettings
from tests.parts.mosquitto import USERS, Mosquitto, private_mosquitto
from tests.parts.trust import Trust
from tests.support import eventually, free_port

pytestmark = pytest.mark.real

PASSWORD = "correct horse battery"


class Node:
    """The link of a node and nothing else: it reports what it is."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self._info = NodeInfo(identity.child_id, "shed", "amd64", ("container",), Resources(1_000, 512, 1_000))  # type: ignore[arg-type]
        self._mailbox = Mailbox(self)
        events = PostingEvents(End.UPPER, self._mailbox.post)
        self.transport = MqttTransport(identity.endpoint, identity.child_id, events, last_will(identity.child_id))
        store = DocumentDesiredStore(MemoryDocuments())
        self._link = ChildLink(identity.child_id, "boot", self.transport, store, self, SystemClock(), 1.0)
        self._mailbox.start()
        self.transport.start()

    def all_observations(self) -> list[Any]:
        return []

    def describe(self, *, is_full: bool, acked_revision: int) -> Description:
        del acked_revision
        return Description(node=self._info if is_full else None)

    def answer(self, kind: str, body: object, reply: Reply) -> None:
        reply({})

    def handle(self, event: object) -> None:
        if isinstance(event, Connected | MessageArrived):
            self._link.handle(event)

    def settle(self) -> None:
        self._link.take_changes()
        self._link.flush()

    def tick(self) -> float:
        return 0.2

    def stop(self) -> None:
        self.transport.stop()
        self._mailbox.stop()


@dataclass
class System:
    api: HttpClient
    cluster_url: str
    folder: Path
    stack: ExitStack

    def cluster(self) -> dict[str, Any]:
        found = self.api.request("GET", "/api/clusters")
        return dict(found[0]) if found else {}

    def at_cluster(self, method: str, path: str, body: Any = None) -> Any:
        return self.api.request(method, f"/api/clusters/berlin/{path}", json=body)

    def join(self, name: str, token: str = "") -> Identity:
        return join(self.cluster_url, token, ChildKind.NODE, name, self.folder / name, {})

    def start_node(self, identity: Identity) -> Node:
        node = Node(identity)
        self.stack.callback(node.stop)
        eventually(
            lambda: any(n["readiness"] == "ready" for n in self.at_cluster("GET", "nodes")), message="a ready node"
        )
        return node


def broker(stack: ExitStack, data_dir: Path, name: str, user: str, *, is_tls: bool) -> Mosquitto:
    authority = open_authority(data_dir / "ca", name, time.time())
    if not is_tls:
        return stack.enter_context(private_mosquitto())
    server = keep_server_certificate(authority, data_dir / "ca", ["localhost", "127.0.0.1", "::1"], time.time())
    own = Trust(data_dir / "ca", name).child(user)
    return stack.enter_context(private_mosquitto(tls=server, own=own))


@pytest.fixture(params=["auto", "on"])
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[System]:
    is_tls = request.param == "on"
    scheme = "https" if is_tls else "http"
    monkeypatch.setenv(ADMIN_PASSWORD, PASSWORD)
    with ExitStack() as stack:
        root_dir, cluster_dir = tmp_path / "root", tmp_path / "cluster"
        ports = free_port(), free_port()
        brokers = (
            broker(stack, root_dir, "root", "root", is_tls=is_tls),
            broker(stack, cluster_dir, "berlin", "cluster", is_tls=is_tls),
        )
        for user in USERS:
            (tmp_path / user).mkdir(exist_ok=True)
            (tmp_path / f"{user}-password").write_text(USERS[user])
        root = RootApp(
            RootSettings(
                data_dir=root_dir,
                http_port=ports[0],
                tls=request.param,
                mqtt_port=brokers[0].port,
                mqtt_password_file=tmp_path / "root-password",
            )
        )
        root.start()
        stack.callback(root.stop)
        cluster = ClusterApp(
            ClusterSettings(
                data_dir=cluster_dir,
                name="berlin",
                http_port=ports[1],
                tls=request.param,
                mqtt_port=brokers[1].port,
                mqtt_password_file=tmp_path / "cluster-password",
                parent_url=f"{scheme}://127.0.0.1:{ports[0]}",
                join_token_file=root_dir / "join-token",
                waiting_room="on",
            )
        )
        cluster.start()
        stack.callback(cluster.stop)
        tls = TlsFiles(root_dir / "ca" / "ca.crt") if is_tls else None
        api = HttpClient(f"{scheme}://127.0.0.1:{ports[0]}", tls=tls)
        stack.callback(api.close)
        login = {"username": "Admin", "password": PASSWORD}
        api.token = api.request("POST", "/api/auth/login", json=login)["token"]
        system = System(api, f"{scheme}://127.0.0.1:{ports[1]}", tmp_path / "nodes", stack)
        eventually(lambda: system.cluster().get("readiness") == "ready", 20.0, message="a ready cluster")
        yield system


def test_a_token_of_the_root_lets_a_node_into_the_cluster_until_it_is_revoked(system: System) -> None:
    made = system.at_cluster("POST", "join-tokens", {"ttl": 3_600, "max_uses": 1, "note": "for the shed"})
    identity = system.join("shed", made["token"])
    system.start_node(identity)
    listed = {each["token_id"]: each for each in system.at_cluster("GET", "join-tokens")}
    assert listed[made["token_id"]]["uses"] == 1
    assert listed[made["token_id"]]["state"] == "used up"
    assert "token" not in listed[made["token_id"]]
    with pytest.raises(Unauthenticated, match="as often as it may be"):
        system.join("barn", made["token"])
    renewed = system.at_cluster("POST", f"join-tokens/{made['token_id']}/rotate")
    assert system.join("barn", renewed["token"])
    system.at_cluster("DELETE", f"join-tokens/{made['token_id']}")
    with pytest.raises(Unauthenticated, match="was revoked"):
        system.join("stable", renewed["token"])


def test_an_operator_admits_one_newcomer_and_refuses_another(system: System) -> None:
    for name in ("shed", "barn"):
        with pytest.raises(Waiting):
            system.join(name)
    newcomers = {each["name"]: each["child_id"] for each in system.at_cluster("GET", "waiting")["newcomers"]}
    system.at_cluster("POST", f"waiting/{newcomers['shed']}/admit")
    system.at_cluster("DELETE", f"waiting/{newcomers['barn']}")
    assert system.join("shed").child_id == newcomers["shed"]
    with pytest.raises(Unauthenticated, match="operator refused"):
        system.join("barn")


def test_a_forgotten_node_is_gone_and_comes_back_through_the_waiting_room(system: System) -> None:
    token = system.at_cluster("POST", "join-tokens", {})["token"]
    node = system.start_node(system.join("shed", token))
    with pytest.raises(Conflict, match="there and ready"):
        system.at_cluster("DELETE", "nodes/shed")
    system.at_cluster("DELETE", "nodes/shed?force=true")
    assert system.at_cluster("GET", "nodes") == []
    eventually(lambda: node.transport.is_refused, message="the node to be shut out")
    with pytest.raises(Waiting):
        system.join("shed")
    system.at_cluster("POST", f"waiting/{node.identity.child_id}/admit")
    system.start_node(system.join("shed"))


def test_a_forgotten_cluster_is_gone(system: System) -> None:
    with pytest.raises(Conflict, match="there and ready"):
        system.api.request("DELETE", "/api/clusters/berlin")
    system.api.request("DELETE", "/api/clusters/berlin?force=true")
    assert system.cluster() == {}
    with pytest.raises(NotFound):
        system.at_cluster("GET", "nodes")
    with pytest.raises(HedgerowError):
        system.api.request("DELETE", "/api/clusters/nowhere")
