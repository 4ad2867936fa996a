"""Personal API tokens: made, listed, used, revoked, and void when their user is not what he was."""

from dataclasses import replace

import pytest

from edge_common.plumbing.ids import new_secret
from root_orchestrator.core.api_tokens import MAX_TOKENS, USE_INTERVAL_S, hash_of, parsed, written
from root_orchestrator.core.permissions import Role
from tests.unit.root.world import ALICE, Client, Json, World, sla

DAY_S = 86_400


@pytest.fixture
def world() -> World:
    return World()


def made(world: World, **body: object) -> Json:
    answer: Json = world.client(ALICE).post("/api/tokens", {"name": "robot", **body})
    return answer


def with_token(world: World, text: str) -> Client:
    return Client(world.app.test_client(), text)


def test_a_token_is_shown_once_and_works_until_it_expires(world: World) -> None:
    token = made(world, ttl=DAY_S)
    assert token["token"].startswith("hrt_") and token["scopes"] == ["Application_Provider"]
    robot = with_token(world, token["token"])
    robot.post("/api/application", sla())
    assert [a["userId"] for a in robot.get("/api/applications")] == ["alice"]
    (listed,) = world.client(ALICE).get("/api/tokens")
    assert "token" not in listed and listed["expires_at"] == world.clock.now_s() + DAY_S
    world.clock.advance(DAY_S)
    assert "expired" in robot.get("/api/applications", status=401)["message"]


def test_the_store_and_the_record_hold_only_a_hash(world: World) -> None:
    text = made(world)["token"]
    found = parsed(text)
    assert found is not None
    (document,) = world.documents.find("api_tokens")
    assert document["secret_hash"] == hash_of(found[1]) and found[1] not in str(document)
    token = world.people_store.api_token(found[0])
    assert token is not None and token.secret_hash not in repr(token)


@pytest.mark.parametrize(
    "text", ["", "hrt_", "hrt_x_y", "hrt_" + "0" * 24, "hrt_" + "0" * 24 + "_short", "hrt_\N{SNOWMAN}"]
)
def test_what_is_not_written_like_a_token_is_none(text: str) -> None:
    assert parsed(text) is None


def test_a_wrong_secret_and_an_unknown_id_are_told_alike(world: World) -> None:
    token_id = made(world)["token_id"]
    wrong = with_token(world, written(token_id, new_secret())).get("/api/applications", status=401)
    unknown = with_token(world, written("f" * 24, new_secret())).get("/api/applications", status=401)
    assert wrong == unknown


def test_a_token_has_no_more_roles_than_its_user(world: World) -> None:
    alice = world.client(ALICE)
    answer = alice.post("/api/tokens", {"name": "x", "scopes": ["Admin"]}, status=403)
    assert "scopes[0]: a token has roles of its user, and you do not have Admin" in answer["message"]
    assert alice.post("/api/tokens", {"name": "x", "scopes": ["King"]}, status=400)["field"] == "scopes[0]"
    assert alice.post("/api/tokens", {"name": "x y"}, status=400)["field"] == "name"
    assert alice.post("/api/tokens", {"name": "x", "ttl": 1}, status=400)["field"] == "ttl"
    narrow = with_token(world, made(world, scopes=[])["token"])
    narrow.get("/api/applications", status=403)
    assert narrow.get("/api/user/alice")["username"] == "alice"


def test_a_token_loses_what_its_user_loses_and_gets_nothing_new(world: World) -> None:
    robot = with_token(world, made(world)["token"])
    world.client().put("/api/user/alice", {"roles": ["Infrastructure_Provider"]})
    robot.get("/api/applications", status=403)
    robot.get("/api/clusters", status=403)
    world.client().put("/api/user/alice", {"roles": ["Application_Provider"]})
    robot.get("/api/applications")


def test_a_token_dies_with_its_user_also_when_another_gets_the_name(world: World) -> None:
    text = made(world)["token"]
    world.clock.advance(1)
    world.client().delete("/api/user/alice")
    with_token(world, text).get("/api/clusters", status=401)
    assert world.documents.find("api_tokens") == []
    body = {"username": "alice", "password": "other-secret"}
    world.client().post("/api/auth/register", body)
    with_token(world, text).get("/api/clusters", status=401)


def test_a_token_older_than_its_user_does_not_count(world: World) -> None:
    text = made(world)["token"]
    world.store.put_user(replace(ALICE, created_at_s=world.clock.now_s() + 1))
    with_token(world, text).get("/api/clusters", status=401)


def test_a_token_makes_no_token_and_changes_no_password(world: World) -> None:
    admin = with_token(world, world.client().post("/api/tokens", {"name": "all"})["token"])
    admin.get("/api/users")
    assert "with the token all" in admin.post("/api/tokens", {"name": "more"}, status=403)["message"]
    robot = with_token(world, made(world)["token"])
    robot.post("/api/user/alice", {"oldPassword": "alices-secret", "newPassword": "another-one"}, status=403)
    robot.put("/api/user/alice", {"email": "x@example.org"}, status=403)
    robot.delete("/api/user/alice/sessions", status=403)


def test_an_admins_token_makes_no_admin_and_takes_over_nobody(world: World) -> None:
    robot = with_token(world, world.client().post("/api/tokens", {"name": "all"})["token"])
    body = {"username": "eve", "password": "eves-long-secret"}
    robot.post("/api/auth/register", {**body, "roles": ["Admin"]}, status=403)
    robot.post("/api/auth/register", {**body, "roles": ["Infrastructure_Provider"]}, status=403)
    robot.put("/api/user/alice", {"roles": ["Admin"]}, status=403)
    for username in ("alice", "Admin"):
        answer = robot.put(f"/api/user/{username}", {"password": "another-one"}, status=403)
        assert "sets nobody's password" in answer["message"]
    world.client().put("/api/user/alice", {"roles": ["Admin"]})
    for method, path in (("DELETE", "/api/user/alice"), ("DELETE", "/api/user/alice/sessions")):
        robot.call(method, path, status=403)
    assert robot.post("/api/auth/register", {**body, "roles": ["Viewer"]})["roles"] == ["Viewer"]
    robot.delete("/api/user/eve")


def test_revoking(world: World) -> None:
    token = made(world)
    world.client(ALICE).delete(f"/api/tokens/{token['token_id']}")
    with_token(world, token["token"]).get("/api/clusters", status=401)
    assert world.client(ALICE).get("/api/tokens") == []
    world.client(ALICE).delete(f"/api/tokens/{token['token_id']}", status=404)


def test_an_admin_sees_and_revokes_the_tokens_of_others(world: World) -> None:
    token = made(world)
    assert [t["name"] for t in world.client().get("/api/tokens?user=alice")] == ["robot"]
    world.client().get("/api/tokens?user=nobody", status=404)
    world.client().delete(f"/api/tokens/{token['token_id']}")
    with_token(world, token["token"]).get("/api/clusters", status=401)


def test_use_is_noted_once_an_hour(world: World) -> None:
    token = made(world)
    robot = with_token(world, token["token"])

    def noted() -> object:
        return world.client(ALICE).get("/api/tokens")[0]["last_used_at"]

    assert noted() is None
    robot.get("/api/clusters")
    first_s = world.clock.now_s()
    world.clock.advance(USE_INTERVAL_S - 1)
    robot.get("/api/clusters")
    assert noted() == first_s
    world.clock.advance(1)
    robot.get("/api/clusters")
    assert noted() == first_s + USE_INTERVAL_S


def test_so_many_and_one_of_each_name(world: World) -> None:
    alice = world.client(ALICE)
    for number in range(MAX_TOKENS):
        alice.post("/api/tokens", {"name": f"t{number}", "ttl": 60 + number})
    assert "name: you have a token t0" in alice.post("/api/tokens", {"name": "t0"}, status=409)["message"]
    alice.post("/api/tokens", {"name": "more"}, status=409)
    world.clock.advance(60)
    alice.post("/api/tokens", {"name": "more"})
    assert len(world.people_store.api_tokens("alice")) == MAX_TOKENS


def test_a_token_has_no_session_to_end(world: World) -> None:
    admin = with_token(world, world.client().post("/api/tokens", {"name": "all", "scopes": [Role.ADMIN]})["token"])
    assert "is a personal token" in admin.post("/api/auth/logout", status=400)["message"]
