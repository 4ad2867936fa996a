"""Documents in MongoDB, through pymongo: majority writes, change streams where the server has them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, TypeAlias

from bson.errors import BSONError
from pymongo import ASCENDING, DESCENDING, DeleteOne, InsertOne, MongoClient, UpdateOne, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidName,
    InvalidURI,
    PyMongoError,
    WTimeoutError,
)
from pymongo.results import BulkWriteResult

from edge_common.model.errors import Broken, Conflict, InvalidInput, TooLarge, Unreachable
from edge_common.plumbing.documents.interface import (
    Change,
    Delete,
    Document,
    Index,
    Insert,
    Put,
    Replace,
    Subscription,
    Where,
    Write,
)
from edge_common.plumbing.documents.mongo_watch import MongoSubscription
from edge_common.plumbing.documents.values import (
    check_collection,
    check_unique_fields,
    choices,
    encode,
    id_of,
    path_of,
)

_TIMEOUTS_MS = {"serverSelectionTimeoutMS": 5_000, "connectTimeoutMS": 5_000, "socketTimeoutMS": 20_000}
_WRITE_TIMEOUT_MS = 10_000
_DUPLICATE_KEY = 11000

_Operation: TypeAlias = InsertOne[Document] | UpdateOne | DeleteOne


class MongoDocuments:
    def __init__(self, url: str, password: str | None = None) -> None:
        """Does not wait for the server; timeouts in the URL win over ours, `password` over one in the URL.

        Raises InvalidInput when the URL is none, or names no database.
        """
        timeouts_ms: dict[str, Any] = {
            name: value for name, value in _TIMEOUTS_MS.items() if name.lower() not in url.lower()
        }
        secret: dict[str, Any] = {} if password is None else {"password": password}
        try:
            self._client: MongoClient[Document] = MongoClient(url, appname="hedgerow", **secret, **timeouts_ms)
            self._database = self._client.get_default_database(
                write_concern=WriteConcern(w="majority", j=True, wtimeout=_WRITE_TIMEOUT_MS)
            )
        except (InvalidURI, InvalidName, ConfigurationError) as error:
            raise InvalidInput(
                f"The store's URL cannot be used: {error}. It looks like mongodb://host:port/name.", "store_url"
            ) from error
        self._address = ",".join(f"{host}:{port}" for host, port in sorted(self._client.nodes)) or "MongoDB"
        self._unique: dict[str, list[Index]] = {}

    def ensure(self, indexes: Sequence[Index]) -> None:
        with self._errors():
            for index in indexes:
                keys = [(field, ASCENDING) for field in index.fields]
                if not index.is_unique:
                    keys.append(("_id", ASCENDING))
                self._collection(index.collection).create_index(keys, unique=index.is_unique)
        for index in indexes:
            known = self._unique.setdefault(index.collection, [])
            if index.is_unique and index not in known:
                known.append(index)

    def get(self, collection: str, document_id: str) -> Document | None:
        with self._errors():
            return self._collection(collection).find_one({"_id": document_id})

    def find(
        self,
        collection: str,
        where: Where | None = None,
        *,
        order_by: str = "_id",
        is_descending: bool = False,
        limit: int | None = None,
    ) -> list[Document]:
        path_of(order_by)
        if limit == 0:
            return []
        direction = DESCENDING if is_descending else ASCENDING
        sort = [(order_by, direction)] if order_by == "_id" else [(order_by, direction), ("_id", direction)]
        with self._errors():
            return list(self._collection(collection).find(_filter(where), sort=sort, limit=limit or 0))

    def insert(self, collection: str, document: Document) -> None:
        self._write(Insert(collection, document))

    def put(self, collection: str, document: Document) -> None:
        self._write(Put(collection, document))

    def replace(self, collection: str, document: Document, if_version: int) -> bool:
        return self._write(Replace(collection, document, if_version)).matched_count == 1

    def delete(self, collection: str, document_id: str) -> bool:
        return self._write(Delete(collection, document_id)).deleted_count == 1

    def bulk(self, writes: Sequence[Write]) -> list[bool]:
        for write in writes:
            self._check(write)
        effects: list[bool] = []
        with self._errors():
            for collection, group in groupby(writes, key=lambda write: write.collection):
                effects.extend(self._bulk_of(collection, list(group)))
        return effects

    def watch(self, collection: str, on_change: Callable[[Change], None]) -> Subscription:
        with self._errors():
            return MongoSubscription(self._collection(collection), on_change)

    def close(self) -> None:
        self._client.close()

    def _collection(self, name: str) -> Collection[Document]:
        return self._database[check_collection(name)]

    def _check(self, write: Write) -> None:
        check_collection(write.collection)
        if not isinstance(write, Delete):
            id_of(write.document)
            encode(write.document)
            check_unique_fields(write.document, self._unique.get(write.collection, ()))

    def _write(self, write: Write) -> BulkWriteResult:
        self._check(write)
        with self._errors():
            try:
                return self._collection(write.collection).bulk_write([_operation(write)])
            except BulkWriteError as error:
                _duplicates(error.details or {}, error)
                raise DuplicateKeyError(str(error)) from error

    def _bulk_of(self, collection: str, writes: list[Write]) -> list[bool]:
        """A duplicate stops an ordered bulk; the rest is sent again. Where no order can matter, none is asked for."""
        is_ordered = bool(self._unique.get(collection))
        effects: list[bool] = []
        for part in _with_distinct_ids(writes):
            start = len(effects)
            while len(effects) < start + len(part):
                rest = part[len(effects) - start :]
                effects.extend(self._bulk_once(collection, rest, is_ordered=is_ordered))
        return effects

    def _bulk_once(self, collection: str, writes: list[Write], *, is_ordered: bool) -> list[bool]:
        """What became of each write, when they are ordered up to and with the first that failed."""
        target = self._collection(collection)
        operations = [_operation(write) for write in writes]
        failed: set[int] = set()
        try:
            result: Mapping[str, Any] = target.bulk_write(operations, ordered=is_ordered).bulk_api_result
        except BulkWriteError as error:
            result = error.details or {}
            failed = _duplicates(result, error)
        if is_ordered and failed:
            writes = writes[: min(failed) + 1]
        done = [number not in failed for number in range(len(writes))]
        updates = sum(done[number] and isinstance(write, Put | Replace) for number, write in enumerate(writes))
        if result.get("nMatched", 0) + result.get("nUpserted", 0) < updates:
            self._find_lost(target, writes, done)
        return done

    def _find_lost(self, target: Collection[Document], writes: list[Write], done: list[bool]) -> None:
        """The server says how many updates matched, not which: a Replace did when what is stored is what it wrote."""
        asked = {w.document["_id"]: w for w, ok in zip(writes, done, strict=True) if ok and isinstance(w, Replace)}
        stored = {found["_id"]: found for found in target.find({"_id": {"$in": list(asked)}})}
        for number, write in enumerate(writes):
            if done[number] and isinstance(write, Replace):
                wanted = json.loads(encode(write.document)) | {"version": write.if_version + 1}
                done[number] = stored.get(write.document["_id"]) == wanted

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DuplicateKeyError as error:
            raise Conflict("There is already a document with this _id, or with the same unique values.") from error
        except (ConnectionFailure, WTimeoutError, ExecutionTimeout) as error:
            raise Unreachable(f"MongoDB at {self._address} did not answer: {_short(error)}") from error
        except DocumentTooLarge as error:
            raise TooLarge(f"MongoDB does not take so large a document: {_short(error)}") from error
        except (BSONError, OverflowError, UnicodeEncodeError) as error:
            raise InvalidInput(f"MongoDB cannot hold this document: {error}") from error
        except PyMongoError as error:
            raise Broken(f"MongoDB at {self._address} refused: {_short(error)}") from error


def _operation(write: Write) -> _Operation:
    match write:
        case Insert(document=document):
            return InsertOne(document | {"version": 1})
        case Replace(document=document, if_version=version):
            new = {"$literal": document | {"version": version + 1}}
            return UpdateOne({"_id": document["_id"], "version": version}, [{"$replaceWith": new}])
        case Put(document=document):
            version_after = {"$add": [{"$ifNull": ["$version", 0]}, 1]}
            merged = {"$mergeObjects": [{"$literal": document}, {"version": version_after}]}
            return UpdateOne({"_id": document["_id"]}, [{"$replaceWith": merged}], upsert=True)
        case Delete(id=document_id):
            return DeleteOne({"_id": document_id})


def _with_distinct_ids(writes: Sequence[Write]) -> Iterator[list[Write]]:
    """Split so that no part writes one document twice."""
    part: list[Write] = []
    seen: set[str] = set()
    for write in writes:
        document_id = write.id if isinstance(write, Delete) else write.document["_id"]
        if document_id in seen:
            yield part
            part, seen = [], set()
        part.append(write)
        seen.add(document_id)
    if part:
        yield part


def _duplicates(details: Mapping[str, Any], error: BulkWriteError) -> set[int]:
    """The numbers of the writes that found their place taken; raises the error when there is anything worse in it."""
    failures = details.get("writeErrors", [])
    if details.get("writeConcernErrors") or any(failure.get("code") != _DUPLICATE_KEY for failure in failures):
        raise error
    return {failure["index"] for failure in failures}


def _filter(where: Where | None) -> dict[str, Any]:
    """Always an explicit operator: a value can never be taken for one."""
    wanted: dict[str, Any] = {}
    for field, value in (where or {}).items():
        path_of(field)
        some = choices(value, field)
        wanted[field] = {"$eq": some[0]} if len(some) == 1 else {"$in": some}
    return wanted


def _short(error: Exception) -> str:
    """pymongo appends the whole topology."""
    return str(error).partition(", Timeout:")[0].partition(", full error:")[0]
