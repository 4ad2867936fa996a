"""Personal API tokens: `hrt_<id>_<secret>`, of which only the secret's hash is kept."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_common.model.errors import Conflict, Forbidden, InvalidInput
from root_orchestrator.core.permissions import Actor, Identity, Role
from root_orchestrator.core.records import User

PREFIX = "hrt_"
MAX_TOKENS = 50
"""For each user."""
MIN_TTL_S = 60
MAX_TTL_S = 366 * 86_400
DEFAULT_TTL_S = 90 * 86_400
USE_INTERVAL_S = 3600.0
"""`last_used_at_s` is written at most so often: a token may be used with every request."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKEN = re.compile(r"hrt_([0-9a-f]{24})_([A-Za-z0-9_-]{32,64})")


@dataclass(frozen=True, slots=True)
class ApiToken:
    """Written by the people's writer. `roles` are the most that it may use. `last_used_at_s` 0: never."""

    token_id: str
    username: str
    name: str
    roles: tuple[str, ...]
    secret_hash: str = field(repr=False)
    created_at_s: float = 0.0
    expires_at_s: float = 0.0
    last_used_at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """`roles` None: all that the user has."""

    name: str
    ttl_s: int = DEFAULT_TTL_S
    roles: tuple[str, ...] | None = None


def made(
    actor: Actor, asked: Asked, existing: Sequence[ApiToken], token_id: str, secret: str, now_s: float
) -> ApiToken:
    """`existing` are the user's tokens that have not expired. Raises Forbidden for a role the user does not have."""
    if not _NAME.fullmatch(asked.name):
        raise InvalidInput(
            "name: must be 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit", "name"
        )
    if any(token.name == asked.name for token in existing):
        raise Conflict(f"name: you have a token {asked.name} already; revoke it or take another name.")
    if len(existing) >= MAX_TOKENS:
        raise Conflict(f"You have {MAX_TOKENS} tokens, which is the most; revoke one first.")
    roles = tuple(actor.roles) if asked.roles is None else asked.roles
    for index, role in enumerate(roles):
        if role not in set(Role):
            raise InvalidInput(f"scopes[{index}]: must be one of {', '.join(Role)}", f"scopes[{index}]")
        if role not in actor.roles:
            yours = ", ".join(actor.roles) or "none"
            raise Forbidden(
                f"scopes[{index}]: a token has roles of its user, and you do not have {role}; yours: {yours}."
            )
    return ApiToken(
        token_id=token_id,
        username=actor.username,
        name=asked.name,
        roles=tuple(dict.fromkeys(roles)),
        secret_hash=hash_of(secret),
        created_at_s=now_s,
        expires_at_s=now_s + asked.ttl_s,
    )


def written(token_id: str, secret: str) -> str:
    return f"{PREFIX}{token_id}_{secret}"


def parsed(text: str) -> tuple[str, str] | None:
    """Id and secret; None when it is not written like one."""
    match = _TOKEN.fullmatch(text)
    return None if match is None else (match.group(1), match.group(2))


def identity(token: ApiToken | None, secret: str, user: User | None, now_s: float) -> Identity | None:
    """None when it does not count. What it may use is what its user still has."""
    if token is None or user is None or not hmac.compare_digest(token.secret_hash, hash_of(secret)):
        return None
    if now_s >= token.expires_at_s or user.created_at_s > token.created_at_s:
        return None
    roles = tuple(role for role in token.roles if role in user.roles)
    return Identity(user.username, user.organization, roles, token_name=token.name)


def is_use_worth_a_note(token: ApiToken, now_s: float) -> bool:
    return now_s >= token.last_used_at_s + USE_INTERVAL_S


def hash_of(secret: str) -> str:
    """A plain hash is enough: a secret is 256 random bits, not a password."""
    return hashlib.sha256(secret.encode()).hexdigest()
