"""Organisations: what users and their applications belong to, and are kept apart by."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from edge_common.model.errors import Conflict, InvalidInput, NotFound
from root_orchestrator.core.permissions import Actor, Permission, Resource, Verb, check
from root_orchestrator.core.records import DEFAULT_ORGANIZATION

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class Organization:
    """Written by the people's writer. Records name it by its id, so it may be renamed."""

    organization_id: str
    name: str
    created_at_s: float = 0.0


def default_organization(now_s: float) -> Organization:
    return Organization(DEFAULT_ORGANIZATION, DEFAULT_ORGANIZATION, now_s)


def checked_name(name: str, organizations: Iterable[Organization], organization_id: str = "") -> str:
    """Of a new one, or of the one with that id. Raises Conflict when another has it."""
    if not _NAME.fullmatch(name) or _ID.fullmatch(name):
        raise InvalidInput(
            "name: must be 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit, "
            "and not look like an id",
            "name",
        )
    for other in organizations:
        if other.organization_id != organization_id and name in (other.name, other.organization_id):
            raise Conflict(f"name: there is an organisation {name} already; take another name.")
    return name


def renamed(organization: Organization, name: str, organizations: Iterable[Organization]) -> Organization:
    return replace(organization, name=checked_name(name, organizations, organization.organization_id))


def visible(actor: Actor, organization: Organization | None, asked: str, verb: Verb) -> Organization:
    """Raises NotFound for one that they may not see, in the words of a missing one."""
    missing = f"There is no organisation {asked}."
    if organization is None:
        raise NotFound(missing)
    check(actor, Permission(verb, Resource.ORGANIZATION), organization.organization_id, "", missing)
    return organization


def find(asked: str, organizations: Iterable[Organization]) -> Organization | None:
    """By name or id; a name counts first."""
    known = list(organizations)
    by_name = (each for each in known if each.name == asked)
    return next(by_name, next((each for each in known if each.organization_id == asked), None))


def check_deletion(organization: Organization, user_count: int, application_count: int) -> None:
    if organization.organization_id == DEFAULT_ORGANIZATION:
        raise Conflict(f"{organization.name} is the organisation that is always there; it cannot be deleted.")
    if user_count or application_count:
        raise Conflict(
            f"{organization.name} still has {user_count} users and {application_count} applications; "
            "delete or move them first."
        )
