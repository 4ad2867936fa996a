"""Records come back as they were, from every store that a node may use."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.lifecycle import Reason, State
from edge_common.model.network import PortMapping
from edge_common.model.resources import Resources
from edge_common.plumbing.documents.interface import Documents
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.plumbing.documents.sqlite import SqliteDocuments
from node_engine.adapters.record_store import COLLECTION, DocumentRecordStore
from node_engine.core.record import Record, kept
from tests.unit.node.world import make_spec

SPEC = make_spec(command=("a", "b"), ports=(PortMapping(80, 8080),), resources=Resources(100, 64), environment=("A=b",))
RECORD = Record(
    InstanceId("a"),
    ServiceId("s1"),
    3,
    SPEC,
    2,
    attempt=4,
    task_attempt=3,
    state=State.CREATING,
    reason=Reason.BACKING_OFF,
    detail="exited with code 3; starting again in 4 s (restart 2)",
    exit_code=3,
    restarts=2,
    failed_starts=1,
    started_at_s=1.5,
    changed_at_s=2.5,
    not_before_s=7.0,
    running_since_s=8.0,
    retry_cleanup_s=9.0,
    failed_cleanups=2,
)


@pytest.fixture(params=["memory", "sqlite"])
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Documents]:
    made = MemoryDocuments() if request.param == "memory" else SqliteDocuments(tmp_path / "node.db")
    yield made
    made.close()


def test_what_is_kept_comes_back(documents: Documents) -> None:
    DocumentRecordStore(documents).save([RECORD], ())
    (found,) = DocumentRecordStore(documents).load()
    assert found == kept(RECORD) != RECORD


def test_a_record_is_replaced_and_removed(documents: Documents) -> None:
    store = DocumentRecordStore(documents)
    other = replace(RECORD, instance_id=InstanceId("b"))
    store.save([RECORD, other], ())
    store.save([replace(RECORD, attempt=5)], [other.instance_id])
    assert [(each.instance_id, each.attempt) for each in store.load()] == [("a", 5)]
    store.save([], [])


def test_one_that_cannot_be_read_is_left_out(documents: Documents, caplog: pytest.LogCaptureFixture) -> None:
    store = DocumentRecordStore(documents)
    store.save([RECORD], ())
    documents.put(COLLECTION, {"_id": "bad", "record": {"instance_id": "bad", "attempt": "many"}})
    documents.put(COLLECTION, {"_id": "empty"})
    assert [each.instance_id for each in store.load()] == ["a"]
    assert "record_unreadable" in caplog.text
