"""The table itself, the checks on things, and routes that say nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.errors import Broken, Forbidden, NotFound
from root_orchestrator.adapters.api.answers import MessageAnswer
from root_orchestrator.adapters.api.parts import caller
from root_orchestrator.adapters.api.routing import Routes, check_declared, declare_needs, needs_of
from root_orchestrator.core.permissions import (
    GRANTABLE,
    TABLE,
    Hidden,
    Identity,
    Permission,
    Resource,
    Role,
    Scope,
    Verb,
    check,
    may,
    require,
    scope_of,
)
from tests.unit.root.world import World

ROLES = st.lists(st.sampled_from([*map(str, Role), "King"]), max_size=4).map(tuple)
ACTORS = st.builds(Identity, st.just("alice"), st.sampled_from(["acme", "root"]), ROLES, st.sampled_from(["", "robot"]))
PERMISSIONS = st.builds(Permission, st.sampled_from(Verb), st.sampled_from(Resource))
THINGS = st.tuples(st.sampled_from(["acme", "root", "other"]), st.sampled_from(["alice", "bob", ""]))


@given(ACTORS, PERMISSIONS, THINGS)
def test_a_check_agrees_with_the_scope(actor: Identity, needs: Permission, thing: tuple[str, str]) -> None:
    organization, owner = thing
    scope = scope_of(actor, needs.verb, needs.resource)
    is_allowed = may(actor, needs.verb, needs.resource, organization, owner)
    is_seen = may(actor, Verb.READ, needs.resource, organization, owner)
    if scope is Scope.NOTHING:
        assert not is_allowed
    if is_allowed:
        require(actor, needs)
        assert scope is Scope.EVERYTHING or organization == actor.organization
    if is_allowed and is_seen:
        check(actor, needs, organization, owner, "gone")
    else:
        with pytest.raises(NotFound if not is_seen else Forbidden):
            check(actor, needs, organization, owner, "gone")


@given(ACTORS, PERMISSIONS, st.sampled_from(Role))
def test_one_role_more_never_takes_away(actor: Identity, needs: Permission, role: Role) -> None:
    more = Identity(actor.username, actor.organization, (*actor.roles, role), actor.token_name)
    assert scope_of(more, needs.verb, needs.resource) >= scope_of(actor, needs.verb, needs.resource)


@given(ROLES, PERMISSIONS)
def test_a_token_may_no_more_than_its_user_in_a_session(roles: tuple[str, ...], needs: Permission) -> None:
    session, token = Identity("alice", "acme", roles), Identity("alice", "acme", roles, token_name="robot")
    assert scope_of(token, needs.verb, needs.resource) <= scope_of(session, needs.verb, needs.resource)
    assert scope_of(token, Verb.CREATE, Resource.API_TOKEN) is Scope.NOTHING


def test_whoever_may_write_may_read_what_is_written() -> None:
    for role, grants in TABLE.items():
        for needs, scope in grants.items():
            assert grants.get(Permission(Verb.READ, needs.resource), Scope.NOTHING) >= scope, (role, needs)


def test_what_an_organisations_admin_gives_reaches_no_further_than_the_organisation() -> None:
    for role in GRANTABLE:
        for needs, scope in TABLE[role].items():
            assert scope < Scope.EVERYTHING or needs.verb is Verb.READ, (role, needs)


def test_a_role_that_does_not_exist_gives_nothing() -> None:
    king = Identity("alice", "acme", ("King",))
    for verb in Verb:
        with pytest.raises(Forbidden, match="alice may not"):
            require(king, Permission(verb, Resource.APPLICATION))


def test_an_infrastructure_provider_sees_nothing_of_applications() -> None:
    actor = Identity("ivan", "root", (Role.INFRASTRUCTURE_PROVIDER,))
    for resource in (Resource.APPLICATION, Resource.SERVICE, Resource.INSTANCE, Resource.SECRET, Resource.CONFIG):
        assert all(scope_of(actor, verb, resource) is Scope.NOTHING for verb in Verb)


def test_what_is_hidden_is_not_found() -> None:
    with pytest.raises(Hidden, match="There is no such thing"):
        viewer = Identity("vera", "acme", (Role.VIEWER,))
        check(viewer, Permission(Verb.DELETE, Resource.APPLICATION), "other", "bob", "There is no such thing.")


def hello() -> dict[str, Any]:
    return {"message": caller().username}


def routes_of(world: World) -> Routes:
    return Routes(world.app, world.app.extensions["flask-smorest"]["apis"][""]["ext_obj"], "extra", "More")


@pytest.mark.parametrize("options", [{}, {"needs": (Verb.READ, Resource.CLUSTER), "is_public": True}])
def test_a_route_either_needs_something_or_is_public(options: dict[str, Any]) -> None:
    with pytest.raises(Broken, match=r"GET /api/extra must either say what it needs or be public\."):
        routes_of(World()).get("/api/extra", hello, "Hello", MessageAnswer, **options)


def test_a_route_that_came_in_by_another_door_stops_the_start_and_answers_nobody() -> None:
    world = World()
    world.app.add_url_rule("/api/extra", "extra", hello)
    with pytest.raises(Broken, match="extra does not say what it needs"):
        check_declared(world.app)
    world.client().get("/api/extra", status=500)
    world.client(None).get("/api/extra", status=401)
    declare_needs(world.app, "extra", Verb.READ, Resource.CLUSTER)
    check_declared(world.app)
    assert world.client().get("/api/extra") == {"message": "Admin"}
    assert needs_of(world.app, "extra") == Permission(Verb.READ, Resource.CLUSTER)
