"""Sessions: what a refresh token is worth, and when everything of a user ends."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from root_orchestrator.core.records import User
from root_orchestrator.core.sessions import (
    IDLE_S,
    LEEWAY_S,
    LONGEST_S,
    MAX_SESSIONS,
    Refresh,
    Session,
    ends_at_s,
    refreshed,
    superfluous,
)
from tests.unit.root.world import ADMIN, ALICE, Json, World

FRESH = Session("s", "alice", 0.0, 0.0)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refresh(world: World, token: str, status: int = 200) -> Json:
    answer: Json = world.client(None).post("/api/auth/refresh", headers=bearer(token), status=status)
    return answer


def log_in(world: World, user: User = ALICE, password: str = "alices-secret") -> Json:
    answer: Json = world.client(None).post("/api/auth/login", {"username": user.username, "password": password})
    return answer


@pytest.mark.parametrize(
    ("generation", "now_s", "outcome"),
    [
        (2, 1.0, Refresh.ROTATED),
        (2, IDLE_S - 1, Refresh.ROTATED),
        (2, IDLE_S, Refresh.OVER),
        (1, LEEWAY_S - 1, Refresh.REPEATED),
        (1, LEEWAY_S, Refresh.REUSED),
        (0, 1.0, Refresh.REUSED),
        (3, 1.0, Refresh.REUSED),
    ],
)
def test_what_a_refresh_token_is_worth(generation: int, now_s: float, outcome: Refresh) -> None:
    session = replace(FRESH, generation=2)
    after, found = refreshed(session, generation, now_s)
    assert found is outcome
    assert after == (replace(session, generation=3, refreshed_at_s=now_s) if outcome is Refresh.ROTATED else session)


def test_a_busy_session_ends_all_the_same() -> None:
    session, now_s = FRESH, 0.0
    while now_s + IDLE_S / 2 < LONGEST_S:
        now_s += IDLE_S / 2
        session, outcome = refreshed(session, session.generation, now_s)
        assert outcome is Refresh.ROTATED
    assert ends_at_s(session) == LONGEST_S
    assert refreshed(session, session.generation, LONGEST_S)[1] is Refresh.OVER


@given(st.lists(st.floats(0, 2 * IDLE_S), max_size=MAX_SESSIONS + 30))
def test_there_is_room_for_one_more_and_no_more_than_needed_goes(refreshed_at_s: list[float]) -> None:
    now_s = 2 * IDLE_S
    known = [Session(str(n), "alice", at_s, at_s) for n, at_s in enumerate(refreshed_at_s)]
    gone = set(superfluous(known, now_s))
    kept = [each for each in known if each.session_id not in gone]
    living = [each for each in known if now_s < ends_at_s(each)]
    assert len(kept) == min(len(living), MAX_SESSIONS - 1)
    oldest_kept = min((each.refreshed_at_s for each in kept), default=now_s)
    assert all(each.refreshed_at_s <= oldest_kept for each in known if each.session_id in gone)


def test_what_somebody_keeps_up_outlives_many_logins() -> None:
    kept = Session("kept", "alice", 0.0, 1.0, generation=2)
    known = [kept, *(Session(str(n), "alice", 2.0 + n, 2.0 + n) for n in range(MAX_SESSIONS))]
    assert superfluous(known, 500.0) == ["0", "1"]


def test_each_refresh_gives_a_new_pair_and_takes_the_old_one_out_of_use() -> None:
    world = World()
    first = log_in(world)
    second = refresh(world, first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    world.clock.advance(LEEWAY_S)
    third = refresh(world, second["refresh_token"])
    world.client(None).get("/api/applications", headers=bearer(third["token"]))


def test_a_stolen_refresh_token_ends_the_session_for_thief_and_owner(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    stolen = log_in(world)["refresh_token"]
    kept = refresh(world, stolen)
    world.clock.advance(LEEWAY_S)
    refresh(world, stolen, status=401)
    refresh(world, kept["refresh_token"], status=401)
    world.client(None).get("/api/applications", headers=bearer(kept["token"]), status=401)
    assert "event=refresh_token_reused user=alice" in caplog.text and stolen not in caplog.text


def test_an_answer_that_got_lost_may_be_asked_for_again() -> None:
    world = World()
    first = log_in(world)["refresh_token"]
    refresh(world, first)
    again = refresh(world, first)
    world.clock.advance(LEEWAY_S)
    refresh(world, again["refresh_token"])


def test_logout_ends_this_session_at_once_and_no_other() -> None:
    world = World()
    one, other = log_in(world), log_in(world)
    nobody = world.client(None)
    nobody.post("/api/auth/logout", headers=bearer(one["token"]))
    nobody.get("/api/applications", headers=bearer(one["token"]), status=401)
    refresh(world, one["refresh_token"], status=401)
    nobody.get("/api/applications", headers=bearer(other["token"]))


def test_an_admin_ends_all_sessions_of_a_user() -> None:
    world = World()
    pairs = [log_in(world), log_in(world)]
    assert world.client().delete("/api/user/alice/sessions")["ended"] == 2
    for pair in pairs:
        world.client(None).get("/api/applications", headers=bearer(pair["token"]), status=401)
        refresh(world, pair["refresh_token"], status=401)


def test_a_user_ends_own_sessions_with_the_last_request_of_this_one() -> None:
    world = World()
    alice = world.client(ALICE)
    alice.delete("/api/user/Admin/sessions", status=404)
    alice.delete("/api/user/alice/sessions")
    alice.get("/api/applications", status=401)


def test_a_new_password_ends_sessions_in_the_store_too() -> None:
    world = World()
    log_in(world)
    world.client().put("/api/user/alice", {"password": "another-secret"})
    assert world.people_store.sessions("alice") == []


def test_the_store_keeps_so_many_sessions_of_a_user() -> None:
    world = World()
    for _ in range(MAX_SESSIONS + 3):
        world.people.open_session("alice")
        world.clock.advance(1)
    kept = world.people_store.sessions("alice")
    assert len(kept) == MAX_SESSIONS
    assert min(each.created_at_s for each in kept) == world.clock.now_s() - MAX_SESSIONS


def test_a_session_is_its_users_alone() -> None:
    world = World()
    session = world.people.open_session("alice")
    forged = world.auth.tokens(ADMIN, session)
    world.client(None).get("/api/applications", headers=bearer(forged.access), status=401)
    refresh(world, forged.refresh, status=401)
