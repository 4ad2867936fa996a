"""The routes about who comes in: what they ask of the root itself, and of a cluster over its link."""

from typing import Any

import pytest

from edge_common.model.errors import Conflict, NotFound
from tests.unit.root.world import World

TOKEN = {"token_id": "0a1b2c3d", "token": "0a1b2c3d.secret", "state": "good"}


@pytest.fixture
def world() -> World:
    made = World()
    made.add_cluster()
    return made


CASES: list[tuple[str, str, Any, str, dict[str, Any]]] = [
    ("GET", "/join-tokens", None, "join_tokens", {"action": "list"}),
    (
        "POST",
        "/join-tokens",
        {"ttl": 3600, "max_uses": 5, "note": "for the shed"},
        "join_tokens",
        {"action": "create", "life_s": 3600.0, "max_uses": 5, "note": "for the shed"},
    ),
    (
        "POST",
        "/join-tokens",
        {},
        "join_tokens",
        {"action": "create", "life_s": None, "max_uses": None, "note": ""},
    ),
    ("POST", "/join-tokens/0a1b/rotate", None, "join_tokens", {"action": "rotate", "token_id": "0a1b"}),
    ("DELETE", "/join-tokens/0a1b", None, "join_tokens", {"action": "revoke", "token_id": "0a1b"}),
    ("GET", "/waiting", None, "waiting", {}),
    ("POST", "/waiting/c0ffee/admit", None, "admit", {"child": "c0ffee"}),
    ("DELETE", "/waiting/c0ffee", None, "refuse", {"child": "c0ffee"}),
]


@pytest.mark.parametrize(("method", "path", "body", "kind", "asked"), CASES)
class TestQuestions:
    def test_the_root_asks_itself(
        self, world: World, method: str, path: str, body: Any, kind: str, asked: dict[str, Any]
    ) -> None:
        world.doors.answers[kind] = {**TOKEN, "tokens": [TOKEN]}
        status, _ = world.client().answer(method, f"/api{path}", body)
        assert status == 200
        assert world.doors.asked == [(kind, asked)]
        assert world.requests.asked == []

    def test_a_cluster_is_asked_over_its_link(
        self, world: World, method: str, path: str, body: Any, kind: str, asked: dict[str, Any]
    ) -> None:
        world.requests.answers[kind] = {**TOKEN, "tokens": [TOKEN]}
        status, _ = world.client().answer(method, f"/api/clusters/c1{path}", body)
        assert status == 200
        assert world.requests.asked == [("c1", kind, asked)]
        assert world.doors.asked == []


@pytest.mark.parametrize(("query", "is_forced"), [("", False), ("?force=true", True)])
class TestForget:
    def test_a_cluster(self, world: World, query: str, is_forced: bool) -> None:
        world.doors.answers["forget"] = {"child_id": "c1", "name": "berlin"}
        assert world.client().answer("DELETE", f"/api/clusters/c1{query}")[0] == 200
        assert world.doors.asked == [("forget", {"child": "c1", "is_forced": is_forced})]

    def test_a_node(self, world: World, query: str, is_forced: bool) -> None:
        world.requests.answers["forget"] = {"child_id": "n1", "name": "pi"}
        assert world.client().answer("DELETE", f"/api/clusters/c1/nodes/n1{query}")[0] == 200
        assert world.requests.asked == [("c1", "forget", {"child": "n1", "is_forced": is_forced})]


class TestRefusals:
    def test_those_of_the_cluster_arrive(self, world: World) -> None:
        world.requests.answers["forget"] = Conflict("Node pi is there and ready.")
        status, answer = world.client().answer("DELETE", "/api/clusters/c1/nodes/n1")
        assert (status, answer["message"]) == (409, "Node pi is there and ready.")
        world.doors.answers["admit"] = NotFound("Nobody waits.")
        assert world.client().answer("POST", "/api/waiting/x/admit")[0] == 404

    @pytest.mark.parametrize(
        ("body", "field"),
        [({"ttl": 1}, "ttl"), ({"max_uses": 0}, "max_uses"), ({"note": "x" * 257}, "note"), ({"kind": "x"}, "kind")],
    )
    def test_a_wish_that_cannot_be(self, world: World, body: Any, field: str) -> None:
        status, answer = world.client().answer("POST", "/api/join-tokens", body)
        assert (status, answer["field"]) == (400, field)
        assert world.doors.asked == []

    def test_a_cluster_that_is_not_there(self, world: World) -> None:
        assert world.client().answer("GET", "/api/clusters/nowhere/join-tokens")[0] == 404

    def test_a_list_has_no_secret(self, world: World) -> None:
        world.doors.answers["join_tokens"] = {"tokens": [{"token_id": "0a1b2c3d"}]}
        assert world.client().answer("GET", "/api/join-tokens")[1] == [{"token_id": "0a1b2c3d"}]
