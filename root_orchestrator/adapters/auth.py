"""Passwords, tokens, and how often somebody may guess."""

import hashlib
import logging
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from threading import BoundedSemaphore, Lock

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from edge_common.model.errors import Broken, RateLimited, Unauthenticated
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.heap import give_back_large_blocks
from edge_common.plumbing.secret_file import read_or_make_secret
from root_orchestrator.core.permissions import Identity, Role
from root_orchestrator.core.records import User
from root_orchestrator.core.users import ADMIN_USERNAME, MAX_PASSWORD
from root_orchestrator.ports import IntentStore

logger = logging.getLogger(__name__)

ACCESS_S = 600
REFRESH_S = 7 * 86_400
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


class Tokens:
    """A token dies with its time, with its user, and with the password that it was given for."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    def make(self, user: User, kind: TokenType) -> str:
        now_s = int(self._clock.now_s())
        claims = {
            "sub": user.username,
            "roles": list(user.roles),
            "type": kind,
            "pwd": _fingerprint(user),
            "iat": now_s,
            "exp": now_s + (ACCESS_S if kind is TokenType.ACCESS else REFRESH_S),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def read(self, token: str, kind: TokenType, find_user: Callable[[str], User | None]) -> User:
        """Raises Unauthenticated."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                options={"require": ["sub", "exp", "type"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            raise Unauthenticated("The token is not one of ours; log in again.") from None
        if claims["type"] != kind:
            raise Unauthenticated(f"This needs the {kind} token, and got another one.")
        if not isinstance(claims["exp"], int) or claims["exp"] <= self._clock.now_s():
            raise Unauthenticated("The token has expired; log in again.")
        user = find_user(claims["sub"])
        if user is None or claims.get("pwd") != _fingerprint(user):
            raise Unauthenticated("The token's user or password has changed; log in again.")
        return user


class LoginLimiter:
    """So many failures within a window for each name and address together; then it waits."""

    def __init__(self, clock: Clock, *, failures: int = 10, window_s: float = 60.0, capacity: int = 10_000) -> None:
        self._clock = clock
        self._failures = failures
        self._window_s = window_s
        self._capacity = capacity
        self._failed_at_s: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()
        self._lock = Lock()

    def check(self, username: str, address: str) -> None:
        """Raises RateLimited."""
        with self._lock:
            failed = self._failed_at_s.get((username, address))
            if failed is None:
                return
            while failed and failed[0] <= self._clock.monotonic_s() - self._window_s:
                failed.popleft()
            if len(failed) >= self._failures:
                raise RateLimited(f"Too many failed logins; wait {self._window_s:.0f} s and try again.")

    def failed(self, username: str, address: str) -> None:
        with self._lock:
            failed = self._failed_at_s.setdefault((username, address), deque(maxlen=self._failures))
            failed.append(self._clock.monotonic_s())
            self._failed_at_s.move_to_end((username, address))
            while len(self._failed_at_s) > self._capacity:
                self._failed_at_s.popitem(last=False)

    def succeeded(self, username: str, address: str) -> None:
        with self._lock:
            self._failed_at_s.pop((username, address), None)


class Auth:
    """Who somebody is. Changes nothing in the store. May be called from any thread."""

    def __init__(self, store: IntentStore, passwords: Passwords, tokens: Tokens, limiter: LoginLimiter) -> None:
        self._store = store
        self._tokens = tokens
        self._limiter = limiter
        self.passwords = passwords

    def login(self, username: str, password: str, address: str, organization: str = "") -> User:
        """Raises Unauthenticated, or RateLimited after too many of those."""
        self._limiter.check(username, address)
        user = self._store.user(username)
        is_right = self.passwords.is_right(user, password)
        if user is None or not is_right or organization not in ("", user.organization):
            self._limiter.failed(username, address)
            raise Unauthenticated("The username or the password is wrong.")
        self._limiter.succeeded(username, address)
        return user

    def identify(self, token: str) -> Identity:
        """Raises Unauthenticated."""
        user = self._tokens.read(token, TokenType.ACCESS, self._store.user)
        return Identity(user.username, user.organization, user.roles)

    def refresh(self, token: str) -> User:
        """Raises Unauthenticated."""
        return self._tokens.read(token, TokenType.REFRESH, self._store.user)

    def token(self, user: User, kind: TokenType = TokenType.ACCESS) -> str:
        return self._tokens.make(user, kind)


def open_auth(store: IntentStore, data_dir: Path, clock: Clock) -> Auth:
    """With the key in `data_dir`, made at the first start."""
    return Auth(store, Passwords(), Tokens(load_key(data_dir / KEY_FILE), clock), LoginLimiter(clock))


def load_key(path: Path) -> bytes:
    """Raises Broken when what is there is no key."""
    key = read_or_make_secret(path, lambda: secrets.token_hex(_KEY_BYTES)).encode()
    if len(key) < _KEY_BYTES:
        raise Broken(f"{path} holds no key; delete it to get a new one, and everybody logs in again.")
    return key


def ensure_admin(store: IntentStore, passwords: Passwords, data_dir: Path, wanted_password: str, now_s: float) -> None:
    """Makes the first Admin. An Admin who exists keeps the password, whatever `wanted_password` says.

    Otherwise a restart with an old environment would undo a changed password. Without a wanted password one is made
    and left in `data_dir`; one that is there already is used, so a start that was interrupted can be repeated.
    """
    if store.user(ADMIN_USERNAME) is not None:
        if wanted_password:
            logger.info("user=%s exists and keeps the password; the one in the environment is unused", ADMIN_USERNAME)
        return
    if not wanted_password:
        path = data_dir / PASSWORD_FILE
        wanted_password = read_or_make_secret(path, lambda: secrets.token_urlsafe(18))
        logger.info("user=%s made; the password is in file=%s", ADMIN_USERNAME, path)
    else:
        logger.info("user=%s made with the password from the environment", ADMIN_USERNAME)
    store.put_user(User(ADMIN_USERNAME, passwords.hash(wanted_password), (Role.ADMIN,), created_at_s=now_s))


def _fingerprint(user: User) -> str:
    return hashlib.sha256(user.password_hash.encode()).hexdigest()[:16]
