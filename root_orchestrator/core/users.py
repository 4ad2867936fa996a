"""Who may exist, and who may change whom."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from edge_common.model.errors import Conflict, Forbidden, InvalidInput, NotFound
from root_orchestrator.core.permissions import (
    GRANTABLE,
    Actor,
    Permission,
    Resource,
    Role,
    Scope,
    Verb,
    check,
    scope_of,
)
from root_orchestrator.core.records import User

ADMIN_USERNAME = "Admin"
MIN_PASSWORD = 8
MAX_PASSWORD = 1024
_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class UserChange:
    """None: stays as it is. `organization` is an id."""

    email: str | None = None
    password_hash: str | None = field(default=None, repr=False)
    organization: str | None = None
    roles: tuple[str, ...] | None = None


def is_admin(user: User) -> bool:
    return Role.ADMIN in user.roles


def visible(
    actor: Actor,
    user: User | None,
    username: str,
    verb: Verb,
    resource: Resource = Resource.USER,
    missing: str = "",
) -> User:
    """`resource` may be what belongs to the user. Raises NotFound with the words of `missing` for one whom they may
    not see, and Forbidden for one who may do more than they may give.
    """
    missing = missing or f"There is no user {username}."
    if user is None:
        raise NotFound(missing)
    check(actor, Permission(verb, resource), user.organization, user.username, missing)
    is_other = user.username != actor.username
    if verb is not Verb.READ and is_other and not _may_give_all(actor, scope_of(actor, verb, resource)):
        _check_grantable(actor, user.roles)
    return user


def created(actor: Actor, user: User, existing: User | None) -> User:
    """Checked. Raises Conflict when the name is taken, Forbidden for a role or an organisation not theirs to give."""
    if not _USERNAME.fullmatch(user.username):
        raise InvalidInput(
            "username: must be 1 to 64 letters, digits, dots, dashes, underscores or @, the first a letter or digit",
            "username",
        )
    checked = replace(user, roles=checked_roles(user.roles))
    scope = scope_of(actor, Verb.CREATE, Resource.USER)
    if not _may_give_all(actor, scope):
        _check_grantable(actor, checked.roles)
    if scope is not Scope.EVERYTHING and user.organization != actor.organization:
        raise Forbidden(f"{actor.username} may make users of their own organisation only.")
    if existing is not None:
        raise Conflict(f"username: {user.username} exists already; take another name.")
    return checked


def changed(actor: Actor, user: User, change: UserChange, application_count: int) -> User:
    """Checked, but for who stays Admin. `application_count` is how many applications the user owns."""
    visible(actor, user, user.username, Verb.CHANGE)
    scope = scope_of(actor, Verb.CHANGE, Resource.USER)
    after = replace(
        user,
        email=user.email if change.email is None else change.email,
        password_hash=change.password_hash or user.password_hash,
        organization=change.organization or user.organization,
        roles=user.roles if change.roles is None else checked_roles(change.roles),
    )
    if scope is Scope.OWN and after != replace(user, email=after.email):
        raise Forbidden("Of oneself one changes the email here, and the password with the old one; ask an Admin.")
    if change.password_hash and actor.token_name:
        raise Forbidden("An API token sets nobody's password; log in to do so.")
    if not _may_give_all(actor, scope):
        _check_grantable(actor, set(after.roles) - set(user.roles))
    if after.organization != user.organization:
        if scope is not Scope.EVERYTHING:
            raise Forbidden("Only an Admin moves a user to another organisation.")
        if application_count:
            raise Conflict(
                f"organization: {user.username} owns {application_count} applications in another one; "
                "delete them first, or make another user."
            )
    return after


def checked_roles(roles: Sequence[str]) -> tuple[str, ...]:
    for index, role in enumerate(roles):
        if role not in set(Role):
            raise InvalidInput(f"roles[{index}]: must be one of {', '.join(Role)}", f"roles[{index}]")
    return tuple(dict.fromkeys(roles))


def check_password(password: str, field: str) -> None:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidInput(f"{field}: must have {MIN_PASSWORD} to {MAX_PASSWORD} characters", field)


def check_replacement(after: User, users: Sequence[User]) -> None:
    """Raises Conflict when nobody would be left who may do everything."""
    if not any(is_admin(after if user.username == after.username else user) for user in users):
        raise Conflict(f"{after.username} is the last Admin; make another one first.")


def check_deletion(username: str, users: Sequence[User], application_count: int) -> None:
    if not any(is_admin(user) for user in users if user.username != username):
        raise Conflict(f"{username} is the last Admin; make another one first.")
    if application_count:
        raise Conflict(f"{username} still owns {application_count} applications; delete them first.")


def _may_give_all(actor: Actor, scope: Scope) -> bool:
    """With an API token not even an Admin: a stolen one must not make itself an Admin that lasts."""
    return scope is Scope.EVERYTHING and not actor.token_name


def _check_grantable(actor: Actor, roles: Sequence[str] | set[str]) -> None:
    beyond = sorted(set(roles) - set(GRANTABLE))
    if beyond:
        raise Forbidden(f"{actor.username} may not give, change or take away the role {beyond[0]}; ask an Admin.")
