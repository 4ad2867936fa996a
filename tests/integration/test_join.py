"""Joining over real HTTP, with the broker that it opens."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from edge_common.link.broker_admin import BrokerAdmin, MemoryBrokerAdmin
from edge_common.link.join import Identity, join, load_identity
from edge_common.link.join_api import ENDPOINT, join_blueprint
from edge_common.link.join_desk import CHILDREN, Joined, ParentAddress, TokenJoinDesk
from edge_common.link.join_tokens import new_secret, new_token
from edge_common.model.errors import Broken, Unauthenticated, Unreachable
from edge_common.plumbing.clock import SystemClock
from edge_common.plumbing.documents.open import open_documents
from edge_common.plumbing.http_app import create_app, declare_public
from edge_common.plumbing.mqtt import MqttTransport
from edge_common.wire import routes
from edge_common.wire.join_messages import ChildKind
from tests.parts.heard import Heard
from tests.parts.mosquitto import private_mosquitto
from tests.support import eventually, free_port


def nobody(_request: object) -> None:
    raise Unauthenticated("There is no token.")


class Parent:
    def __init__(self, folder: Path, admin: BrokerAdmin, mqtt_port: int = 10003) -> None:
        self.documents = open_documents("memory:")
        self.joined: list[Joined] = []
        address = ParentAddress("garden", "127.0.0.1", mqtt_port)
        self.desk = TokenJoinDesk(self.documents, admin, address, self.joined.append, SystemClock())
        self.desk.ensure_token(folder / "join-token", ChildKind.NODE)
        self.token = (folder / "join-token").read_text().strip()
        self.url = ""

    def app(self) -> Flask:
        app = create_app("parent", nobody)
        app.register_blueprint(join_blueprint(self.desk))
        declare_public(app, ENDPOINT)
        return app

    @contextmanager
    def serving(self) -> Iterator[None]:
        server = make_server("127.0.0.1", 0, self.app(), threaded=True)
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join(timeout=5)
            server.server_close()


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Parent]:
    parent = Parent(tmp_path, MemoryBrokerAdmin())
    with parent.serving():
        yield parent


@pytest.fixture
def identity_file(tmp_path: Path) -> Path:
    return tmp_path / "child" / "identity.json"


class TestJoin:
    def join(self, parent: Parent, identity_file: Path, token: str | None = None, name: str = "shed") -> Identity:
        token = parent.token if token is None else token
        return join(parent.url, token, ChildKind.NODE, name, identity_file, {"cpus": 4}, timeout_s=5)

    def test_the_identity_is_kept_for_the_owner_only(self, parent: Parent, identity_file: Path) -> None:
        assert load_identity(identity_file) is None
        identity = self.join(parent, identity_file)
        assert load_identity(identity_file) == identity
        assert identity_file.stat().st_mode & 0o777 == 0o600
        assert identity.secret not in repr(identity)
        assert identity.mqtt.password not in repr(identity)
        assert identity.mqtt.password not in repr(identity.endpoint)
        assert parent.joined[0].info == {"cpus": 4}

    def test_joining_again_keeps_the_child_id_without_a_token(self, parent: Parent, identity_file: Path) -> None:
        first = self.join(parent, identity_file)
        second = self.join(parent, identity_file, token="", name="another-host-name")
        assert (second.child_id, second.secret) == (first.child_id, first.secret)
        assert second.mqtt.password != first.mqtt.password

    def test_a_bad_token_is_refused_in_one_sentence(self, parent: Parent, identity_file: Path) -> None:
        with pytest.raises(Unauthenticated, match=r"^The join token is not valid here; .*\.$"):
            self.join(parent, identity_file, token=str(new_token()))
        assert load_identity(identity_file) is None
        assert self.join(parent, identity_file)

    def test_a_lost_answer_makes_no_second_child(self, parent: Parent, identity_file: Path) -> None:
        first = self.join(parent, identity_file)
        asked_only = {"v": 1, "secret": first.secret}
        identity_file.write_text(json.dumps(asked_only))
        assert self.join(parent, identity_file).child_id == first.child_id
        assert len(parent.documents.find(CHILDREN)) == 1

    def test_an_absent_parent_is_told_and_the_secret_waits(self, identity_file: Path) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        for _ in range(2):
            with pytest.raises(Unreachable):
                join(url, "token", ChildKind.NODE, "shed", identity_file, {}, timeout_s=1)
        assert load_identity(identity_file) is None
        assert identity_file.exists()

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"v": 1}', '{"v": 2, "secret": "x"}'])
    def test_a_damaged_identity_is_told(self, parent: Parent, identity_file: Path, text: str) -> None:
        identity_file.parent.mkdir()
        identity_file.write_text(text)
        with pytest.raises(Broken, match="is damaged"):
            self.join(parent, identity_file)


class TestJoinApi:
    def body(self, parent: Parent, **changes: Any) -> dict[str, Any]:
        good = {"v": 1, "kind": "node", "name": "shed", "secret": new_secret(), "token": parent.token}
        return {key: value for key, value in {**good, **changes}.items() if value is not None}

    def test_answers_with_what_the_child_needs(self, parent: Parent) -> None:
        answer = parent.app().test_client().post(routes.JOIN, json=self.body(parent, future="x"))
        assert answer.status_code == 200
        assert answer.get_json().keys() == {"v", "child_id", "parent_name", "mqtt"}
        assert answer.get_json()["mqtt"].keys() == {"host", "port", "username", "password"}

    @pytest.mark.parametrize(
        ("changes", "status", "word"),
        [
            ({"token": "x"}, 401, "token"),
            ({"token": None}, 401, "token"),
            ({"kind": "toaster"}, 400, "kind"),
            ({"kind": None}, 400, "kind"),
            ({"kind": "cluster"}, 401, "node"),
            ({"name": ""}, 400, "name"),
            ({"name": None}, 400, "name"),
            ({"name": "x" * 65}, 400, "name"),
            ({"name": "a/b"}, 400, "name"),
            ({"name": "a\nb"}, 400, "name"),
            ({"name": 7}, 400, "name"),
            ({"name": "\ud800"}, 400, ""),
            ({"secret": "short"}, 400, "secret"),
            ({"secret": None}, 400, "secret"),
            ({"secret": "x" * 257}, 400, "secret"),
            ({"secret": "\ud800" * 40}, 400, ""),
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


@pytest.mark.real
class TestWithABroker:
    def test_what_joined_can_speak_and_a_new_join_shuts_the_old_password_out(
        self, tmp_path: Path, identity_file: Path
    ) -> None:
        with private_mosquitto() as mosquitto:
            parent = Parent(tmp_path, mosquitto.admin, mosquitto.port)
            with parent.serving():
                first = join(parent.url, parent.token, ChildKind.NODE, "shed", identity_file, {})
                transport = MqttTransport(first.endpoint, first.child_id, Heard())
                transport.start()
                eventually(lambda: transport.is_connected)
                second = join(parent.url, "", ChildKind.NODE, "shed", identity_file, {})
                eventually(lambda: transport.is_refused)
                transport.stop()
                again = MqttTransport(second.endpoint, second.child_id, Heard())
                again.start()
                eventually(lambda: again.is_connected)
                again.stop()
