"""What a store adapter may ask of a document database; nothing here needs a transaction of its caller.

A document is a JSON object with a string `_id`. The backend keeps an integer `version` in it, 1 at the first write
and one more at each later one; what the caller puts there is ignored. Keys of the outermost object do not begin
with `$`; all other keys and all values are free. What goes in and what comes out are copies.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

Document: TypeAlias = dict[str, Any]
Scalar: TypeAlias = str | int | float | bool | None
Where: TypeAlias = Mapping[str, Scalar | Sequence[Scalar]]
"""Field (dots reach into objects) -> the value it must have, or the values of which it must have one.

A field that is missing is None. True is not 1. Fields that hold lists cannot be looked up: databases differ there.
"""


@dataclass(frozen=True, slots=True)
class Put:
    """Insert, or replace whatever is there; fails when a value of a unique index is taken by another document."""

    collection: str
    document: Document


@dataclass(frozen=True, slots=True)
class Insert:
    """Fails when the `_id`, or a value of a unique index, is taken."""

    collection: str
    document: Document


@dataclass(frozen=True, slots=True)
class Replace:
    """Fails when the document is not there, or its version is not `if_version`, or a unique value is taken."""

    collection: str
    document: Document
    if_version: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Never fails: what is not there is as good as deleted."""

    collection: str
    id: str


Write: TypeAlias = Put | Insert | Replace | Delete


@dataclass(frozen=True, slots=True)
class Index:
    """Fields that are looked up together.

    Every document of the collection must have all fields of a unique index, and none of them None.
    """

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

    A write that returned is durable. One that raised `Unreachable` may have taken effect all the same.
    `InvalidInput` is for a name or a document that no backend would take.
    """

    def ensure(self, indexes: Sequence[Index]) -> None:
        """Call it before the first write to these collections.

        Raises `Conflict` when what is stored breaks a unique index.
        """

    def get(self, collection: str, document_id: str) -> Document | None: ...

    def find(
        self,
        collection: str,
        where: Where | None = None,
        *,
        order_by: str = "_id",
        is_descending: bool = False,
        limit: int | None = None,
    ) -> list[Document]:
        """Documents with the same value in `order_by` come by `_id`, in the same direction; None comes first."""

    def insert(self, collection: str, document: Document) -> None:
        """Raises `Conflict` when the `_id`, or a value of a unique index, is taken."""

    def put(self, collection: str, document: Document) -> None:
        """Raises `Conflict` when a value of a unique index is taken by another document."""

    def replace(self, collection: str, document: Document, if_version: int) -> bool:
        """False when the document is not there or has another version. Raises `Conflict` like `put`."""

    def delete(self, collection: str, document_id: str) -> bool:
        """Whether it was there."""

    def bulk(self, writes: Sequence[Write]) -> list[bool]:
        """All writes in order, in as few round trips as the database allows; for each whether it took effect.

        A write that fails stops none of the others. Neighbours of one collection travel together, so sort by it.
        After an `Unreachable` any of them may have taken effect.
        """

    def watch(self, collection: str, on_change: Callable[[Change], None]) -> Subscription:
        """Calls `on_change` soon after each write; may say one change twice, and several changes as one.

        It is called from a thread of the backend or of the writer, and must return at once. It is a hint: keep a
        timer for what a restarting database may have swallowed.
        """

    def close(self) -> None: ...
