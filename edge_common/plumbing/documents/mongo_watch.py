"""Hearing of changes that anybody makes in a MongoDB collection."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pymongo.change_stream import CollectionChangeStream
from pymongo.collection import Collection
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from edge_common.plumbing.documents.interface import Change, Document

logger = logging.getLogger(__name__)

_AWAIT_MS = 1_000
_POLL_EVERY_S = 2.0
_PAUSE_S = 1.0


class MongoSubscription:
    """A change stream; where the server has none, a look at all versions every few seconds."""

    def __init__(
        self,
        collection: Collection[Document],
        on_change: Callable[[Change], None],
        *,
        poll_every_s: float = _POLL_EVERY_S,
        has_streams: bool = True,
    ) -> None:
        """`has_streams` False does not even ask the server."""
        self._collection = collection
        self._on_change = on_change
        self._poll_every_s = poll_every_s
        self._stopping = threading.Event()
        self._seen: dict[str, Any] = {}
        self._stream = self._open_stream() if has_streams else None
        if self._stream is None:
            self._seen = self._versions()
        self._thread = threading.Thread(target=self._run, name=f"watch-{collection.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=2 * _AWAIT_MS / 1000)

    def _open_stream(self) -> CollectionChangeStream[Document] | None:
        """None when the server has no change streams."""
        try:
            return self._collection.watch([{"$project": {"documentKey": 1}}], max_await_time_ms=_AWAIT_MS)
        except ConnectionFailure:
            raise
        except OperationFailure as error:
            logger.info("no change streams, polling collection=%s reason=%s", self._collection.name, error.code)
            return None

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._stream is None:
                    self._poll()
                else:
                    self._follow(self._stream)
            except PyMongoError as error:
                logger.warning("watching collection=%s failed, trying again: %s", self._collection.name, error)
                self._recover()
        if self._stream is not None:
            self._stream.close()

    def _follow(self, stream: CollectionChangeStream[Document]) -> None:
        event = stream.try_next()
        if event is not None:
            self._tell(event.get("documentKey", {}))
        elif not stream.alive:
            self._recover()

    def _poll(self) -> None:
        if self._stopping.wait(self._poll_every_s):
            return
        before, self._seen = self._seen, self._versions()
        for document_id in before.keys() | self._seen.keys():
            if before.get(document_id) != self._seen.get(document_id):
                self._tell({"_id": document_id})

    def _recover(self) -> None:
        """pymongo resumes a stream by itself; one that it gave up on left a gap, so every document may have changed."""
        self._stopping.wait(_PAUSE_S)
        if self._stopping.is_set() or self._stream is None:
            return
        try:
            self._stream.close()
            self._stream = self._open_stream()
            self._seen = self._versions()
        except PyMongoError as error:
            logger.warning("watching collection=%s is interrupted: %s", self._collection.name, error)
            return
        for document_id in self._seen:
            self._tell({"_id": document_id})

    def _versions(self) -> dict[str, Any]:
        return {found["_id"]: found.get("version") for found in self._collection.find({}, {"version": 1})}

    def _tell(self, key: Mapping[str, Any]) -> None:
        document_id = key.get("_id")
        if not isinstance(document_id, str):
            return
        try:
            self._on_change(Change(self._collection.name, document_id))
        except Exception:
            logger.exception("a watcher failed collection=%s id=%s", self._collection.name, document_id)
