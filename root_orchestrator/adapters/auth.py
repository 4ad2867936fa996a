"""Passwords, and who the bearer of a token is."""

import hashlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from threading import BoundedSemaphore

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from edge_common.model.errors import Broken, Unauthenticated
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.files import read_or_make_secret
from edge_common.plumbing.heap import give_back_large_blocks
from root_orchestrator.adapters.login_limiter import LoginLimiter
from root_orchestrator.core import api_tokens
from root_orchestrator.core.organizations import default_organization
from root_orchestrator.core.permissions import Identity, Role
from root_orchestrator.core.records import User
from root_orchestrator.core.sessions import Session, ends_at_s
from root_orchestrator.core.users import ADMIN_USERNAME, MAX_PASSWORD, is_admin
from root_orchestrator.ports import IntentStore, PeopleStore

logger = logging.getLogger(__name__)

MAX_LOGGED_NAME = 64

ACCESS_S = 600
PASSWORD_FILE = "admin-password"  # noqa: S105 - the name of the file
KEY_FILE = "jwt-key"
_ALGORITHM = "HS256"
_KEY_BYTES = 32
_HASH_MEMORY_KIB = 19_456


class TokenType(StrEnum):
    ACCESS = "access"
    REFRESH = "refresh"


class Passwords:
    """argon2id with 19 MiB and two passes a guess, two at a time: little enough for a small box."""

    def __init__(self) -> None:
        give_back_large_blocks()
        self._turn = BoundedSemaphore(2)
        self._hasher = PasswordHasher(time_cost=2, memory_cost=_HASH_MEMORY_KIB, parallelism=1)
        self._nobodys_hash = self._hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        with self._turn:
            return self._hasher.hash(password)

    def is_right(self, user: User | None, password: str) -> bool:
        """Takes as long for a user who does not exist."""
        if len(password) > MAX_PASSWORD:
            return False
        try:
            with self._turn:
                self._hasher.verify(user.password_hash if user else self._nobodys_hash, password)
        except (VerificationError, InvalidHashError):
            return False
        return user is not None


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token of a session says. `password_mark` changes with the password."""

    username: str
    session_id: str
    generation: int
    password_mark: str


class Tokens:
    """A token dies with its time, its session, its user, and the password that it was given for."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    def make(self, user: User, session: Session, kind: TokenType) -> str:
        now_s = int(self._clock.now_s())
        end_s = int(ends_at_s(session))
        claims = {
            "sub": user.username,
            "roles": list(user.roles),
            "type": kind,
            "pwd": _mark(user),
            "sid": session.session_id,
            "gen": session.generation,
            "iat": now_s,
            "exp": min(now_s + ACCESS_S, end_s) if kind is TokenType.ACCESS else end_s,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def read(self, token: str, kind: TokenType) -> Claims:
        """Raises Unauthenticated."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                options={"require": ["sub", "exp", "type", "sid"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            raise Unauthenticated("The token is not one of ours; log in again.") from None
        if claims["type"] != kind:
            raise Unauthenticated(f"This needs the {kind} token, and got another one.")
        if not isinstance(claims["exp"], int) or claims["exp"] <= self._clock.now_s():
            raise Unauthenticated("The token has expired; log in again.")
        generation = claims.get("gen")
        if not isinstance(generation, int):
            raise Unauthenticated("The token is not one of ours; log in again.")
        return Claims(str(claims["sub"]), str(claims["sid"]), generation, str(claims.get("pwd", "")))


@dataclass(frozen=True, slots=True)
class Pair:
    access: str = field(repr=False)
    refresh: str = field(repr=False)


class Auth:
    """Who somebody is. Changes nothing in the store. May be called from any thread.

    `note_use` hears the id of a personal token that was used and has no recent note of it.
    """

    def __init__(
        self,
        intents: IntentStore,
        people: PeopleStore,
        passwords: Passwords,
        tokens: Tokens,
        limiter: LoginLimiter,
        clock: Clock,
        note_use: Callable[[str], object],
    ) -> None:
        self._intents = intents
        self._people = people
        self._tokens = tokens
        self._limiter = limiter
        self._clock = clock
        self._note_use = note_use
        self.passwords = passwords

    def login(self, username: str, password: str, address: str, organization: str = "") -> User:
        """`organization` is a name or an id. Raises Unauthenticated, or RateLimited after too many of those."""
        self._limiter.check(username, address)
        user = self._intents.user(username)
        is_right = self.passwords.is_right(user, password)
        if user is None or not is_right or not self._is_of(user, organization):
            self._limiter.failed(username, address)
            logger.warning("event=login_refused user=%r address=%s", username[:MAX_LOGGED_NAME], address)
            raise Unauthenticated("The username or the password is wrong.")
        self._limiter.succeeded(username, address)
        return user

    def confirm(self, user: User, password: str, address: str) -> bool:
        """Whether it is the password of somebody who is logged in; guessing is limited as at the login."""
        self._limiter.check(user.username, address)
        is_right = self.passwords.is_right(user, password)
        if not is_right:
            self._limiter.failed(user.username, address)
        return is_right

    def identify(self, token: str) -> Identity:
        """Raises Unauthenticated."""
        if token.startswith(api_tokens.PREFIX):
            return self._personal(token)
        claims = self._tokens.read(token, TokenType.ACCESS)
        user = self._user(claims)
        session = self._people.session(claims.session_id)
        if session is None or session.username != user.username or self._clock.now_s() >= ends_at_s(session):
            raise Unauthenticated("The session has ended; log in again.")
        return Identity(user.username, user.organization, user.roles, session_id=session.session_id)

    def read_refresh(self, token: str) -> tuple[User, Claims]:
        """Of a session that may have ended. Raises Unauthenticated."""
        claims = self._tokens.read(token, TokenType.REFRESH)
        return self._user(claims), claims

    def tokens(self, user: User, session: Session) -> Pair:
        make = self._tokens.make
        return Pair(make(user, session, TokenType.ACCESS), make(user, session, TokenType.REFRESH))

    def _personal(self, text: str) -> Identity:
        now_s = self._clock.now_s()
        parsed = api_tokens.parsed(text)
        token = None if parsed is None else self._people.api_token(parsed[0])
        user = None if token is None else self._intents.user(token.username)
        identity = None if parsed is None else api_tokens.identity(token, parsed[1], user, now_s)
        if identity is None or token is None:
            raise Unauthenticated("The personal token is wrong, revoked or expired; log in and make another one.")
        if api_tokens.is_use_worth_a_note(token, now_s):
            self._note_use(token.token_id)
        return identity

    def _user(self, claims: Claims) -> User:
        user = self._intents.user(claims.username)
        if user is None or claims.password_mark != _mark(user):
            raise Unauthenticated("The token's user or password has changed; log in again.")
        return user

    def _is_of(self, user: User, organization: str) -> bool:
        if organization in ("", user.organization):
            return True
        known = self._people.organization(user.organization)
        return known is not None and known.name == organization


def open_auth(
    intents: IntentStore, people: PeopleStore, data_dir: Path, clock: Clock, note_use: Callable[[str], object]
) -> Auth:
    """With the key in `data_dir`, made at the first start; a new key there ends all sessions."""
    tokens = Tokens(load_key(data_dir / KEY_FILE), clock)
    return Auth(intents, people, Passwords(), tokens, LoginLimiter(clock), clock, note_use)


def load_key(path: Path) -> bytes:
    """Raises Broken when what is there is no key."""
    key = read_or_make_secret(path, lambda: secrets.token_hex(_KEY_BYTES)).encode()
    if len(key) < _KEY_BYTES:
        raise Broken(f"{path} holds no key; delete it to get a new one, and everybody logs in again.")
    return key


def ensure_organization(store: PeopleStore, now_s: float) -> None:
    """Makes the default organisation at the first start; one that was renamed since keeps its name."""
    default = default_organization(now_s)
    if store.organization(default.organization_id) is None:
        store.put_organization(default)


def ensure_admin(store: IntentStore, passwords: Passwords, data_dir: Path, wanted_password: str, now_s: float) -> None:
    """Makes the first Admin, unless somebody is Admin, who then keeps the password, whatever `wanted_password` says.

    Otherwise a restart with an old environment would undo a changed password, or bring back an Admin who was deleted.
    Without a wanted password one is made and left in `data_dir`; one that is there already is used, so a start that
    was interrupted can be repeated.
    """
    admins = [user.username for user in store.users() if is_admin(user)]
    if admins:
        if wanted_password:
            logger.info("user=%s exists and keeps the password; the one in the environment is unused", admins[0])
        return
    if not wanted_password:
        path = data_dir / PASSWORD_FILE
        wanted_password = read_or_make_secret(path, lambda: secrets.token_urlsafe(18))
        logger.info("user=%s made; the password is in file=%s", ADMIN_USERNAME, path)
    else:
        logger.info("user=%s made with the password from the environment", ADMIN_USERNAME)
    store.put_user(User(ADMIN_USERNAME, passwords.hash(wanted_password), (Role.ADMIN,), created_at_s=now_s))


def _mark(user: User) -> str:
    return hashlib.sha256(user.password_hash.encode()).hexdigest()[:16]
