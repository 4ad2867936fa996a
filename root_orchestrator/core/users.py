"""Who may exist and who may do what."""

import re
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from edge_common.model.errors import Conflict, Forbidden, InvalidInput, NotFound
from root_orchestrator.core.records import Application, User

ADMIN_USERNAME = "Admin"
DEFAULT_ORGANIZATION = "root"
MIN_PASSWORD = 8
MAX_PASSWORD = 1024
_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class Role(StrEnum):
    """Oakestra's names."""

    ADMIN = "Admin"
    ORGANIZATION_ADMIN = "Organization_Admin"
    APPLICATION_PROVIDER = "Application_Provider"
    INFRASTRUCTURE_PROVIDER = "Infrastructure_Provider"


def is_admin(user: User) -> bool:
    return Role.ADMIN in user.roles


def require_admin(user: User) -> None:
    if not is_admin(user):
        raise Forbidden(f"{user.username} is no Admin; ask one to do this.")


def require_operator(user: User) -> None:
    """Whoever may take nodes out of service."""
    if not is_admin(user) and Role.INFRASTRUCTURE_PROVIDER not in user.roles:
        raise Forbidden(f"{user.username} is neither Admin nor Infrastructure_Provider; ask one to do this.")


def require_self_or_admin(user: User, username: str) -> None:
    if user.username != username and not is_admin(user):
        raise Forbidden(f"{user.username} may not see or change another user; ask an Admin.")


def may_see(user: User, application: Application) -> bool:
    return is_admin(user) or application.owner == user.username


def new_user(user: User, existing: User | None) -> User:
    """Checked. Raises Conflict when the name is taken."""
    if not _USERNAME.fullmatch(user.username):
        raise InvalidInput(
            "username: must be 1 to 64 letters, digits, dots, dashes, underscores or @, the first a letter or digit",
            "username",
        )
    if existing is not None:
        raise Conflict(f"username: {user.username} exists already; take another name.")
    return replace(user, roles=checked_roles(user.roles))


def checked_roles(roles: Sequence[str]) -> tuple[str, ...]:
    for index, role in enumerate(roles):
        if role not in set(Role):
            raise InvalidInput(f"roles[{index}]: must be one of {', '.join(Role)}", f"roles[{index}]")
    return tuple(dict.fromkeys(roles))


def check_password(password: str, field: str) -> None:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidInput(f"{field}: must have {MIN_PASSWORD} to {MAX_PASSWORD} characters", field)


def check_replacement(changed: User, users: Sequence[User]) -> None:
    """Raises Conflict when nobody would be left who may do everything."""
    if not any(is_admin(changed if user.username == changed.username else user) for user in users):
        raise Conflict(f"{changed.username} is the last Admin; make another one first.")


def check_deletion(username: str, users: Sequence[User], applications: Sequence[Application]) -> None:
    if all(user.username != username for user in users):
        raise NotFound(f"There is no user {username}.")
    if not any(is_admin(user) for user in users if user.username != username):
        raise Conflict(f"{username} is the last Admin; make another one first.")
    if applications:
        raise Conflict(f"{username} still owns {len(applications)} applications; delete them first.")
