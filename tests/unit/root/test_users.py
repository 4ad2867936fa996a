"""The first Admin, secrets on disk, tokens and the limiter."""

import logging
from pathlib import Path

import jwt
import pytest

from edge_common.model.errors import Broken, RateLimited, Unauthenticated
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.memory import MemoryDocuments
from root_orchestrator.adapters.auth import (
    KEY_FILE,
    PASSWORD_FILE,
    Auth,
    Passwords,
    Tokens,
    TokenType,
    ensure_admin,
    load_key,
    open_auth,
)
from root_orchestrator.adapters.intent_store import DocumentIntentStore
from root_orchestrator.adapters.login_limiter import LoginLimiter
from root_orchestrator.adapters.people_store import DocumentPeopleStore
from root_orchestrator.core.records import User
from root_orchestrator.core.sessions import Session
from tests.unit.root.world import ADMIN, KEY, PASSWORDS


def store() -> DocumentIntentStore:
    return DocumentIntentStore(MemoryDocuments())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_first_start_makes_an_admin_and_says_only_where_the_password_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    users = store()
    with caplog.at_level(logging.DEBUG):
        ensure_admin(users, PASSWORDS, tmp_path, "", 1.0)
    password = (tmp_path / PASSWORD_FILE).read_text().strip()
    assert len(password) >= 16 and password not in caplog.text
    assert str(tmp_path / PASSWORD_FILE) in caplog.text
    assert mode(tmp_path / PASSWORD_FILE) == 0o600
    admin = users.user("Admin")
    assert admin is not None and admin.roles == ("Admin",) and password not in admin.password_hash
    assert PASSWORDS.is_right(admin, password)


def test_a_start_that_was_interrupted_uses_the_password_it_had_left(tmp_path: Path) -> None:
    ensure_admin(store(), PASSWORDS, tmp_path, "", 1.0)
    users = store()
    ensure_admin(users, PASSWORDS, tmp_path, "", 2.0)
    assert PASSWORDS.is_right(users.user("Admin"), (tmp_path / PASSWORD_FILE).read_text().strip())


def test_a_password_from_outside_is_taken_once_and_changes_nothing_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    users = store()
    with caplog.at_level(logging.DEBUG):
        ensure_admin(users, PASSWORDS, tmp_path, "Admin", 1.0)
        ensure_admin(users, PASSWORDS, tmp_path, "another", 2.0)
    assert PASSWORDS.is_right(users.user("Admin"), "Admin")
    assert not (tmp_path / PASSWORD_FILE).exists()
    assert "keeps the password" in caplog.text and "another" not in caplog.text


def test_an_admin_who_was_deleted_does_not_come_back(tmp_path: Path) -> None:
    users = store()
    ensure_admin(users, PASSWORDS, tmp_path, "Admin", 1.0)
    users.put_user(User("eve", "x", ("Admin",)))
    users.delete_user("Admin")
    ensure_admin(users, PASSWORDS, tmp_path, "Admin", 2.0)
    assert [user.username for user in users.users()] == ["eve"]


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    key = load_key(tmp_path / KEY_FILE)
    assert load_key(tmp_path / KEY_FILE) == key and len(key) >= 32
    assert mode(tmp_path / KEY_FILE) == 0o600
    (tmp_path / KEY_FILE).write_text("short")
    with pytest.raises(Broken, match="holds no key"):
        load_key(tmp_path / KEY_FILE)


def test_a_restarted_root_takes_the_tokens_it_gave_before(tmp_path: Path) -> None:
    users, clock = store(), FakeClock()
    users.put_user(ADMIN)
    people = DocumentPeopleStore(MemoryDocuments())
    session = Session("s1", "Admin", clock.now_s(), clock.now_s())
    people.put_session(session)

    def opened() -> Auth:
        return open_auth(users, people, tmp_path, clock, lambda _: None)

    token = opened().tokens(ADMIN, session).access
    assert opened().identify(token).username == "Admin"


def test_a_hash_that_is_none_is_never_right() -> None:
    assert not Passwords().is_right(User("x", "nonsense", ()), "nonsense")
    assert not PASSWORDS.is_right(None, "Admin")
    assert not PASSWORDS.is_right(ADMIN, "x" * 5000)


@pytest.mark.parametrize(
    ("claims", "key", "algorithm"),
    [
        ({"sub": "Admin", "exp": 2**33, "type": "access", "sid": "s1"}, KEY, "HS512"),
        ({"sub": "Admin", "exp": 2**33, "type": "access", "sid": "s1"}, b"x" * 64, "HS256"),
        ({"sub": "Admin", "exp": 2**33, "sid": "s1"}, KEY, "HS256"),
        ({"sub": "Admin", "type": "access", "sid": "s1"}, KEY, "HS256"),
        ({"sub": "Admin", "exp": 2**33, "type": "access"}, KEY, "HS256"),
        ({"sub": "Admin", "exp": 1, "type": "access", "sid": "s1"}, KEY, "HS256"),
        ({"sub": "Admin", "exp": "soon", "type": "access", "sid": "s1"}, KEY, "HS256"),
        ({"sub": "Admin", "exp": 2**33, "type": "refresh", "sid": "s1"}, KEY, "HS256"),
        ({"sub": "Admin", "exp": 2**33, "type": "access", "sid": "s1", "gen": "x"}, KEY, "HS256"),
    ],
)
def test_a_token_is_taken_only_whole(claims: dict[str, object], key: bytes, algorithm: str) -> None:
    token = jwt.encode(claims, key, algorithm=algorithm)
    with pytest.raises(Unauthenticated):
        Tokens(KEY, FakeClock()).read(token, TokenType.ACCESS)


def test_the_limiter_counts_a_name_and_an_address_together_within_a_window() -> None:
    clock = FakeClock()
    limiter = LoginLimiter(clock, failures=2, window_s=10)
    limiter.failed("a", "1")
    clock.advance(6)
    limiter.failed("a", "1")
    with pytest.raises(RateLimited):
        limiter.check("a", "1")
    limiter.check("a", "2")
    limiter.check("b", "1")
    clock.advance(5)
    limiter.check("a", "1")
    limiter.failed("a", "1")
    with pytest.raises(RateLimited):
        limiter.check("a", "1")
    limiter.succeeded("a", "1")
    limiter.check("a", "1")


def test_an_address_that_tries_many_names_has_to_wait() -> None:
    clock = FakeClock()
    limiter = LoginLimiter(clock, failures=10, address_failures=3, window_s=10)
    for name in ("a", "b", "c"):
        limiter.failed(name, "1")
    limiter.succeeded("a", "1")
    with pytest.raises(RateLimited):
        limiter.check("d", "1")
    limiter.check("d", "2")
    clock.advance(10)
    limiter.check("d", "1")


def test_a_customers_ipv6_addresses_count_as_one() -> None:
    limiter = LoginLimiter(FakeClock(), failures=2)
    limiter.failed("a", "2001:db8:1:2::1")
    limiter.failed("a", "2001:db8:1:2::2")
    with pytest.raises(RateLimited):
        limiter.check("a", "2001:db8:1:2:ffff::3")
    limiter.check("a", "2001:db8:1:3::1")


def test_the_limiter_forgets_the_oldest_when_it_is_full() -> None:
    limiter = LoginLimiter(FakeClock(), failures=1, capacity=2)
    for name in ("a", "b", "c"):
        limiter.failed(name, "1")
    limiter.check("a", "1")
    for name in ("b", "c"):
        with pytest.raises(RateLimited):
            limiter.check(name, "1")
