"""Who wants to hear of changes that this process made."""

import logging
import threading
from collections.abc import Callable, Iterable

from edge_common.plumbing.documents.interface import Change

logger = logging.getLogger(__name__)


class Watchers:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_collection: dict[str, tuple[LocalSubscription, ...]] = {}

    def add(self, collection: str, on_change: Callable[[Change], None]) -> "LocalSubscription":
        subscription = LocalSubscription(self, collection, on_change)
        with self._lock:
            self._by_collection[collection] = (*self._by_collection.get(collection, ()), subscription)
        return subscription

    def remove(self, subscription: "LocalSubscription") -> None:
        with self._lock:
            others = tuple(s for s in self._by_collection.get(subscription.collection, ()) if s is not subscription)
            self._by_collection[subscription.collection] = others

    def tell(self, changes: Iterable[Change]) -> None:
        """Call it without holding a lock: a watcher may read and write."""
        for change in changes:
            for subscription in self._by_collection.get(change.collection, ()):
                subscription.tell(change)


class LocalSubscription:
    def __init__(self, watchers: Watchers, collection: str, on_change: Callable[[Change], None]) -> None:
        self.collection = collection
        self._watchers = watchers
        self._on_change = on_change

    def tell(self, change: Change) -> None:
        try:
            self._on_change(change)
        except Exception:
            logger.exception("a watcher failed collection=%s id=%s", change.collection, change.id)

    def close(self) -> None:
        self._watchers.remove(self)
