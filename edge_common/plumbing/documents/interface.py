"""What a store adapter may ask of a document database; nothing here needs a transaction of its caller.

A document is a JSON object with a string `_id`. The backend keeps an integer `version` in it, 1 at the first write
and one more at each later one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

Document: TypeAlias = dict[str, Any]
Scalar: TypeAlias = str | int | float | bool | None
Where: TypeAlias = Mapping[str, Scalar | Sequence[Scalar]]
"""Field (dots reach into objects) -> the value it must have, or the values of which it must have one."""


@dataclass(frozen=True, slots=True)
class Put:
    """Insert, or replace whatever is there."""

    collection: str
    document: Document


@dataclass(frozen=True, slots=True)
class Insert:
    """Fails when the `_id`, or a value of a unique index, is taken."""

    collection: str
    document: Document


@dataclass(frozen=True, slots=True)
class Replace:
    """Fails when the stored document's version is not `if_version`."""

    collection: str
    document: Document
    if_version: int


@dataclass(frozen=True, slots=True)
class Delete:
    collection: str
    id: str


Write: TypeAlias = Put | Insert | Replace | Delete


@dataclass(frozen=True, slots=True)
class Index:
    """Fields that are looked up together."""

    collection: str
    fields: tuple[str, ...]
    is_unique: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What a watcher hears: something happened to this document. It looks for itself what."""

    collection: str
    id: str


class Subscription(Protocol):
    def close(self) -> None: ...


class Documents(Protocol):
    """Thread-safe. Raises `Unreachable` when the database does not answer; every call has a timeout.

    A write that returned is durable.
    """

    def ensure(self, indexes: Sequence[Index]) -> None: ...

    def get(self, collection: str, document_id: str) -> Document | None: ...

    def find(
        self,
        collection: str,
        where: Where | None = None,
        *,
        order_by: str = "_id",
        is_descending: bool = False,
        limit: int | None = None,
    ) -> list[Document]: ...

    def insert(self, collection: str, document: Document) -> None:
        """Raises `Conflict` when the `_id`, or a value of a unique index, is taken."""

    def put(self, collection: str, document: Document) -> None: ...

    def replace(self, collection: str, document: Document, if_version: int) -> bool: ...

    def delete(self, collection: str, document_id: str) -> bool: ...

    def bulk(self, writes: Sequence[Write]) -> list[bool]:
        """All writes in order, in as few round trips as the database allows; for each whether it took effect.

        A failed Insert or Replace stops none of the others.
        """

    def watch(self, collection: str, on_change: Callable[[Change], None]) -> Subscription:
        """Calls `on_change` soon after each write, from a thread of the backend; may say one change twice."""

    def close(self) -> None: ...
