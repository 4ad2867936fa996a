"""Documents in this process's memory: for tests and simulation."""

import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

from edge_common.model.errors import Conflict
from edge_common.plumbing.documents.interface import (
    Change,
    Delete,
    Document,
    Index,
    Insert,
    Put,
    Replace,
    Scalar,
    Subscription,
    Where,
    Write,
)
from edge_common.plumbing.documents.values import (
    Path,
    check_collection,
    check_unique_fields,
    copy_of,
    encode,
    id_of,
    key_of,
    matches,
    order_of,
    path_of,
    value_at,
    wanted_of,
)
from edge_common.plumbing.documents.watchers import Watchers


class MemoryDocuments:
    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._collections: dict[str, _Collection] = {}
        self._watchers = Watchers()

    def ensure(self, indexes: Sequence[Index]) -> None:
        with self._lock:
            for index in indexes:
                self._collection(index.collection).ensure(index)

    def get(self, collection: str, document_id: str) -> Document | None:
        with self._lock:
            found = self._collection(collection).documents.get(document_id)
        return None if found is None else copy_of(found)

    def find(
        self,
        collection: str,
        where: Where | None = None,
        *,
        order_by: str = "_id",
        is_descending: bool = False,
        limit: int | None = None,
    ) -> list[Document]:
        path = path_of(order_by)
        with self._lock:
            found = self._collection(collection).find(wanted_of(where))
        found.sort(key=lambda document: order_of(document, path), reverse=is_descending)
        return [copy_of(document) for document in found[:limit]]

    def insert(self, collection: str, document: Document) -> None:
        self._write(Insert(collection, document))

    def put(self, collection: str, document: Document) -> None:
        self._write(Put(collection, document))

    def replace(self, collection: str, document: Document, if_version: int) -> bool:
        return self._write(Replace(collection, document, if_version))

    def delete(self, collection: str, document_id: str) -> bool:
        return self._write(Delete(collection, document_id))

    def bulk(self, writes: Sequence[Write]) -> list[bool]:
        for write in writes:
            self._check(write)
        effects: list[bool] = []
        with self._lock:
            for write in writes:
                try:
                    effects.append(self._apply(write))
                except Conflict:
                    effects.append(False)
        self._tell(write for write, is_done in zip(writes, effects, strict=True) if is_done)
        return [is_done or isinstance(write, Delete) for write, is_done in zip(writes, effects, strict=True)]

    def watch(self, collection: str, on_change: Callable[[Change], None]) -> Subscription:
        return self._watchers.add(check_collection(collection), on_change)

    def close(self) -> None:
        pass

    def _write(self, write: Write) -> bool:
        self._check(write)
        with self._lock:
            is_done = self._apply(write)
        if is_done:
            self._tell([write])
        return is_done

    def _tell(self, writes: Iterable[Write]) -> None:
        self._watchers.tell(
            Change(write.collection, write.id if isinstance(write, Delete) else write.document["_id"])
            for write in writes
        )

    def _collection(self, name: str) -> "_Collection":
        if name not in self._collections:
            self._collections[check_collection(name)] = _Collection()
        return self._collections[name]

    def _check(self, write: Write) -> None:
        with self._lock:
            collection = self._collection(write.collection)
        if not isinstance(write, Delete):
            id_of(write.document)
            encode(write.document)
            check_unique_fields(write.document, collection.unique())

    def _apply(self, write: Write) -> bool:
        collection = self._collection(write.collection)
        if isinstance(write, Delete):
            return collection.remove(write.id)
        stored = collection.documents.get(write.document["_id"])
        if isinstance(write, Insert) and stored is not None:
            raise Conflict(f"{write.collection} already has a document {write.document['_id']}.")
        if isinstance(write, Replace) and (stored is None or stored["version"] != write.if_version):
            return False
        version = 1 if stored is None else stored["version"] + 1
        collection.store(write.collection, copy_of(write.document) | {"version": version})
        return True


class _Collection:
    """Not thread-safe."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self._indexes: dict[Index, dict[tuple[Any, ...], set[str]]] = {}

    def unique(self) -> list[Index]:
        return [index for index in self._indexes if index.is_unique]

    def ensure(self, index: Index) -> None:
        if index in self._indexes:
            return
        ids: dict[tuple[Any, ...], set[str]] = {}
        for document in self.documents.values():
            ids.setdefault(_index_key(document, index), set()).add(document["_id"])
        if index.is_unique and any(len(same) > 1 for same in ids.values()):
            raise Conflict(f"{index.collection} already holds documents with the same {' and '.join(index.fields)}.")
        self._indexes[index] = ids

    def store(self, name: str, document: Document) -> None:
        for index in self.unique():
            if self._indexes[index].get(_index_key(document, index), set()) - {document["_id"]}:
                raise Conflict(f"{name} already has a document with this {' and '.join(index.fields)}.")
        self.remove(document["_id"])
        self.documents[document["_id"]] = document
        for index, ids in self._indexes.items():
            ids.setdefault(_index_key(document, index), set()).add(document["_id"])

    def remove(self, document_id: str) -> bool:
        document = self.documents.pop(document_id, None)
        if document is None:
            return False
        for index, ids in self._indexes.items():
            key = _index_key(document, index)
            ids[key].discard(document_id)
            if not ids[key]:
                del ids[key]
        return True

    def find(self, wanted: dict[Path, list[Scalar]]) -> list[Document]:
        return [document for document in self._candidates(wanted) if matches(document, wanted)]

    def _candidates(self, wanted: dict[Path, list[Scalar]]) -> Iterable[Document]:
        if ("_id",) in wanted:
            return self._documents({value for value in wanted["_id",] if isinstance(value, str)})
        for index, ids in self._indexes.items():
            paths = [path_of(field) for field in index.fields]
            if all(path in wanted for path in paths):
                keys = product(*({key_of(value) for value in wanted[path]} for path in paths))
                return self._documents({found for key in keys for found in ids.get(key, ())})
        return self.documents.values()

    def _documents(self, ids: set[str]) -> list[Document]:
        return [self.documents[document_id] for document_id in ids if document_id in self.documents]


def _index_key(document: Document, index: Index) -> tuple[Any, ...]:
    """Lists and objects cannot be looked up, so they only need some key."""
    values = (value_at(document, path_of(field)) for field in index.fields)
    return tuple((False, repr(value)) if isinstance(value, dict | list) else key_of(value) for value in values)
