"""Joining over real HTTP, plain and with TLS, and with the broker that it opens."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request

from edge_common.link.broker_admin import BrokerAdmin, MemoryBrokerAdmin
from edge_common.link.entrance import Entrance, EntranceSettings, LinkCalls, open_entrance
from edge_common.link.identity import Identity, IdentityFiles
from edge_common.link.join import Waiting, join
from edge_common.link.join_api import BURST, ENDPOINTS
from edge_common.link.join_desk import Joined, ParentAddress
from edge_common.link.members import CHILDREN, Members, joined_children
from edge_common.link.membership import Membership
from edge_common.model.errors import Broken, InvalidInput, Unauthenticated, Unreachable
from edge_common.model.ids import ChildId
from edge_common.plumbing.clock import SystemClock
from edge_common.plumbing.documents.open import open_documents
from edge_common.plumbing.http_app import create_app, declare_public
from edge_common.plumbing.http_server import HttpServer
from edge_common.plumbing.mqtt import MqttTransport
from edge_common.plumbing.pki import certificate_fingerprint
from edge_common.wire import routes
from edge_common.wire.codec import decode, to_document
from edge_common.wire.join_messages import ChildKind, Hello
from tests.fakes.newcomer import Child
from tests.parts.heard import Heard
from tests.parts.mosquitto import private_mosquitto
from tests.parts.trust import Trust
from tests.support import eventually, free_port

DAY_S = 86_400.0


def nobody(_request: object) -> None:
    raise Unauthenticated("There is no token.")


class Mistaken(Members):
    """Signs for the wrong key."""

    def certify(self, child_id: ChildId, csr: str, name: str | None = None) -> str:
        super().certify(child_id, csr, name)
        return self.authority.issue_child(Child().key.make_csr(), child_id, time.time(), DAY_S)


class Parent:
    """With a waiting room, and a token in its file. `name` is its directory's too."""

    def __init__(
        self,
        folder: Path,
        admin: BrokerAdmin | None = None,
        mqtt_port: int = 10003,
        *,
        mqtt_host: str = "127.0.0.1",
        is_tls: bool = False,
        name: str = "garden",
        trust: Trust | None = None,
        certify_with: type[Members] = Members,
    ) -> None:
        folder = folder / name
        folder.mkdir()
        self.trust = trust or Trust(folder / "ca", name)
        self.is_tls = is_tls
        self.documents = open_documents("memory:")
        self.joined: list[Joined] = []
        self.dropped: list[ChildId] = []
        self.ready: set[ChildId] = set()
        self.members = certify_with(self.documents, self.trust.authority, SystemClock())
        self.entrance: Entrance = open_entrance(
            EntranceSettings(ChildKind.NODE, folder, has_token_file=True, is_room_open=True, token_life_s=DAY_S),
            self.documents,
            self.members,
            admin or MemoryBrokerAdmin(),
            ParentAddress(name, mqtt_host, mqtt_port, is_tls=is_tls),
            SystemClock(),
            LinkCalls(self.joined.append, self.dropped.append, self.ready.__contains__, self.dropped.append),
        )
        self.token = (folder / "join-token").read_text().strip()
        self.url = ""

    def app(self) -> Flask:
        app = create_app("parent", nobody)
        app.register_blueprint(self.entrance.blueprint())
        declare_public(app, *ENDPOINTS)
        return app

    @contextmanager
    def serving(self) -> Iterator[None]:
        server = HttpServer(self.app(), "127.0.0.1", 0, tls=self.trust.server if self.is_tls else None)
        server.start()
        self.url = f"{'https' if self.is_tls else 'http'}://127.0.0.1:{server.port}"
        try:
            yield
        finally:
            server.stop()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def parent(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Parent]:
    parent = Parent(tmp_path, is_tls=request.param)
    with parent.serving():
        yield parent


@pytest.fixture
def tls_parent(tmp_path: Path) -> Iterator[Parent]:
    parent = Parent(tmp_path, is_tls=True)
    with parent.serving():
        yield parent


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "child"


def ask(parent: Parent, data_dir: Path, token: str | None = None, name: str = "shed") -> Identity:
    token = parent.token if token is None else token
    return join(parent.url, token, ChildKind.NODE, name, data_dir, {"cpus": 4}, timeout_s=5)


class TestJoin:
    def test_the_identity_is_kept_for_the_owner_only(self, parent: Parent, data_dir: Path) -> None:
        files = IdentityFiles(data_dir)
        assert files.load() is None
        identity = ask(parent, data_dir)
        assert files.load() == identity
        kept = {file.name: file.stat().st_mode & 0o777 for file in files.directory.iterdir()}
        assert kept == dict.fromkeys(("key.pem", "cert.pem", "ca.pem", "identity.json"), 0o600)
        assert identity.mqtt.password not in repr(identity) + repr(identity.endpoint)
        assert identity.certificate_ends_s > time.time() + 29 * DAY_S
        assert (identity.endpoint.tls is not None) is parent.is_tls
        assert parent.joined[0].info == {"cpus": 4}

    def test_joining_again_keeps_the_child_id_without_a_token(self, parent: Parent, data_dir: Path) -> None:
        first = ask(parent, data_dir)
        second = ask(parent, data_dir, token="", name="another-host-name")
        assert second.child_id == first.child_id
        assert second.mqtt.password != first.mqtt.password

    def test_a_broker_elsewhere_without_tls_gets_no_password(self, tmp_path: Path, data_dir: Path) -> None:
        parent = Parent(tmp_path, mqtt_host="192.0.2.7")
        with parent.serving(), pytest.raises(Broken, match=r"garden .* 192\.0\.2\.7 .*plain"):
            ask(parent, data_dir)
        assert IdentityFiles(data_dir).load() is None

    def test_a_refusal_comes_as_one_sentence(self, parent: Parent, data_dir: Path) -> None:
        pin = parent.token.rpartition(".")[2]
        with pytest.raises(Unauthenticated, match=r"^The join token is not one of this parent's; .*\.$"):
            ask(parent, data_dir, token=f"abcd.{'x' * 43}.{pin}")
        assert IdentityFiles(data_dir).load() is None
        assert ask(parent, data_dir)

    def test_a_lost_answer_makes_no_second_child(self, parent: Parent, data_dir: Path) -> None:
        first = ask(parent, data_dir)
        (data_dir / "identity" / "identity.json").unlink()
        assert ask(parent, data_dir, token="").child_id == first.child_id
        assert len(parent.documents.find(CHILDREN)) == 1

    def test_an_absent_parent_is_told_and_the_key_waits(self, data_dir: Path) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        for _ in range(2):
            with pytest.raises(Unreachable):
                join(url, "", ChildKind.NODE, "shed", data_dir, {}, timeout_s=1)
        assert IdentityFiles(data_dir).load() is None
        assert (data_dir / "identity" / "key.pem").exists()

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"v": 1}', '{"v": 2, "child_id": "x"}'])
    def test_a_damaged_identity_is_told(self, data_dir: Path, text: str) -> None:
        (data_dir / "identity").mkdir(parents=True)
        (data_dir / "identity" / "identity.json").write_text(text)
        with pytest.raises(Broken, match="is damaged"):
            IdentityFiles(data_dir).load()

    def test_an_identity_of_an_earlier_version_is_told(self, data_dir: Path) -> None:
        data_dir.mkdir()
        (data_dir / "identity.json").write_text('{"v": 1, "secret": "x"}')
        with pytest.raises(Broken, match="earlier version"):
            join("http://127.0.0.1:1", "", ChildKind.NODE, "shed", data_dir, {})

    def test_plain_text_stays_on_the_machine(self, data_dir: Path) -> None:
        with pytest.raises(InvalidInput, match="https"):
            join("http://192.0.2.1:10100", "", ChildKind.NODE, "shed", data_dir, {})


class TestWhomItTalksTo:
    def test_the_parent_of_another_token_gets_nothing(
        self, tls_parent: Parent, tmp_path: Path, data_dir: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = Parent(tmp_path, is_tls=True, name="other")
        with pytest.raises(Unauthenticated, match="not the parent that the token is from"):
            ask(tls_parent, data_dir, token=other.token)
        assert "event=parent_refused reason=another_ca" in caplog.text
        assert other.trust.authority.fingerprint in caplog.text
        assert IdentityFiles(data_dir).ca() is None
        assert "event=join_refused" not in caplog.text

    def test_who_shows_the_right_ca_and_has_not_its_key_gets_nothing(
        self, tls_parent: Parent, tmp_path: Path, data_dir: Path
    ) -> None:
        """Anybody can ask the parent for its CA and show it; only the parent has a certificate of it."""
        hello = tls_parent.entrance.desk.hello()
        sent: list[Any] = []

        def take() -> dict[str, Any]:
            sent.append(request.json)
            return {}

        impostor = create_app("impostor", nobody)
        impostor.add_url_rule(routes.HELLO, endpoint="hello", view_func=lambda: to_document(hello) | {"v": 1})
        impostor.add_url_rule(routes.JOIN, endpoint="join", view_func=take, methods=["POST"])
        declare_public(impostor, "hello", "join")
        server = HttpServer(impostor, "127.0.0.1", 0, tls=Trust(tmp_path / "stranger").server)
        server.start()
        with pytest.raises(Unreachable, match="not of the CA that we trust"):
            join(f"https://127.0.0.1:{server.port}", tls_parent.token, ChildKind.NODE, "shed", data_dir, {})
        server.stop()
        assert sent == []

    def test_another_ca_at_the_old_address_is_refused_without_a_new_token(
        self, tls_parent: Parent, tmp_path: Path, data_dir: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = ask(tls_parent, data_dir)
        other = Parent(tmp_path, is_tls=True, name="other")
        with other.serving():
            with pytest.raises(Unauthenticated, match="set up anew"):
                ask(other, data_dir, token="")
            assert "event=parent_refused reason=another_ca" in caplog.text
            assert IdentityFiles(data_dir).load() == before
            after = ask(other, data_dir)
        assert "event=ca_replaced" in caplog.text
        assert after.child_id == before.child_id

    def test_a_token_that_pins_nothing_is_not_sent_to_a_stranger(self, tls_parent: Parent, data_dir: Path) -> None:
        with pytest.raises(InvalidInput, match="does not name the parent's CA"):
            ask(tls_parent, data_dir, token=tls_parent.token.rpartition(".")[0])

    def test_without_a_token_the_first_ca_is_kept_and_told(
        self, tls_parent: Parent, data_dir: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(Waiting):
            ask(tls_parent, data_dir, token="")
        fingerprint = tls_parent.trust.authority.fingerprint
        assert f"event=ca_trusted_on_first_use url={tls_parent.url} fingerprint={fingerprint}" in caplog.text
        kept = IdentityFiles(data_dir).ca()
        assert kept is not None
        assert certificate_fingerprint(kept) == fingerprint

    def test_a_certificate_for_another_key_is_not_kept(self, tmp_path: Path, data_dir: Path) -> None:
        parent = Parent(tmp_path, certify_with=Mistaken)
        with parent.serving(), pytest.raises(Broken, match="for another key"):
            ask(parent, data_dir)
        assert IdentityFiles(data_dir).load() is None


class TestWaiting:
    def test_an_operator_lets_it_in(self, parent: Parent, data_dir: Path) -> None:
        with pytest.raises(Waiting, match=r"id [0-9a-f]{24}, key [0-9a-f]{64}") as waiting:
            ask(parent, data_dir, token="")
        (newcomer,) = parent.entrance.doors.answer("waiting", {})["newcomers"]
        assert newcomer["key_fingerprint"] in str(waiting.value)
        assert newcomer["child_id"] in str(waiting.value)
        parent.entrance.doors.answer("admit", {"child": newcomer["child_id"]})
        assert ask(parent, data_dir, token="").child_id == newcomer["child_id"]

    def test_membership_asks_until_it_is_let_in(self, parent: Parent, data_dir: Path) -> None:
        membership = Membership(
            lambda: ask(parent, data_dir, token=""), IdentityFiles(data_dir), SystemClock(), lambda: 0.0
        )
        found: list[Identity | None] = []
        thread = threading.Thread(target=lambda: found.append(membership.identity()), daemon=True)
        thread.start()
        newcomers = eventually(lambda: parent.entrance.doors.answer("waiting", {})["newcomers"])
        parent.entrance.doors.answer("admit", {"child": newcomers[0]["child_id"]})
        thread.join(10)
        assert found == [IdentityFiles(data_dir).load()]


class TestApi:
    @pytest.fixture
    def parent(self, tmp_path: Path) -> Parent:
        return Parent(tmp_path)

    def body(self, parent: Parent, **changes: Any) -> dict[str, Any]:
        request = Child().request(parent.entrance.desk.hello(), parent.token)
        good = {"v": 1, **to_document(request)}
        return {key: value for key, value in {**good, **changes}.items() if value is not None}

    def test_hello_answers_anybody(self, parent: Parent) -> None:
        answer = parent.app().test_client().get(routes.HELLO)
        hello = decode(Hello, answer.data)
        assert hello.ca == parent.trust.authority.certificate_pem
        assert hello.name == "garden"

    def test_answers_with_what_the_child_needs(self, parent: Parent) -> None:
        answer = parent.app().test_client().post(routes.JOIN, json=self.body(parent, future="x"))
        assert answer.status_code == 200
        assert answer.get_json().keys() == {"v", "child_id", "status", "parent_name", "mqtt", "certificate", "ca"}
        assert answer.get_json()["mqtt"].keys() == {"host", "port", "username", "password", "is_tls"}

    @pytest.mark.parametrize(
        ("changes", "status", "word"),
        [
            ({"token": "x"}, 401, "proof"),
            ({"token": "x" * 513}, 400, "token"),
            ({"kind": "toaster"}, 400, "kind"),
            ({"kind": None}, 400, "kind"),
            ({"kind": "cluster"}, 401, "proof"),
            ({"name": ""}, 400, "name"),
            ({"name": None}, 400, "name"),
            ({"name": "x" * 65}, 400, "name"),
            ({"name": "a/b"}, 400, "name"),
            ({"name": "a\nb"}, 400, "name"),
            ({"name": 7}, 400, "name"),
            ({"name": "\ud800"}, 400, ""),
            ({"csr": "x"}, 400, "certificate"),
            ({"csr": None}, 400, "csr"),
            ({"nonce": "1.2.3"}, 401, "nonce"),
            ({"nonce": "\ud800"}, 400, ""),
            ({"proof": ""}, 401, "proof"),
            ({"proof": "\ud800"}, 400, ""),
            ({"info": []}, 400, "info"),
            ({"v": 2}, 426, "version"),
            ({"info": {"blob": "x" * 65_536}}, 413, "65536"),
        ],
    )
    def test_refuses_bad_input(self, parent: Parent, changes: dict[str, Any], status: int, word: str) -> None:
        answer = parent.app().test_client().post(routes.JOIN, json=self.body(parent, **changes))
        assert answer.status_code == status
        assert word in answer.get_json()["message"]
        assert parent.documents.find(CHILDREN) == []

    @pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 60_000])
    def test_refuses_what_is_no_json_object(self, parent: Parent, data: bytes) -> None:
        answer = parent.app().test_client().post(routes.JOIN, data=data, content_type="application/json")
        assert answer.status_code == 400

    def test_who_asks_too_often_is_told_to_wait(self, parent: Parent) -> None:
        client = parent.app().test_client()
        refusals = [answer for _ in range(BURST + 50) if (answer := client.get(routes.HELLO)).status_code != 200]
        assert refusals
        assert {answer.status_code for answer in refusals} == {429}
        assert "wait a few seconds" in refusals[0].get_json()["message"]


@pytest.mark.real
class TestWithABroker:
    @pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
    def test_what_joined_can_speak_and_a_new_join_shuts_the_old_password_out(
        self, tmp_path: Path, data_dir: Path, is_tls: bool
    ) -> None:
        trust = Trust(tmp_path / "broker-ca")
        tls = (trust.server, trust.child("cluster")) if is_tls else (None, None)
        with private_mosquitto(tls=tls[0], own=tls[1]) as mosquitto:
            parent = Parent(tmp_path, mosquitto.admin, mosquitto.port, is_tls=is_tls, trust=trust)
            with parent.serving():
                first = ask(parent, data_dir)
                transport = MqttTransport(first.endpoint, first.child_id, Heard())
                transport.start()
                eventually(lambda: transport.is_connected)
                second = ask(parent, data_dir, token="")
                eventually(lambda: transport.is_refused)
                transport.stop()
                again = MqttTransport(second.endpoint, second.child_id, Heard())
                again.start()
                eventually(lambda: again.is_connected)
                parent.entrance.doors.forget(second.child_id, is_forced=True)
                eventually(lambda: again.is_refused)
                again.stop()
                assert joined_children(parent.documents) == []

    def test_an_expired_certificate_is_refused_and_the_key_gets_another(self, tmp_path: Path, data_dir: Path) -> None:
        trust = Trust(tmp_path / "broker-ca")
        with private_mosquitto(tls=trust.server, own=trust.child("cluster")) as mosquitto:
            parent = Parent(tmp_path, mosquitto.admin, mosquitto.port, is_tls=True, trust=trust)
            with parent.serving():
                identity = ask(parent, data_dir)
                files = IdentityFiles(data_dir)
                old = trust.authority.issue_child(
                    files.key().make_csr(), identity.child_id, time.time() - 31 * DAY_S, 30 * DAY_S
                )
                files.keep_certificate(old)
                transport = MqttTransport(identity.endpoint, identity.child_id, Heard())
                membership = Membership(lambda: ask(parent, data_dir, token=""), files, SystemClock(), lambda: 0.0)
                transport.start()
                eventually(lambda: transport.is_refused)
                assert membership.must_join(transport)
                membership.keep(transport)
                eventually(lambda: transport.is_connected, 20.0)
                membership.stop()
                transport.stop()
                assert len(parent.documents.find(CHILDREN)) == 1
