"""Whatever is done to SQLite and to memory, in whatever order, both answer the same."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_common.model.errors import Conflict
from edge_common.plumbing.documents.interface import (
    Delete,
    Document,
    Documents,
    Index,
    Insert,
    Put,
    Replace,
    Write,
)
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.plumbing.documents.sqlite import SqliteDocuments

INDEXES = [Index("a", ("name",), is_unique=True), Index("b", ("value",)), Index("b", ("nested.value", "name"))]

collections = st.sampled_from(["a", "b"])
document_ids = st.sampled_from(["1", "2", "3", "x.y", "$"])
names = st.sampled_from(["ann", "bob", "Übel", ""])
scalars = st.one_of(st.none(), st.booleans(), st.integers(-1, 2), st.sampled_from([0.5, 1.0, 0.1 + 0.2, -0.0]), names)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["value", "$x", "a.b"]), inner),
    max_leaves=4,
)
documents = st.builds(
    lambda document_id, name, more: {"_id": document_id, "name": name} | more,
    document_ids,
    names,
    st.fixed_dictionaries({}, optional={"value": scalars, "nested": values}),
)
writes: st.SearchStrategy[Write] = st.one_of(
    st.builds(Put, collections, documents),
    st.builds(Insert, collections, documents),
    st.builds(Replace, collections, documents, st.integers(1, 3)),
    st.builds(Delete, collections, document_ids),
)
wheres = st.dictionaries(
    st.sampled_from(["_id", "name", "value", "nested.value", "version"]),
    scalars | st.lists(scalars, max_size=3),
    max_size=2,
)
finds = st.fixed_dictionaries(
    {
        "collection": collections,
        "where": wheres,
        "order_by": st.sampled_from(["_id", "name", "version"]),
        "is_descending": st.booleans(),
        "limit": st.none() | st.integers(0, 3),
    }
)
steps = st.lists(writes | st.lists(writes, max_size=6) | finds, max_size=25)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_sqlite_answers_as_memory_does(todo: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stores: list[Documents] = [MemoryDocuments(), SqliteDocuments(Path(folder) / "store.db")]
        for store in stores:
            store.ensure(INDEXES)
        for step in todo:
            first, second = (outcome(store, step) for store in stores)
            assert first == second, step
        first, second = (everything(store) for store in stores)
        assert first == second
        for store in stores:
            store.close()


def outcome(store: Documents, step: Any) -> Any:
    try:
        match step:
            case dict():
                return store.find(**step)
            case list():
                return store.bulk(step)
            case Put():
                return store.put(step.collection, step.document)
            case Insert():
                return store.insert(step.collection, step.document)
            case Replace():
                return store.replace(step.collection, step.document, step.if_version)
            case Delete():
                return store.delete(step.collection, step.id), store.get(step.collection, step.id)
    except Conflict:
        return "conflict"


def everything(store: Documents) -> list[Document]:
    return store.find("a") + store.find("b")
