"""The audit log: what comes into it, what never does, how it is read, and how it stays small."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edge_common.model.errors import Conflict, Forbidden, NotFound, Unreachable
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.interface import Documents, Write
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.plumbing.documents.open import open_documents
from root_orchestrator.adapters.audit_log import AUDIT, REFUSALS, REFUSALS_PER_S, WAITING, AuditLog
from root_orchestrator.core.audit import BLOCK, BLOCKS_AT_ONCE, MAX_OBJECT, Entry, Outcome, Request, chunks, entry
from root_orchestrator.core.permissions import Hidden, Identity, Permission, Resource, Verb
from root_orchestrator.core.records import User
from tests.support import eventually
from tests.unit.root.world import ALICE, PASSWORDS, Json, World, microservice, sla

NOW_S = FakeClock().now_s()
ACTOR = Identity("alice", "acme", (), token_name="robot")
READ_SECRET = Permission(Verb.READ, Resource.SECRET)
WRITE_SECRET = Permission(Verb.CHANGE, Resource.SECRET)
DONE = Request("s1", "192.0.2.1", "r1")


def written(username: str = "alice", organization: str = "acme", at_s: float = NOW_S) -> Entry:
    made = entry(Identity(username, organization, ()), WRITE_SECRET, DONE, at_s)
    assert made is not None
    return made


@pytest.fixture(params=["memory:", "sqlite"])
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Documents]:
    opened = open_documents(f"sqlite://{tmp_path}/store.db" if request.param == "sqlite" else request.param)
    yield opened
    opened.close()


def log_with(documents: Documents, count: int, *, clock: FakeClock | None = None, max_entries: int = 10**6) -> AuditLog:
    clock = clock or FakeClock()
    log = AuditLog(documents, clock, max_entries=max_entries, max_days=10)
    for number in range(count):
        log.note(written(organization="acme" if number % 3 else "other", at_s=clock.now_s()))
        if number % 200 == 199:
            log.write_waiting()
    log.write_waiting()
    return log


@pytest.mark.parametrize(
    ("needed", "request_", "outcome"),
    [
        (READ_SECRET, DONE, None),
        (READ_SECRET, replace(DONE, error=NotFound("x"), failure="Not Found"), None),
        (READ_SECRET, replace(DONE, error=Forbidden("no"), failure="Forbidden"), Outcome.REFUSED),
        (READ_SECRET, replace(DONE, error=Hidden("no"), failure="Not Found"), Outcome.HIDDEN),
        (WRITE_SECRET, DONE, Outcome.DONE),
        (WRITE_SECRET, replace(DONE, error=Conflict("x"), failure="Conflict"), Outcome.FAILED),
        (WRITE_SECRET, replace(DONE, failure="Internal Server Error"), Outcome.FAILED),
    ],
)
def test_what_is_worth_an_entry(needed: Permission, request_: Request, outcome: Outcome | None) -> None:
    made = entry(ACTOR, needed, request_, 5.0)
    assert (made and made.outcome) == outcome
    if made is not None:
        assert (made.username, made.organization, made.token_name, made.at_s) == ("alice", "acme", "robot", 5.0)


def test_a_long_path_is_cut() -> None:
    made = entry(ACTOR, WRITE_SECRET, replace(DONE, object_id="x" * 9999), 0.0)
    assert made is not None and len(made.object_id) == MAX_OBJECT


@pytest.mark.parametrize(("first", "last"), [(1, 0), (1, 1), (1, BLOCK), (1, BLOCK + 1), (300, 9999)])
def test_chunks_cover_each_block_once(first: int, last: int) -> None:
    up = [block for few in chunks(first, last, is_descending=False) for block in few]
    down = [block for few in chunks(first, last, is_descending=True) for block in few]
    assert up == sorted(down) == list(reversed(down)) == sorted({(n - 1) // BLOCK for n in range(first, last + 1)})
    assert all(len(few) <= BLOCKS_AT_ONCE for few in chunks(first, last, is_descending=True))


def test_pages_follow_each_other_without_a_gap(documents: Documents) -> None:
    count = 2 * BLOCK * BLOCKS_AT_ONCE + 7
    log = log_with(documents, count)
    for organization, wanted in ((None, range(1, count + 1)), ("other", range(1, count + 1, 3))):
        before, down = None, []
        while page := log.newest(700, organization, before):
            before = page[-1].sequence
            down += [each.sequence for each in page]
        assert down == list(reversed(wanted))
        after, up = 0, []
        while page := log.following(after, 700, organization):
            after = page[-1].sequence
            up += [each.sequence for each in page]
        assert up == list(wanted)
    assert log.newest(10, "nobody") == log.following(count, 10) == []


def test_a_restarted_log_goes_on_where_it_ended(documents: Documents) -> None:
    log_with(documents, 5)
    log = log_with(documents, 2)
    assert [each.sequence for each in log.newest(3)] == [7, 6, 5]


def test_old_blocks_go_when_there_are_too_many(documents: Documents) -> None:
    log = log_with(documents, 10 * BLOCK, max_entries=3 * BLOCK)
    kept = len(documents.find(AUDIT))
    assert 3 * BLOCK <= kept <= 4 * BLOCK
    assert len(log.newest(10**6)) == kept
    assert log.following(0, 1)[0].sequence == 10 * BLOCK - kept + 1
    assert log_with(documents, 0).newest(1)[0].sequence == 10 * BLOCK


def test_old_blocks_go_when_their_time_has_come(documents: Documents) -> None:
    clock = FakeClock()
    log = log_with(documents, 2 * BLOCK, clock=clock)
    clock.advance(10 * 86_400 + 1)
    log.note(written(at_s=clock.now_s()))
    log.write_waiting()
    log.write_waiting()
    assert [each.sequence for each in log.newest(9)] == [2 * BLOCK + 1]


def test_nothing_is_looked_through_for_each_entry() -> None:
    documents = Counting()
    log = AuditLog(documents, FakeClock(), max_entries=1000, max_days=10)
    log.note(written())
    log.write_waiting()
    asked = documents.asked
    for _ in range(100):
        log.note(written())
        log.write_waiting()
    assert documents.asked == asked


class Counting(MemoryDocuments):
    asked = 0

    def find(self, *arguments: object, **options: object) -> list[Json]:
        self.asked += 1
        return super().find(*arguments, **options)  # type: ignore[arg-type]


class Failing(MemoryDocuments):
    is_away = False

    def bulk(self, writes: Sequence[Write]) -> list[bool]:
        if self.is_away:
            raise Unreachable("The database does not answer.")
        return super().bulk(writes)


def test_refusals_do_not_push_out_what_was_done(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    log = AuditLog(MemoryDocuments(), clock, max_entries=10**6, max_days=10)
    refused = replace(written("mallory"), outcome=Outcome.REFUSED)
    for _ in range(3 * REFUSALS):
        log.note(refused)
    assert caplog.text.count("event=audit_left_out user=mallory") == 1
    log.note(written("mallory"))
    log.note(replace(refused, username="alice"))
    clock.advance(2 / REFUSALS_PER_S)
    for _ in range(REFUSALS):
        log.note(refused)
    log.write_waiting()
    assert log.last == REFUSALS + 2 + 2


def test_what_could_not_be_written_is_written_later() -> None:
    documents = Failing()
    log = AuditLog(documents, FakeClock(), max_entries=1000, max_days=10)
    documents.is_away = True
    log.note(written("one"))
    with pytest.raises(Unreachable):
        log.write_waiting()
    log.note(written("two"))
    documents.is_away = False
    log.write_waiting()
    assert [each.username for each in log.newest(9)] == ["two", "one"]


def test_a_full_queue_drops_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    log = AuditLog(MemoryDocuments(), FakeClock(), max_entries=1000, max_days=10)
    for _ in range(WAITING + 2):
        log.note(written())
    assert caplog.text.count("event=audit_dropped") == 2 and "in_all=2" in caplog.text


def test_the_thread_writes_and_stopping_writes_what_is_left() -> None:
    documents = MemoryDocuments()
    log = AuditLog(documents, FakeClock(), max_entries=1000, max_days=10)
    log.start()
    log.note(written())
    eventually(lambda: log.last == 1, message="the entry")
    for _ in range(500):
        log.note(written())
    log.stop()
    assert len(documents.find(AUDIT)) == 501


def entries(world: World, query: str = "") -> list[Json]:
    world.audit.write_waiting()
    found: list[Json] = world.client().get(f"/api/audit{query}")["entries"]
    return found


def test_who_did_what_is_told_without_any_secret() -> None:
    world = World()
    nobody = world.client(None)
    nobody.post("/api/auth/login", {"username": "alice", "password": "wrong-secret"}, status=401)
    token = nobody.post("/api/auth/login", {"username": "alice", "password": "alices-secret"})["token"]
    bearer = {"Authorization": f"Bearer {token}", "X-Request-Id": "req-1"}
    nobody.post("/api/application", sla(), headers=bearer)
    nobody.get("/api/applications", headers=bearer)
    made = nobody.post("/api/tokens", {"name": "robot"}, headers=bearer)
    nobody.put("/api/secrets/none", {"value": "very-secret"}, headers=bearer, status=404)
    nobody.post("/api/secrets", {"name": "pin", "value": "very-secret"}, headers=bearer)
    nobody.get("/api/user/Admin", headers=bearer, status=404)
    nobody.get("/api/audit", headers=bearer, status=403)
    found = list(reversed(entries(world)))
    told = [(each["verb"], each["resource"], each["object"], each["outcome"]) for each in found]
    assert told == [
        ("create", "session", "", "done"),
        ("create", "application", "shop", "done"),
        ("create", "api_token", made["token_id"], "done"),
        ("change", "secret", "none", "failed"),
        ("create", "secret", "pin", "done"),
        ("read", "user", "Admin", "hidden"),
        ("read", "audit", "", "refused"),
    ]
    assert {each["username"] for each in found} == {"alice"} and found[1]["request_id"] == "req-1"
    assert all(each["organization"] == "root" and each["address"] == "127.0.0.1" for each in found)
    text = str(world.documents.find(AUDIT))
    for secret in ("alices-secret", "wrong-secret", "very-secret", token, made["token"]):
        assert secret not in text


def test_services_that_are_added_are_named() -> None:
    world = World()
    (shop,) = world.client(ALICE).post("/api/application", sla())
    added = sla(microservice(microservice_name="queue"), applicationID=shop["applicationID"])
    made = world.client(ALICE).post("/api/service", added)
    assert (entries(world)[0]["resource"], entries(world)[0]["object"]) == ("service", made["job_id"])


def test_an_organisations_admin_reads_of_that_organisation_alone() -> None:
    world = World()
    acme = world.client().post("/api/organization", {"name": "acme"})["_id"]["$oid"]
    carol = User("carol", PASSWORDS.hash("carols-secret"), ("Organization_Admin",), organization=acme)
    world.store.put_user(carol)
    world.client(ALICE).post("/api/application", sla())
    world.client(carol).post("/api/application", sla())
    world.audit.write_waiting()
    (own,) = world.client(carol).get("/api/audit")["entries"]
    assert (own["username"], own["organization"]) == ("carol", "acme")
    assert {each["username"] for each in entries(world)} == {"Admin", "alice", "carol"}


def test_paging_and_following_over_the_api() -> None:
    world = World()
    for _ in range(5):
        world.client(ALICE).post("/api/application", sla(), status=None)
    world.audit.write_waiting()
    client = world.client()
    first = client.get("/api/audit?limit=3")
    rest = client.get(f"/api/audit?limit=3&before={first['next']}")
    assert [each["sequence"] for each in (*first["entries"], *rest["entries"])] == [5, 4, 3, 2, 1]
    assert rest["next"] is None and first["last"] == 5
    assert client.get("/api/audit?after=5") == {"entries": [], "next": None, "last": 5}
    some = client.get("/api/audit?after=1&limit=2")
    assert [each["sequence"] for each in some["entries"]] == [2, 3] and some["last"] == 3
    client.get("/api/audit?after=1&before=2", status=400)
    client.get("/api/audit?limit=0", status=400)


def test_a_token_is_named_by_its_name() -> None:
    world = World()
    text = world.client().post("/api/tokens", {"name": "robot"})["token"]
    headers = {"Authorization": f"Bearer {text}"}
    world.client(None).post("/api/organization", {"name": "acme"}, headers=headers)
    assert entries(world)[0]["token"] == "robot"
