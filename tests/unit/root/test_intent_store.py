"""What comes back is what was put in, and a lost race leaves nothing behind."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_common.model.errors import Conflict
from edge_common.model.ids import ApplicationId, ServiceId
from edge_common.plumbing.documents.interface import Documents
from edge_common.plumbing.documents.open import open_documents
from edge_common.wire.sla import parse_sla
from root_orchestrator.adapters.intent_store import DocumentIntentStore
from root_orchestrator.core.admission import admit
from root_orchestrator.core.records import Application, ServiceIntent
from tests.unit.root.world import ALICE, microservice, sla

EVERYTHING = microservice(
    port="80:8080/udp",
    environment=["A=1"],
    ulimits={"nofile": [1, 2]},
    devices=["/dev/kvm"],
    restart={"mode": "never"},
    lease=1.5,
    arch=["amd64"],
    constraints=[{"type": "direct", "cluster": "a;b"}],
    addresses={"rr_ip": "10.30.1.1"},
)


@pytest.fixture(params=["memory:", "sqlite"])
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Documents]:
    opened = open_documents(f"sqlite://{tmp_path}/store.db" if request.param == "sqlite" else request.param)
    yield opened
    opened.close()


def application(name: str = "shop", number: int = 1) -> Application:
    return Application(ApplicationId(f"a{number}"), name, "test", "", "alice", created_at_s=float(number))


def service(number: int = 1) -> ServiceIntent:
    draft = admit(parse_sla(sla(EVERYTHING)), "alice")[0].services[0]
    ids = ServiceId(f"s{number}"), ApplicationId("a1")
    return ServiceIntent(*ids, replace(draft.spec, service_id=ids[0], application_id=ids[1]), draft.sla, (0, 2), 3)


def test_what_comes_back_is_what_was_put_in(documents: Documents) -> None:
    store = DocumentIntentStore(documents)
    store.put_user(ALICE)
    store.write(put_applications=[application()], put_services=[service()])
    assert store.user("alice") == ALICE and store.users() == [ALICE]
    assert store.applications("alice") == [replace(application(), version=1)] and store.applications("bob") == []
    assert store.service(ServiceId("s1")) == replace(service(), version=1)
    assert store.services([ApplicationId("a1")]) == store.services() == store.services_by_id([ServiceId("s1")])
    assert store.services([]) == store.services_by_id([]) == []
    store.delete_user("alice")
    assert store.user("alice") is None and store.user("nobody") is None


def test_a_change_of_what_was_read_is_kept_and_of_something_older_refused(documents: Documents) -> None:
    store = DocumentIntentStore(documents)
    store.write(put_applications=[application()], put_services=[service()])
    (read,) = store.services()
    store.write(put_services=[replace(read, slots=(5,))])
    with pytest.raises(Conflict, match="at the same moment"):
        store.write(put_services=[replace(read, slots=(6,))])
    assert store.services()[0].slots == (5,)


def test_a_lost_race_for_a_name_leaves_nothing_behind(documents: Documents) -> None:
    store = DocumentIntentStore(documents)
    store.write(put_applications=[application()])
    with pytest.raises(Conflict):
        store.write(put_applications=[application("shop", 2), application("other", 3)], put_services=[service()])
    assert [a.application_id for a in store.applications()] == ["a1"] and store.services() == []


def test_deleting_and_marking_go_together(documents: Documents) -> None:
    store = DocumentIntentStore(documents)
    store.write(put_applications=[application()], put_services=[service(1), service(2)])
    first, _ = store.services()
    store.write(
        delete_applications=[ApplicationId("a1")],
        put_services=[replace(first, is_removed=True)],
        delete_services=[ServiceId("s2")],
    )
    assert store.applications() == [] and [s.is_removed for s in store.services()] == [True]


def test_a_document_of_another_version_loads(documents: Documents) -> None:
    store = DocumentIntentStore(documents)
    documents.put("users", {"_id": "bob", "username": "bob", "password_hash": "x", "roles": [], "colour": "red"})
    user = store.user("bob")
    assert user is not None and user.organization == "root"
