"""Newcomers without a token, until an operator admits or refuses them."""

from dataclasses import dataclass, replace
from typing import Final

from edge_common.link.join_refusals import Ground, JoinRefused
from edge_common.model.errors import NotFound
from edge_common.model.ids import ChildId
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.documents.codec import decode, encode
from edge_common.plumbing.documents.interface import Document, Documents
from edge_common.wire.join_messages import ChildKind

WAITING = "waiting"
MAX_WAITING: Final = 200
SILENT_S: Final = 3_600.0
"""Newcomers ask again within a minute; one that has been silent for so long has given up."""
REFUSED_S: Final = 86_400.0
WRITE_AFTER_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Newcomer:
    """`key_fingerprint` is the SHA-256 of its public key: what an operator compares with what the newcomer shows."""

    child_id: ChildId
    kind: ChildKind
    name: str
    key_fingerprint: str
    address: str
    first_asked_at_s: float
    asked_at_s: float
    refused_at_s: float | None = None

    def is_over(self, now_s: float) -> bool:
        if self.refused_at_s is not None:
            return now_s >= self.refused_at_s + REFUSED_S
        return now_s >= self.asked_at_s + SILENT_S


class WaitingRoom:
    """Thread-safe. Holds MAX_WAITING; one more drops who asked the longest ago, and who asks again is back."""

    def __init__(self, documents: Documents, clock: Clock, *, is_open: bool) -> None:
        self._documents = documents
        self._clock = clock
        self.is_open = is_open

    def ask(self, child_id: ChildId, kind: ChildKind, name: str, key_fingerprint: str, address: str) -> None:
        """Sits down, or goes on waiting. Raises JoinRefused."""
        if not self.is_open:
            raise JoinRefused(
                Ground.ROOM_CLOSED,
                "Joining here needs a join token, and this request has none; ask an operator for one.",
            )
        now_s = self._clock.now_s()
        known = self._find(child_id)
        if known is None:
            self._make_room(now_s)
            self._keep(Newcomer(child_id, kind, name, key_fingerprint, address, now_s, now_s))
        elif known.refused_at_s is not None:
            hours = max(1.0, (known.refused_at_s + REFUSED_S - now_s) / 3_600)
            raise JoinRefused(
                Ground.TURNED_DOWN,
                f"An operator refused this newcomer; it may ask again in {hours:.0f} h, or with a token.",
            )
        elif now_s - known.asked_at_s >= WRITE_AFTER_S or (known.name, known.address) != (name, address):
            self._keep(replace(known, name=name, address=address, asked_at_s=now_s))

    def newcomers(self) -> list[Newcomer]:
        """Who asked first comes first; refused ones are there until they may ask again."""
        now_s = self._clock.now_s()
        found = [_newcomer(document) for document in self._documents.find(WAITING)]
        return sorted((each for each in found if not each.is_over(now_s)), key=lambda each: each.first_asked_at_s)

    def find(self, child_id: str) -> Newcomer:
        """Raises NotFound."""
        newcomer = self._find(ChildId(child_id))
        if newcomer is None:
            raise NotFound(f"Nobody with the id {child_id[:64]!r} is in the waiting room.")
        return newcomer

    def leave(self, child_id: ChildId) -> None:
        self._documents.delete(WAITING, child_id)

    def refuse(self, child_id: str) -> Newcomer:
        """From now on it is told so, for a day. Raises NotFound."""
        refused = replace(self.find(child_id), refused_at_s=self._clock.now_s())
        self._keep(refused)
        return refused

    def _find(self, child_id: ChildId) -> Newcomer | None:
        document = self._documents.get(WAITING, child_id)
        newcomer = _newcomer(document) if document else None
        return None if newcomer is None or newcomer.is_over(self._clock.now_s()) else newcomer

    def _keep(self, newcomer: Newcomer) -> None:
        self._documents.put(WAITING, encode(newcomer, newcomer.child_id))

    def _make_room(self, now_s: float) -> None:
        there = sorted((_newcomer(each) for each in self._documents.find(WAITING)), key=lambda each: each.asked_at_s)
        over = [each for each in there if each.is_over(now_s)]
        still = [each for each in there if not each.is_over(now_s)]
        for newcomer in [*over, *still[: max(0, len(still) - MAX_WAITING + 1)]]:
            self.leave(newcomer.child_id)


def _newcomer(document: Document) -> Newcomer:
    return decode(Newcomer, document)
