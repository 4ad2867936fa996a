"""When a standby may take a lease, and what a store that is slow or moody changes."""

from pathlib import Path

import pytest

from edge_common.model.errors import Broken
from edge_common.plumbing.data_dir import DataDirectory
from edge_common.plumbing.documents.codec import encode
from edge_common.plumbing.documents.interface import Document
from edge_common.plumbing.documents.lease import COLLECTION, DOCUMENT_ID, Lease, Patience, StoreLease
from edge_common.plumbing.documents.memory import MemoryDocuments
from tests.support import eventually

MINE = Lease("root", "a", "a1", "here")


def lease(holder: str, version: int) -> Lease:
    return Lease("root", holder, f"{holder}1", "there", version)


@pytest.mark.parametrize(
    ("looks", "may"),
    [
        ([(0.0, lease("b", 1))], False),
        ([(0.0, lease("b", 1)), (9.9, lease("b", 1))], False),
        ([(0.0, lease("b", 1)), (10.0, lease("b", 1))], True),
        ([(0.0, lease("b", 1)), (9.0, lease("b", 2)), (18.9, lease("b", 2))], False),
        ([(0.0, lease("b", 1)), (9.0, lease("b", 2)), (19.0, lease("b", 2))], True),
        ([(0.0, lease("b", 1)), (9.0, lease("c", 2)), (10.0, lease("c", 2))], False),
        ([(0.0, lease("", 5))], True),
        ([(0.0, lease("a", 5))], True),
        ([(0.0, lease("b", 1)), (1000.0, lease("b", 2))], False),
    ],
)
def test_patience(looks: list[tuple[float, Lease]], may: bool) -> None:
    patience = Patience(10.0)
    answers = [patience.may_take(found, MINE, at_s) for at_s, found in looks]
    assert answers[-1] is may
    assert not any(answers[:-1])


class SlowStore(MemoryDocuments):
    """Answers a read after some time; whoever reads sees what is there at the end of it."""

    def __init__(self, delays_s: list[float]) -> None:
        super().__init__()
        self.now_s = 0.0
        self._delays_s = delays_s

    def get(self, collection: str, document_id: str) -> Document | None:
        self.now_s += self._delays_s.pop(0) if len(self._delays_s) > 1 else self._delays_s[0]
        return super().get(collection, document_id)


def test_a_slow_store_makes_nobody_impatient(tmp_path: Path) -> None:
    """The holder may have begun its last renewal just before our first read ended, however long that took."""
    length_s = 0.5
    store = SlowStore([0.9 * length_s, 0.25 * length_s])
    store.insert(COLLECTION, encode(lease("b", 1), DOCUMENT_ID))
    standby = StoreLease(store, DataDirectory(tmp_path), "root", length_s, lambda _: None, lambda: store.now_s)
    assert standby.take()
    assert store.now_s >= 1.9 * length_s
    standby.stop()


class SulkingStore(MemoryDocuments):
    def __init__(self) -> None:
        super().__init__()
        self.refusals = 0

    def get(self, collection: str, document_id: str) -> Document | None:
        if self.refusals > 0:
            self.refusals -= 1
            raise Broken("The store is choosing its primary.")
        return super().get(collection, document_id)


def test_one_renewal_that_fails_in_whatever_way_is_not_the_last(tmp_path: Path) -> None:
    store, losses = SulkingStore(), list[str]()
    holder = StoreLease(store, DataDirectory(tmp_path), "root", 2.0, losses.append)
    assert holder.take()
    store.refusals = 1

    def version() -> int:
        found = MemoryDocuments.get(store, COLLECTION, DOCUMENT_ID) or {}
        return int(found.get("version", 0))

    before = version()
    eventually(lambda: version() > before + 1, message="renewals after the one that failed")
    assert holder.is_held
    assert losses == []
    holder.stop()
