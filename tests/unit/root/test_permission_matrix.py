"""Every route, asked by every role about a thing of one's own, of a colleague and of another organisation.

A new route needs a row in ROUTES. What is expected follows from the row and the table of core/permissions.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from typing import Any

import pytest

from edge_common.model.lifecycle import State
from edge_common.model.values import ValueKind
from edge_common.plumbing.http_app import public_endpoints
from edge_common.wire import routes
from edge_common.wire.sla import parse_sla
from root_orchestrator.adapters.api.routing import needs_of
from root_orchestrator.core.api_tokens import Asked
from root_orchestrator.core.organizations import Organization
from root_orchestrator.core.permissions import (
    EVERYBODY,
    IN_A_SESSION,
    TABLE,
    Identity,
    Permission,
    Resource,
    Role,
    Scope,
    Verb,
)
from root_orchestrator.core.records import User
from tests.unit.root.world import PASSWORDS, Client, World, microservice, sla

ACME, OTHER = "a" * 24, "b" * 24
PASSWORD = "a-long-password"
HASH = PASSWORDS.hash(PASSWORD)
NOWHERE = "f" * 24


class Of(Enum):
    """Whose thing a route is about. NOBODYS also covers lists, and what is made anew."""

    NOBODYS = "nobody's"
    APPLICATION = "an application's owner"
    USER = "the user himself"
    ORGANIZATION = "an organisation"


@dataclass(frozen=True, slots=True)
class Route:
    verb: Verb
    resource: Resource
    of: Of = Of.NOBODYS
    body: Mapping[str, Any] | None = None
    is_filtered: bool = False
    """Answers with a list, from which that which one may not see is left out."""


READ, CREATE, CHANGE, DELETE = Verb.READ, Verb.CREATE, Verb.CHANGE, Verb.DELETE
R = Resource
VALUE = {"value": "another"}
ROUTES: dict[tuple[str, str], Route] = {
    ("POST", routes.APPLICATION): Route(CREATE, R.APPLICATION, body=sla(application_name="fresh")),
    ("GET", routes.APPLICATION_ONE): Route(READ, R.APPLICATION, Of.APPLICATION),
    ("PUT", routes.APPLICATION_ONE): Route(CHANGE, R.APPLICATION, Of.APPLICATION, {"application_desc": "other"}),
    ("DELETE", routes.APPLICATION_ONE): Route(DELETE, R.APPLICATION, Of.APPLICATION),
    ("GET", routes.APPLICATIONS): Route(READ, R.APPLICATION),
    ("GET", routes.APPLICATIONS_OF): Route(READ, R.APPLICATION, Of.USER, is_filtered=True),
    ("PUT", routes.APPLY): Route(CREATE, R.APPLICATION, body=sla(application_name="applied")),
    ("POST", routes.SERVICE): Route(CREATE, R.SERVICE, Of.APPLICATION, sla(microservice(microservice_name="more"))),
    ("GET", routes.SERVICE_ONE): Route(READ, R.SERVICE, Of.APPLICATION),
    ("PUT", routes.SERVICE_ONE): Route(CHANGE, R.SERVICE, Of.APPLICATION, microservice(memory=65)),
    ("DELETE", routes.SERVICE_ONE): Route(DELETE, R.SERVICE, Of.APPLICATION),
    ("GET", routes.SERVICES): Route(READ, R.SERVICE),
    ("GET", routes.SERVICES_OF): Route(READ, R.SERVICE, Of.APPLICATION),
    ("PUT", routes.REPLICAS): Route(CHANGE, R.SERVICE, Of.APPLICATION, {"replicas": 2}),
    ("GET", routes.HISTORY): Route(READ, R.SERVICE, Of.APPLICATION),
    ("POST", routes.ROLLBACK): Route(CHANGE, R.SERVICE, Of.APPLICATION, {"revision": 1}),
    ("POST", routes.ROLLOUT): Route(CHANGE, R.SERVICE, Of.APPLICATION, {"order": "pause"}),
    ("POST", routes.INSTANCES): Route(CREATE, R.INSTANCE, Of.APPLICATION),
    ("DELETE", routes.INSTANCE_ONE): Route(DELETE, R.INSTANCE, Of.APPLICATION),
    ("GET", routes.INSTANCE_LOGS): Route(READ, R.INSTANCE, Of.APPLICATION),
    ("GET", routes.SECRETS): Route(READ, R.SECRET),
    ("POST", routes.SECRETS): Route(CREATE, R.SECRET, body={"name": "fresh", "value": "x"}),
    ("GET", routes.SECRET_ONE): Route(READ, R.SECRET, Of.APPLICATION),
    ("PUT", routes.SECRET_ONE): Route(CHANGE, R.SECRET, Of.APPLICATION, VALUE),
    ("DELETE", routes.SECRET_ONE): Route(DELETE, R.SECRET, Of.APPLICATION),
    ("GET", routes.CONFIGS): Route(READ, R.CONFIG),
    ("POST", routes.CONFIGS): Route(CREATE, R.CONFIG, body={"name": "fresh", "value": "x"}),
    ("GET", routes.CONFIG_ONE): Route(READ, R.CONFIG, Of.APPLICATION),
    ("PUT", routes.CONFIG_ONE): Route(CHANGE, R.CONFIG, Of.APPLICATION, VALUE),
    ("DELETE", routes.CONFIG_ONE): Route(DELETE, R.CONFIG, Of.APPLICATION),
    ("GET", routes.CLUSTERS): Route(READ, R.CLUSTER),
    ("GET", routes.CLUSTERS_ACTIVE): Route(READ, R.CLUSTER),
    ("GET", routes.CLUSTER_ONE): Route(READ, R.CLUSTER),
    ("GET", routes.CLUSTER_NODES): Route(READ, R.NODE),
    ("GET", routes.CLUSTER_NODE): Route(READ, R.NODE),
    ("PUT", routes.CORDON): Route(CHANGE, R.NODE, body={"cordoned": True}),
    ("GET", routes.NODES): Route(READ, R.NODE),
    ("DELETE", routes.CLUSTER_ONE): Route(DELETE, R.CLUSTER),
    ("DELETE", routes.CLUSTER_NODE): Route(DELETE, R.NODE),
    ("GET", routes.JOIN_TOKENS): Route(READ, R.JOIN_TOKEN),
    ("POST", routes.JOIN_TOKENS): Route(CREATE, R.JOIN_TOKEN, body={"ttl": 3600}),
    ("POST", routes.JOIN_TOKEN_ROTATION): Route(CHANGE, R.JOIN_TOKEN),
    ("DELETE", routes.JOIN_TOKEN): Route(DELETE, R.JOIN_TOKEN),
    ("GET", routes.CLUSTER_TOKENS): Route(READ, R.JOIN_TOKEN),
    ("POST", routes.CLUSTER_TOKENS): Route(CREATE, R.JOIN_TOKEN, body={"ttl": 3600}),
    ("POST", routes.CLUSTER_TOKEN_ROTATION): Route(CHANGE, R.JOIN_TOKEN),
    ("DELETE", routes.CLUSTER_TOKEN): Route(DELETE, R.JOIN_TOKEN),
    ("GET", routes.WAITING): Route(READ, R.NEWCOMER),
    ("POST", routes.ADMISSION): Route(CHANGE, R.NEWCOMER),
    ("DELETE", routes.NEWCOMER): Route(DELETE, R.NEWCOMER),
    ("GET", routes.CLUSTER_WAITING): Route(READ, R.NEWCOMER),
    ("POST", routes.CLUSTER_ADMISSION): Route(CHANGE, R.NEWCOMER),
    ("DELETE", routes.CLUSTER_NEWCOMER): Route(DELETE, R.NEWCOMER),
    ("POST", routes.REGISTER): Route(CREATE, R.USER, body={"username": "fresh", "password": PASSWORD}),
    ("GET", routes.USERS): Route(READ, R.USER),
    ("GET", routes.USERS_OF): Route(READ, R.USER, Of.ORGANIZATION),
    ("GET", routes.USER): Route(READ, R.USER, Of.USER),
    ("PUT", routes.USER): Route(CHANGE, R.USER, Of.USER, {"email": "new@example.org"}),
    ("POST", routes.USER): Route(CHANGE, R.USER, Of.USER, {"oldPassword": PASSWORD, "newPassword": "another-one"}),
    ("DELETE", routes.USER): Route(DELETE, R.USER, Of.USER),
    ("GET", routes.PERMISSION): Route(READ, R.USER, Of.USER),
    ("POST", routes.LOGOUT): Route(DELETE, R.SESSION),
    ("DELETE", routes.SESSIONS_OF): Route(DELETE, R.SESSION, Of.USER),
    ("GET", routes.ORGANIZATIONS): Route(READ, R.ORGANIZATION),
    ("POST", routes.ORGANIZATIONS): Route(CREATE, R.ORGANIZATION, body={"name": "fresh"}),
    ("PUT", routes.ORGANIZATION_ONE): Route(CHANGE, R.ORGANIZATION, Of.ORGANIZATION, {"name": "renamed"}),
    ("DELETE", routes.ORGANIZATION_ONE): Route(DELETE, R.ORGANIZATION, Of.ORGANIZATION),
    ("GET", routes.API_TOKENS): Route(READ, R.API_TOKEN),
    ("POST", routes.API_TOKENS): Route(CREATE, R.API_TOKEN, body={"name": "fresh"}),
    ("DELETE", routes.API_TOKEN): Route(DELETE, R.API_TOKEN, Of.USER),
    ("GET", routes.AUDIT): Route(READ, R.AUDIT),
}
PUBLIC = {
    ("GET", routes.HEALTH),
    ("POST", routes.LOGIN),
    ("POST", routes.REFRESH),
    ("GET", routes.DOCUMENT),
    ("GET", f"{routes.DOCS}/"),
    ("GET", f"{routes.DOCS}/<path:path>"),
}
KEPT = ("users", "applications", "services", "organizations", "sessions", "api_tokens", "secrets", "configs")
OWN, COLLEAGUES, STRANGERS = "actor", "colleague", "stranger"
ORGANIZATION_OF = {OWN: ACME, COLLEAGUES: ACME, STRANGERS: OTHER}
ROLES: tuple[Role | None, ...] = (*Role, None)


class Company(World):
    """`actor` and `colleague` work for one organisation, `stranger` for another; each has one thing of every kind."""

    def __init__(self, role: Role | None) -> None:
        super().__init__()
        self.add_cluster()
        self.requests.answers = {
            "logs": {"text": "", "cursor": 0},
            "nodes": {"nodes": [{"node_id": "n1", "node_name": "node-1"}]},
            "cordon": {"node": {"node_id": "n1"}},
            "join_tokens": {"tokens": []},
            **{kind: {} for kind in ("waiting", "admit", "refuse", "forget")},
        }
        self.people_store.put_organization(Organization(ACME, "acme"))
        self.people_store.put_organization(Organization(OTHER, "other"))
        self.arguments: dict[str, dict[str, str]] = {}
        roles = () if role is None else (str(role),)
        for name, given in ((OWN, roles), (COLLEAGUES, ()), (STRANGERS, ())):
            self.store.put_user(User(name, HASH, given, organization=ORGANIZATION_OF[name]))
            self.arguments[name] = self._belongings(name)

    def as_session(self) -> Client:
        user = self.store.user(OWN)
        assert user is not None
        return self.client(user)

    def as_token(self) -> Client:
        actor = self.store.user(OWN)
        assert actor is not None
        made = self.people.create_api_token(Identity(OWN, ACME, actor.roles), Asked("robot"))
        return Client(self.app.test_client(), made.text)

    def contents(self) -> dict[str, Any]:
        found = {collection: self.documents.find(collection) for collection in KEPT}
        noted = ("last_used_at_s", "version")
        return {
            collection: [{k: v for k, v in each.items() if k not in noted} for each in documents]
            for collection, documents in found.items()
        }

    def restore(self, contents: Mapping[str, list[Any]]) -> None:
        """Much quicker than another company: that would build the API anew."""
        for collection, documents in contents.items():
            for document in self.documents.find(collection):
                self.documents.delete(collection, document["_id"])
            for document in documents:
                self.documents.put(collection, document)

    def path(self, rule: str, owner: str) -> str:
        known = {
            **self.arguments[owner],
            "cluster_id": "c1",
            "node_id": "n1",
            "child_id": "n2",
            "number": "0",
            "int": "0",
        }
        if rule.startswith(routes.CONFIGS):
            known["name"] = known["config"]
        for argument, value in known.items():
            for converter in ("", "int:", "int(signed=True):"):
                rule = rule.replace(f"<{converter}{argument}>", value)
        return rule

    def _belongings(self, name: str) -> dict[str, str]:
        maker = Identity(name, ORGANIZATION_OF[name], (Role.APPLICATION_PROVIDER,))
        change = self.manager.create_applications(maker, parse_sla(sla(microservice(replicas=1))))
        (service,) = change.put_services
        self.hear(self.place(service.service_id), State.RUNNING)
        made = self.people.create_api_token(maker, Asked("mine", roles=()))
        return {
            "application_id": service.application_id,
            "service_id": service.service_id,
            "username": name,
            "organization_id": ORGANIZATION_OF[name],
            "token_id": made.token.token_id,
            "name": self.values.create(maker, ValueKind.SECRET, "mine", b"x").value_id,
            "config": self.values.create(maker, ValueKind.CONFIG, "mine", b"x").value_id,
        }


def granted(role: Role | None, verb: Verb, resource: Resource, *, is_session: bool) -> Scope:
    """The table, read by other code than that which is tested."""
    tables = [EVERYBODY, *([IN_A_SESSION] if is_session else []), *([TABLE[role]] if role else [])]
    return max((table.get(Permission(verb, resource), Scope.NOTHING) for table in tables), default=Scope.NOTHING)


def is_within(scope: Scope, owner: str, of: Of) -> bool:
    if scope is Scope.ORGANIZATION:
        return owner != STRANGERS
    return scope is Scope.EVERYTHING or (scope is Scope.OWN and owner == OWN and of is not Of.ORGANIZATION)


def expected(role: Role | None, route: Route, owner: str, *, is_session: bool) -> int:
    """403 or 404; 200 stands for every answer that is no refusal of permission."""
    scope = granted(role, route.verb, route.resource, is_session=is_session)
    if scope is Scope.NOTHING:
        return 403
    if route.of is Of.NOBODYS or route.is_filtered:
        return 200
    seen_as = Resource.ORGANIZATION if route.of is Of.ORGANIZATION else route.resource
    if route.resource is Resource.SERVICE and route.verb is Verb.CREATE:
        seen_as = Resource.APPLICATION
    if not is_within(granted(role, Verb.READ, seen_as, is_session=is_session), owner, route.of):
        return 404
    if route.of is Of.ORGANIZATION and route.verb is Verb.READ:
        return 200
    return 200 if is_within(scope, owner, route.of) else 403


@cache
def declared() -> dict[tuple[str, str], Permission]:
    app = World().app
    public = public_endpoints(app)
    found = {}
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            if rule.endpoint in public:
                assert (method, rule.rule) in PUBLIC, f"{method} {rule.rule} must not be public"
            else:
                found[method, rule.rule] = needs_of(app, rule.endpoint)
    return found


def test_every_route_has_its_row_and_needs_what_the_row_says() -> None:
    assert declared() == {key: Permission(route.verb, route.resource) for key, route in ROUTES.items()}


@pytest.mark.parametrize("role", ROLES, ids=str)
@pytest.mark.parametrize("owner", [OWN, COLLEAGUES, STRANGERS])
def test_a_session_may_do_what_the_table_says(role: Role | None, owner: str) -> None:
    _check_all(role, owner, Company.as_session, is_session=True)


@pytest.mark.parametrize("role", ROLES, ids=str)
@pytest.mark.parametrize("owner", [OWN, COLLEAGUES])
def test_a_personal_token_may_do_what_the_table_says(role: Role | None, owner: str) -> None:
    _check_all(role, owner, Company.as_token, is_session=False)


def _check_all(role: Role | None, owner: str, client_of: Callable[[Company], Client], *, is_session: bool) -> None:
    company = Company(role)
    client = client_of(company)
    before = company.contents()
    for (method, rule), route in ROUTES.items():
        wanted = expected(role, route, owner, is_session=is_session)
        if (method, rule) == ("POST", routes.USER) and owner != OWN and wanted == 200:
            wanted = 403  # one's own password only, whoever one is
        status, answer = _ask(company, client, method, rule, owner, route)
        said = f"{role} {method} {rule} of {owner}: {status} {answer}"
        if wanted == 200:
            is_nobodys = route.of is Of.NOBODYS
            assert status < 500 and status not in (401, 403, 405), said
            assert status != 404 or is_nobodys, said
            assert status != 400 or rule == routes.LOGOUT, said
        else:
            assert status == wanted, said
        if wanted != 200:
            assert company.contents() == before, said
        elif route.verb is not Verb.READ:
            company.restore(before)


def _ask(company: Company, client: Client, method: str, rule: str, owner: str, route: Route) -> tuple[int, Any]:
    body = None if route.body is None else dict(route.body)
    if rule == routes.SERVICE and body is not None:
        (application,) = body["applications"]
        body["applications"] = [{**application, "applicationID": company.arguments[owner]["application_id"]}]
    return client.answer(method, company.path(rule, owner), body)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN], ids=str)
def test_what_is_hidden_is_told_as_what_is_missing(role: Role) -> None:
    company = Company(role)
    client = company.as_session()
    company.arguments["nobody"] = dict.fromkeys(company.arguments[STRANGERS], NOWHERE)
    for (method, rule), route in ROUTES.items():
        if expected(role, route, STRANGERS, is_session=True) != 404:
            continue
        _, hidden = _ask(company, client, method, rule, STRANGERS, route)
        _, missing = _ask(company, client, method, rule, "nobody", route)
        text = str(hidden)
        for value in company.arguments[STRANGERS].values():
            text = text.replace(value, NOWHERE)
        assert text == str(missing), f"{method} {rule}"


@pytest.mark.parametrize(
    ("role", "seen"),
    [
        (Role.ADMIN, {OWN, COLLEAGUES, STRANGERS}),
        (Role.ORGANIZATION_ADMIN, {OWN, COLLEAGUES}),
        (Role.APPLICATION_PROVIDER, {OWN}),
        (Role.VIEWER, {OWN, COLLEAGUES}),
    ],
)
def test_lists_hold_what_one_may_see(role: Role, seen: set[str]) -> None:
    client = Company(role).as_session()
    for rule in (routes.APPLICATIONS, routes.SERVICES, routes.SECRETS, routes.CONFIGS):
        assert {each["userId"] for each in client.get(rule)} == seen, rule
    users = {OWN} if role in (Role.VIEWER, Role.APPLICATION_PROVIDER) else seen
    assert {each["username"] for each in client.get(routes.USERS)} - {"Admin", "alice"} == users
    own = [each["name"] for each in client.get(routes.ORGANIZATIONS)]
    assert own == (["acme", "other", "root"] if role is Role.ADMIN else ["acme"])
    for owner in (OWN, COLLEAGUES, STRANGERS):
        assert len(client.get(f"/api/applications/{owner}")) == (owner in seen)


def test_several_roles_add_up() -> None:
    company = Company(None)
    actor = company.store.user(OWN)
    assert actor is not None
    company.store.put_user(replace(actor, roles=(Role.VIEWER, Role.APPLICATION_PROVIDER)))
    client = company.as_session()
    colleagues = f"/api/application/{company.arguments[COLLEAGUES]['application_id']}"
    assert client.get(colleagues)["userId"] == COLLEAGUES
    client.delete(colleagues, status=403)
    client.delete(f"/api/application/{company.arguments[OWN]['application_id']}")
