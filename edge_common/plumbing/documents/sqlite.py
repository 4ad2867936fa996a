"""Documents in one SQLite file, used by one process.

A collection is a table of JSON texts, an index is one over `json_extract`. Each write is one transaction, and each
bulk is one. `watch` hears only of what this process wrote.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path as FilePath

from edge_common.model.errors import Broken, Conflict, Incompatible, InvalidInput, Unreachable
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
from edge_common.plumbing.documents.sqlite_text import condition_of, expression, index_sql, table
from edge_common.plumbing.documents.values import (
    check_collection,
    check_unique_fields,
    encode,
    id_of,
    matches,
    path_of,
    wanted_of,
)
from edge_common.plumbing.documents.watchers import Watchers

_FORMAT = 1
_BUSY_TIMEOUT_S = 10.0
_IDLE_READERS = 8


class SqliteDocuments:
    def __init__(self, path: FilePath) -> None:
        """Creates the file, for its owner only. Raises Broken when it is no database, Incompatible when a newer one."""
        self._path = path
        self._write_lock = threading.Lock()
        self._readers_lock = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._is_closed = False
        self._unique: dict[str, list[Index]] = {}
        self._watchers = Watchers()
        with self._errors():
            _create_private(path)
            self._writer = self._connect()
            self._check_format()
            rows = self._writer.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        self._tables = {name for (name,) in rows}

    def ensure(self, indexes: Sequence[Index]) -> None:
        self._create_tables({index.collection for index in indexes})
        with self._transaction():
            for index in indexes:
                self._writer.execute(index_sql(index))
        for index in indexes:
            known = self._unique.setdefault(index.collection, [])
            if index.is_unique and index not in known:
                known.append(index)

    def get(self, collection: str, document_id: str) -> Document | None:
        if not self._has(collection):
            return None
        with self._reader() as reader:
            row = reader.execute(
                f"SELECT id, version, document FROM {table(collection)} WHERE id = ?",  # noqa: S608
                (document_id,),
            ).fetchone()
        return None if row is None else _document(row)

    def find(
        self,
        collection: str,
        where: Where | None = None,
        *,
        order_by: str = "_id",
        is_descending: bool = False,
        limit: int | None = None,
    ) -> list[Document]:
        wanted = wanted_of(where)
        order = expression(path_of(order_by))
        if not self._has(collection) or limit == 0:
            return []
        condition, values = condition_of(wanted)
        direction = "DESC" if is_descending else "ASC"
        sql = (
            f"SELECT id, version, document FROM {table(collection)}{condition} "  # noqa: S608
            f"ORDER BY {order} {direction}, id {direction}"
        )
        found: list[Document] = []
        with self._reader() as reader:
            for row in reader.execute(sql, values):
                document = _document(row)
                if matches(document, wanted):
                    found.append(document)
                if len(found) == limit:
                    break
        return found

    def insert(self, collection: str, document: Document) -> None:
        self._write(Insert(collection, document))

    def put(self, collection: str, document: Document) -> None:
        self._write(Put(collection, document))

    def replace(self, collection: str, document: Document, if_version: int) -> bool:
        return self._write(Replace(collection, document, if_version))

    def delete(self, collection: str, document_id: str) -> bool:
        return self._write(Delete(collection, document_id))

    def bulk(self, writes: Sequence[Write]) -> list[bool]:
        texts = [self._encoded(write) for write in writes]
        self._create_tables({write.collection for write in writes})
        effects: list[bool] = []
        if not writes:
            return effects
        with self._transaction():
            for write, text in zip(writes, texts, strict=True):
                try:
                    effects.append(self._apply(write, text))
                except Conflict:
                    effects.append(False)
        self._tell(write for write, is_done in zip(writes, effects, strict=True) if is_done)
        return [is_done or isinstance(write, Delete) for write, is_done in zip(writes, effects, strict=True)]

    def watch(self, collection: str, on_change: Callable[[Change], None]) -> Subscription:
        return self._watchers.add(check_collection(collection), on_change)

    def close(self) -> None:
        with self._readers_lock:
            self._is_closed = True
            for reader in self._readers:
                reader.close()
            self._readers.clear()
        with self._write_lock:
            self._writer.close()

    def _write(self, write: Write) -> bool:
        text = self._encoded(write)
        self._create_tables({write.collection})
        with self._transaction():
            is_done = self._apply(write, text)
        if is_done:
            self._tell([write])
        return is_done

    def _encoded(self, write: Write) -> str:
        check_collection(write.collection)
        if isinstance(write, Delete):
            return ""
        id_of(write.document)
        check_unique_fields(write.document, self._unique.get(write.collection, ()))
        return encode({key: value for key, value in write.document.items() if key not in {"_id", "version"}})

    def _apply(self, write: Write, text: str) -> bool:
        table_name = table(write.collection)
        if isinstance(write, Delete):
            return self._writer.execute(f"DELETE FROM {table_name} WHERE id = ?", (write.id,)).rowcount == 1  # noqa: S608
        document_id = write.document["_id"]
        try:
            if isinstance(write, Replace):
                sql = f"UPDATE {table_name} SET document = ?, version = version + 1 WHERE id = ? AND version = ?"  # noqa: S608
                return self._writer.execute(sql, (text, document_id, write.if_version)).rowcount == 1
            sql = f"INSERT INTO {table_name} (id, version, document) VALUES (?, 1, ?)"  # noqa: S608
            if isinstance(write, Put):
                sql += " ON CONFLICT (id) DO UPDATE SET document = excluded.document, version = version + 1"
            self._writer.execute(sql, (document_id, text))
            return True
        except sqlite3.IntegrityError as error:
            raise Conflict(
                f"{write.collection} already has a document {document_id}, or one with the same unique values."
            ) from error

    def _tell(self, writes: Iterable[Write]) -> None:
        self._watchers.tell(
            Change(write.collection, write.id if isinstance(write, Delete) else write.document["_id"])
            for write in writes
        )

    def _has(self, collection: str) -> bool:
        return check_collection(collection) in self._tables

    def _create_tables(self, collections: set[str]) -> None:
        missing = [collection for collection in collections if not self._has(collection)]
        if not missing:
            return
        with self._transaction():
            for collection in missing:
                self._writer.execute(
                    f"CREATE TABLE IF NOT EXISTS {table(collection)} "
                    "(id TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL)"
                )
        self._tables |= set(missing)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._write_lock, self._errors():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with self._errors():
            with self._readers_lock:
                if self._is_closed:
                    raise Unreachable(f"The store {self._path} is closed.")
                reader = self._readers.pop() if self._readers else None
            if reader is None:
                reader = self._connect()
                reader.execute("PRAGMA query_only = ON")
            try:
                yield reader
            finally:
                self._give_back(reader)

    def _give_back(self, reader: sqlite3.Connection) -> None:
        with self._readers_lock:
            if not self._is_closed and len(self._readers) < _IDLE_READERS:
                self._readers.append(reader)
                return
        reader.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _check_format(self) -> None:
        (found,) = self._writer.execute("PRAGMA user_version").fetchone()
        if found > _FORMAT:
            raise Incompatible(f"The store {self._path} is of format {found}; this version reads up to {_FORMAT}.")
        self._writer.execute(f"PRAGMA user_version = {_FORMAT}")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise Unreachable(f"The store {self._path} did not answer: {error}.") from error
        except sqlite3.ProgrammingError as error:
            raise Unreachable(f"The store {self._path} is closed: {error}") from error
        except sqlite3.IntegrityError as error:
            raise Conflict(f"The store {self._path} already holds documents with the same unique values.") from error
        except sqlite3.Error as error:
            raise Broken(f"The store {self._path} cannot be used: {error}. Restore it from a backup.") from error
        except UnicodeEncodeError as error:
            raise InvalidInput(f"The store cannot hold this text: {error}.") from error


def _create_private(path: FilePath) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise Broken(f"The store {path} cannot be created: {error.strerror}.") from error


def _document(row: tuple[str, int, str]) -> Document:
    document_id, version, text = row
    document: Document = json.loads(text)
    document["_id"] = document_id
    document["version"] = version
    return document
