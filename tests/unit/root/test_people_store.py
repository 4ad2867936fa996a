"""Organisations, sessions and personal tokens in both stores, and records from before there were organisations."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_common.model.errors import Conflict
from edge_common.plumbing.documents.interface import Documents
from edge_common.plumbing.documents.open import open_documents
from root_orchestrator.adapters.intent_store import DocumentIntentStore
from root_orchestrator.adapters.people_store import DocumentPeopleStore
from root_orchestrator.core.api_tokens import ApiToken
from root_orchestrator.core.organizations import Organization
from root_orchestrator.core.sessions import Session
from tests.unit.root.world import ALICE

TOKEN = ApiToken("t1", "alice", "ci", ("Viewer",), "hash", 1.0, 2.0)
SESSION = Session("s1", "alice", 1.0, 2.0, generation=3)


@pytest.fixture(params=["memory:", "sqlite"])
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Documents]:
    opened = open_documents(f"sqlite://{tmp_path}/store.db" if request.param == "sqlite" else request.param)
    yield opened
    opened.close()


def test_what_comes_back_is_what_was_put_in(documents: Documents) -> None:
    store = DocumentPeopleStore(documents)
    acme, apex = Organization("o1", "acme", 1.0), Organization("o2", "apex", 2.0)
    for organization in (apex, acme):
        store.put_organization(organization)
    assert store.organizations() == [acme, apex] and store.organization("o1") == acme
    store.put_session(SESSION)
    store.put_api_token(TOKEN)
    assert store.session("s1") == SESSION and store.sessions("alice") == [SESSION] and store.sessions("bob") == []
    assert store.api_token("t1") == TOKEN and store.api_tokens("alice") == [TOKEN] and store.api_tokens("bob") == []
    store.put_api_token(replace(TOKEN, last_used_at_s=9.0))
    assert store.api_tokens("alice") == [replace(TOKEN, last_used_at_s=9.0)]
    store.delete_organization("o1")
    store.delete_sessions(["s1", "s2"])
    store.delete_api_tokens(["t1"])
    assert (store.organization("o1"), store.session("s1"), store.api_token("t1")) == (None, None, None)


def test_a_name_belongs_to_one_organisation(documents: Documents) -> None:
    store = DocumentPeopleStore(documents)
    store.put_organization(Organization("o1", "acme"))
    with pytest.raises(Conflict):
        store.put_organization(Organization("o2", "acme"))


def test_what_names_no_organisation_is_in_the_default_one(documents: Documents) -> None:
    store = DocumentIntentStore(documents)
    documents.put("users", {"_id": "old", "username": "old", "password_hash": "x", "roles": []})
    application = {"application_id": "a1", "name": "shop", "namespace": "test", "description": "", "owner": "old"}
    documents.put("applications", {"_id": "a1", "created_at_s": 1.0, **application})
    store.put_user(replace(ALICE, organization="acme"))
    assert [user.username for user in store.users("root")] == ["old"]
    assert [user.username for user in store.users("acme")] == ["alice"]
    assert [each.application_id for each in store.applications(organization="root")] == ["a1"]
    assert store.applications("old", organization="acme") == []
