"""Who may do what: one table of role, verb and resource. What is not in it is refused.

A thing that somebody may not read does not exist for them; `Hidden` says so in the words of a missing one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Protocol

from edge_common.model.errors import Forbidden, NotFound


class Role(StrEnum):
    """Oakestra's names, and Viewer."""

    ADMIN = "Admin"
    ORGANIZATION_ADMIN = "Organization_Admin"
    APPLICATION_PROVIDER = "Application_Provider"
    INFRASTRUCTURE_PROVIDER = "Infrastructure_Provider"
    VIEWER = "Viewer"


class Verb(StrEnum):
    """EXECUTE runs a command in an instance; what an instance wrote is READ."""

    READ = "read"
    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    EXECUTE = "execute"


class Resource(StrEnum):
    """A newcomer is a machine in the waiting room; a session is what a login began."""

    APPLICATION = "application"
    SERVICE = "service"
    INSTANCE = "instance"
    SECRET = "secret"  # noqa: S105 - the name of a resource
    CONFIG = "config"
    CLUSTER = "cluster"
    NODE = "node"
    JOIN_TOKEN = "join_token"  # noqa: S105 - the name of a resource
    NEWCOMER = "newcomer"
    USER = "user"
    ORGANIZATION = "organization"
    SESSION = "session"
    API_TOKEN = "api_token"  # noqa: S105 - the name of a resource
    AUDIT = "audit"


class Scope(IntEnum):
    """Of a thing that belongs to a user within an organisation; clusters and nodes belong to nobody: EVERYTHING."""

    NOTHING = 0
    OWN = 1
    ORGANIZATION = 2
    EVERYTHING = 3


class Hidden(NotFound):
    """It may exist; whoever asks must not know."""


class Actor(Protocol):
    """Who asks. `token_name` is that of a personal token; "" is a session."""

    @property
    def username(self) -> str: ...
    @property
    def organization(self) -> str: ...
    @property
    def roles(self) -> Sequence[str]: ...
    @property
    def token_name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """An Actor. `roles` are those that count: of a personal token, what it has of its user's. `session_id` "": none."""

    username: str
    organization: str
    roles: tuple[str, ...]
    token_name: str = ""
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class Permission:
    """What a route needs, to be declared when it is added."""

    verb: Verb
    resource: Resource

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


Grants = Mapping[Permission, Scope]

READING = (Verb.READ,)
WRITING = (Verb.READ, Verb.CREATE, Verb.CHANGE, Verb.DELETE)
_WORK = (Resource.APPLICATION, Resource.SERVICE, Resource.SECRET, Resource.CONFIG)
_MACHINES = (Resource.CLUSTER, Resource.NODE, Resource.JOIN_TOKEN, Resource.NEWCOMER)
_PLACES = (Resource.CLUSTER, Resource.NODE)


def _on(scope: Scope, verbs: Sequence[Verb], *resources: Resource) -> Grants:
    return {Permission(verb, resource): scope for resource in resources for verb in verbs}


TABLE: Mapping[Role, Grants] = MappingProxyType(
    {
        Role.ADMIN: {
            **_on(Scope.EVERYTHING, WRITING, *_WORK, *_MACHINES, Resource.USER, Resource.ORGANIZATION),
            **_on(Scope.EVERYTHING, tuple(Verb), Resource.INSTANCE),
            **_on(Scope.EVERYTHING, (Verb.READ, Verb.DELETE), Resource.API_TOKEN, Resource.SESSION),
            **_on(Scope.EVERYTHING, READING, Resource.AUDIT),
        },
        Role.ORGANIZATION_ADMIN: {
            **_on(Scope.ORGANIZATION, WRITING, *_WORK, Resource.USER),
            **_on(Scope.ORGANIZATION, tuple(Verb), Resource.INSTANCE),
            **_on(Scope.ORGANIZATION, (Verb.READ, Verb.DELETE), Resource.API_TOKEN, Resource.SESSION),
            **_on(Scope.ORGANIZATION, READING, Resource.AUDIT),
            **_on(Scope.EVERYTHING, READING, *_PLACES),
        },
        Role.APPLICATION_PROVIDER: {
            **_on(Scope.OWN, WRITING, *_WORK),
            **_on(Scope.OWN, tuple(Verb), Resource.INSTANCE),
            **_on(Scope.EVERYTHING, READING, *_PLACES),
        },
        Role.INFRASTRUCTURE_PROVIDER: _on(Scope.EVERYTHING, WRITING, *_MACHINES),
        Role.VIEWER: {
            **_on(Scope.ORGANIZATION, READING, *_WORK, Resource.INSTANCE),
            **_on(Scope.EVERYTHING, READING, *_PLACES),
        },
    }
)
EVERYBODY: Grants = MappingProxyType(
    {
        **_on(Scope.OWN, READING, Resource.USER),
        **_on(Scope.ORGANIZATION, READING, Resource.ORGANIZATION),
    }
)
"""Whatever the roles, also with none."""

IN_A_SESSION: Grants = MappingProxyType(
    {
        **_on(Scope.OWN, (Verb.CHANGE,), Resource.USER),
        **_on(Scope.OWN, (Verb.READ, Verb.CREATE, Verb.DELETE), Resource.API_TOKEN),
        **_on(Scope.OWN, (Verb.READ, Verb.DELETE), Resource.SESSION),
    }
)
"""Beside EVERYBODY's, for who logged in with the password: a stolen token must not make itself another one."""

GRANTABLE = (Role.ORGANIZATION_ADMIN, Role.APPLICATION_PROVIDER, Role.VIEWER)
"""What an Organization_Admin may give; machines are everybody's, so only an Admin hands those out."""


def scope_of(actor: Actor, verb: Verb, resource: Resource) -> Scope:
    asked = Permission(verb, resource)
    granted = [TABLE[role] for role in Role if role in actor.roles]
    granted += [EVERYBODY] if actor.token_name else [EVERYBODY, IN_A_SESSION]
    return max(grants.get(asked, Scope.NOTHING) for grants in granted)


def require(actor: Actor, needs: Permission) -> None:
    """Before anything is looked up, so the answer tells nothing about what exists. Raises Forbidden."""
    if scope_of(actor, needs.verb, needs.resource) is Scope.NOTHING:
        with_what = f" with the token {actor.token_name}" if actor.token_name else ""
        raise Forbidden(
            f"{actor.username} may not {needs.verb} any {needs.resource.replace('_', ' ')}{with_what}; ask an Admin."
        )


def may(actor: Actor, verb: Verb, resource: Resource, organization: str, owner: str = "") -> bool:
    """`organization` and `owner` are those of the thing; `owner` "" is nobody's own."""
    scope = scope_of(actor, verb, resource)
    if scope is Scope.EVERYTHING:
        return True
    if organization != actor.organization:
        return False
    return scope is Scope.ORGANIZATION or (scope is Scope.OWN and owner == actor.username)


def check(actor: Actor, needs: Permission, organization: str, owner: str, missing: str) -> None:
    """Raises Hidden with the words of `missing` when they may not read it, Forbidden when they may do only that."""
    if not may(actor, Verb.READ, needs.resource, organization, owner):
        raise Hidden(missing)
    if not may(actor, needs.verb, needs.resource, organization, owner):
        raise Forbidden(f"{actor.username} may read this {needs.resource.replace('_', ' ')} and not {needs.verb} it.")
