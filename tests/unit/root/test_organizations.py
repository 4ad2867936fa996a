"""Organisations: made, renamed, deleted, and the line between them."""

import pytest

from edge_common.model.errors import InvalidInput
from root_orchestrator.core.permissions import Identity, Role
from root_orchestrator.core.records import DEFAULT_ORGANIZATION, User
from root_orchestrator.core.users import UserChange
from tests.unit.root.world import PASSWORDS, Client, Json, World, microservice, sla

PASSWORD = "a-long-password"
ADMIN_IDENTITY = Identity("Admin", DEFAULT_ORGANIZATION, (Role.ADMIN,))


@pytest.fixture
def world() -> World:
    return World()


def register(world: World, username: str, organization: str, *roles: str) -> Client:
    body = {"username": username, "password": PASSWORD, "organization": organization, "roles": list(roles)}
    world.client().post("/api/auth/register", body)
    user = world.store.user(username)
    assert user is not None
    return world.client(user)


def organization(world: World, name: str) -> str:
    return str(world.client().post("/api/organization/", {"name": name, "member": []})["_id"]["$oid"])


def test_the_life_of_an_organisation(world: World) -> None:
    admin = world.client()
    made = organization(world, "acme")
    assert [each["name"] for each in admin.get("/api/organization/")] == ["acme", "root"]
    admin.post("/api/organization/", {"name": "acme"}, status=409)
    register(world, "bob", "acme", "Viewer")
    acme, root = admin.get("/api/organization/")
    assert acme["member"] == [{"user_id": "bob", "roles": ["Viewer"]}]
    assert {each["user_id"] for each in root["member"]} == {"Admin", "alice"}
    assert admin.put(f"/api/organization/{made}", {"name": "apex"})["name"] == "apex"
    assert admin.get("/api/user/bob")["organization"] == "apex"
    assert "still has 1 users" in admin.delete(f"/api/organization/{made}", status=409)["message"]
    admin.delete("/api/user/bob")
    admin.delete(f"/api/organization/{made}")
    admin.delete(f"/api/organization/{made}", status=404)
    assert "always there" in admin.delete(f"/api/organization/{DEFAULT_ORGANIZATION}", status=409)["message"]


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 65, "0" * 24, "root"])
def test_a_name_that_will_not_do(world: World, name: str) -> None:
    answer = world.client().post("/api/organization", {"name": name}, status=409 if name == "root" else 400)
    assert name == "root" or answer["field"] == "name"


def test_members_are_not_put_in_with_the_organisation(world: World) -> None:
    body = {"name": "acme", "member": [{"user_id": "alice", "roles": []}]}
    assert world.client().post("/api/organization", body, status=400)["field"] == "member"


def test_login_with_an_organisation(world: World) -> None:
    made = organization(world, "acme")
    register(world, "bob", "acme")
    nobody, body = world.client(None), {"username": "bob", "password": PASSWORD}
    for name in ("acme", made, ""):
        nobody.post("/api/auth/login", {**body, "organization_name": name})
    for name in ("root", "nowhere"):
        nobody.post("/api/auth/login", {**body, "organization_name": name}, status=401)


def test_an_organisations_admin_manages_its_users_and_gives_no_more_than_is_theirs(world: World) -> None:
    organization(world, "acme")
    organization(world, "other")
    carol = register(world, "carol", "acme", "Organization_Admin")
    made = carol.post("/api/auth/register", {"username": "dave", "password": PASSWORD, "roles": ["Viewer"]})
    assert made["organization"] == "acme"
    assert carol.put("/api/user/dave", {"roles": ["Application_Provider"]})["roles"] == ["Application_Provider"]
    carol.put("/api/user/dave", {"roles": ["Infrastructure_Provider"]}, status=403)
    carol.put("/api/user/carol", {"roles": ["Organization_Admin", "Admin"]}, status=403)
    carol.post("/api/auth/register", {"username": "eve", "password": PASSWORD, "roles": ["Admin"]}, status=403)
    body = {"username": "eve", "password": PASSWORD}
    elsewhere = carol.post("/api/auth/register", {**body, "organization": "other"}, status=400)
    nowhere = carol.post("/api/auth/register", {**body, "organization": "nowhere"}, status=400)
    assert elsewhere["message"].replace("other", "nowhere") == nowhere["message"]
    carol.put("/api/user/alice", {"email": "x"}, status=404)
    carol.delete("/api/user/alice", status=404)
    assert [user["username"] for user in carol.get("/api/users")] == ["carol", "dave"]
    assert [user["username"] for user in carol.get("/api/users/acme")] == ["carol", "dave"]
    carol.get("/api/users/other", status=404)
    carol.delete("/api/user/dave")


def test_who_may_do_more_is_out_of_reach_of_an_organisations_admin(world: World) -> None:
    organization(world, "acme")
    carol = register(world, "carol", "acme", "Organization_Admin")
    boss = register(world, "boss", "acme", "Admin", "Viewer")
    token = boss.post("/api/tokens", {"name": "mine"})
    assert carol.get("/api/user/boss")["username"] == "boss"
    for method, path, body in (
        ("PUT", "/api/user/boss", {"password": "taken-over-1"}),
        ("PUT", "/api/user/boss", {"roles": ["Viewer"]}),
        ("DELETE", "/api/user/boss", None),
        ("DELETE", "/api/user/boss/sessions", None),
        ("DELETE", f"/api/tokens/{token['token_id']}", None),
    ):
        assert "ask an Admin" in carol.call(method, path, body, status=403)["message"]


def test_a_user_with_applications_does_not_change_organisation(world: World) -> None:
    organization(world, "acme")
    bob = register(world, "bob", "root", "Application_Provider")
    (application,) = bob.post("/api/application", sla())
    answer = world.client().put("/api/user/bob", {"organization": "acme"}, status=409)
    assert "owns 1 applications" in answer["message"]
    bob.delete(f"/api/application/{application['applicationID']}")
    assert world.client().put("/api/user/bob", {"organization": "acme"})["organization"] == "acme"


def test_an_sla_names_nobody_else(world: World) -> None:
    bob = register(world, "bob", "root", "Organization_Admin")
    for name in ("alice", "nobody"):
        answer = bob.post("/api/application", {**sla(), "customerID": name}, status=400)
        assert answer["field"] == "customerID"


def test_a_fixed_address_does_not_say_whose_it_is(world: World) -> None:
    organization(world, "acme")
    fixed = microservice(addresses={"rr_ip": "10.30.30.30"})
    world.client().post("/api/application", sla(fixed))
    bob = register(world, "bob", "acme", "Application_Provider")
    answers: list[Json] = [bob.post("/api/application", sla(fixed), status=409)]
    bob.post("/api/application", sla(microservice(addresses={"rr_ip": "10.30.30.31"})))
    other = microservice(microservice_name="db", addresses={"rr_ip": "10.30.30.31"})
    answers.append(bob.post("/api/application", sla(other, application_name="second"), status=409))
    first, second = (answer["message"] for answer in answers)
    assert first.replace("10.30.30.30", "10.30.30.31") == second


def test_a_user_from_before_there_were_organisations(world: World) -> None:
    document = {"_id": "old", "username": "old", "password_hash": PASSWORDS.hash(PASSWORD), "roles": ["Viewer"]}
    world.documents.put("users", document)
    user = world.store.user("old")
    assert isinstance(user, User)
    assert world.client(user).get("/api/user/old")["organization"] == "root"
    assert "old" in {each["username"] for each in world.client().get("/api/users/root")}


def test_nobody_gets_into_an_organisation_that_was_deleted_at_the_same_moment(world: World) -> None:
    """The name is looked up before the mailbox's turn comes."""
    gone = organization(world, "acme")
    register(world, "bob", "")
    world.client().delete(f"/api/organization/{gone}")
    with pytest.raises(InvalidInput, match="organization: "):
        world.people.create_user(ADMIN_IDENTITY, User("eve", "x", (), organization=gone))
    with pytest.raises(InvalidInput, match="organization: "):
        world.people.change_user(ADMIN_IDENTITY, "bob", UserChange(organization=gone))
    assert world.store.user("eve") is None and world.store.users(gone) == []
