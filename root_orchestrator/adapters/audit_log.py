"""The audit log in a document database: one thread writes it, batch by batch, and keeps it within its bounds."""

import logging
import queue
import threading
from collections.abc import Sequence
from dataclasses import replace

from edge_common.model.errors import HedgerowError, RateLimited
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.documents.codec import decode, encode
from edge_common.plumbing.documents.interface import Delete, Documents, Index, Insert, Scalar
from edge_common.plumbing.rate_limit import RateLimit
from root_orchestrator.core.audit import BLOCK, Entry, Outcome, block_of, chunks

logger = logging.getLogger(__name__)

AUDIT = "audit"
INDEXES = (Index(AUDIT, ("block",)), Index(AUDIT, ("organization", "block")))
WAITING = 10_000
BATCH = 256
PRUNE_EVERY_S = 3600.0
REFUSALS = 100
REFUSALS_PER_S = 0.1
"""For each user, as are those that failed: beyond a burst of REFUSALS only so many are kept."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_DAY_S = 86_400.0


class AuditLog:
    """`note` may be called from any thread and never waits; what does not fit into the queue is counted and said.

    At most `max_entries` and `max_days` are kept, give or take a block.
    """

    def __init__(self, documents: Documents, clock: Clock, *, max_entries: int, max_days: float) -> None:
        self._documents = documents
        self._clock = clock
        self._max_entries = max_entries
        self._max_age_s = max_days * _DAY_S
        self._queue: queue.Queue[Entry | None] = queue.Queue(WAITING)
        self._waiting: list[Entry] = []
        self._dropped = 0
        self._refusals = RateLimit(clock, burst=REFUSALS, per_s=REFUSALS_PER_S)
        self._left_out = 0
        self._stopping = threading.Event()
        documents.ensure(INDEXES)
        self._first = self._end_of_log(is_descending=False)
        self._last = self._end_of_log(is_descending=True)
        self._prune_at_s = clock.monotonic_s()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Writes what is waiting, as far as the database takes it in time."""
        self._stopping.set()
        if self._thread.is_alive():
            self._wake()
            self._thread.join(timeout_s)

    def note(self, entry: Entry) -> None:
        if entry.outcome != Outcome.DONE and self._is_too_much(entry.username):
            return
        try:
            self._queue.put_nowait(entry)
        except queue.Full:
            self._dropped += 1
            logger.warning("event=audit_dropped user=%s verb=%s in_all=%d", entry.username, entry.verb, self._dropped)

    def newest(self, limit: int, organization: str | None = None, before: int | None = None) -> list[Entry]:
        """The newest first, those before the entry `before`; of one organisation or of all."""
        last = self._last if before is None else min(before - 1, self._last)
        return self._page(self._first, last, limit, organization, is_descending=True)

    def following(self, after: int, limit: int, organization: str | None = None) -> list[Entry]:
        """The oldest first, those after the entry `after`."""
        return self._page(max(after + 1, self._first), self._last, limit, organization, is_descending=False)

    @property
    def last(self) -> int:
        """The number of the newest entry; 0 when there is none."""
        return self._last

    def write_waiting(self) -> None:
        """What the thread does, once. Raises Unreachable; the same entries are written by the next call."""
        while len(self._waiting) < BATCH:
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                break
            if entry is not None:
                self._waiting.append(entry)
        if self._waiting:
            self._write(self._waiting)
            self._waiting = []
        if self._clock.monotonic_s() >= self._prune_at_s:
            self._prune_at_s = self._clock.monotonic_s() + PRUNE_EVERY_S
            self._prune()

    def _is_too_much(self, username: str) -> bool:
        """Refusals cost whoever asks nothing, and must not push out what was done."""
        try:
            self._refusals.check(username)
        except RateLimited:
            if not self._left_out:
                logger.warning("event=audit_left_out user=%s: too many refusals to keep all of them", username)
            self._left_out += 1
            return True
        self._left_out = 0
        return False

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not (self._stopping.is_set() and self._queue.empty() and not self._waiting):
            try:
                self._wait()
                self.write_waiting()
                pause_s = _FIRST_PAUSE_S
            except HedgerowError as error:
                logger.warning("event=audit_unwritten waiting=%d: %s", len(self._waiting), error)
                if self._stopping.wait(pause_s):
                    break
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _wait(self) -> None:
        if self._waiting or self._stopping.is_set():
            return
        left_s = max(0.0, self._prune_at_s - self._clock.monotonic_s())
        try:
            entry = self._queue.get(timeout=left_s)
        except queue.Empty:
            return
        if entry is not None:
            self._waiting.append(entry)

    def _wake(self) -> None:
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            logger.debug("the audit log is full while stopping")

    def _write(self, entries: Sequence[Entry]) -> None:
        """An entry whose number is taken was written by a call of which the answer got lost."""
        numbered = [
            replace(entry, sequence=sequence, block=block_of(sequence))
            for sequence, entry in enumerate(entries, self._last + 1)
        ]
        self._documents.bulk([Insert(AUDIT, encode(entry, _id(entry.sequence))) for entry in numbered])
        is_new_block = block_of(numbered[-1].sequence) != block_of(self._last)
        self._first = self._first or numbered[0].sequence
        self._last = numbered[-1].sequence
        if is_new_block:
            self._prune_at_s = self._clock.monotonic_s()

    def _prune(self) -> None:
        """Whole blocks from the front, never the one that is being written."""
        while block_of(self._first) < block_of(self._last):
            block = block_of(self._first)
            end = (block + 1) * BLOCK
            if self._last - end < self._max_entries - BLOCK and not self._is_old(end):
                return
            gone = self._documents.find(AUDIT, {"block": block})
            self._documents.bulk([Delete(AUDIT, document["_id"]) for document in gone])
            self._first = end + 1

    def _is_old(self, sequence: int) -> bool:
        document = self._documents.get(AUDIT, _id(sequence))
        return document is not None and decode(Entry, document).at_s < self._clock.now_s() - self._max_age_s

    def _page(self, first: int, last: int, limit: int, organization: str | None, *, is_descending: bool) -> list[Entry]:
        found: list[Entry] = []
        if not self._last:
            return found
        for blocks in chunks(first, last, is_descending=is_descending):
            where: dict[str, Scalar | Sequence[Scalar]] = {"block": blocks}
            if organization is not None:
                where["organization"] = organization
            for document in self._documents.find(AUDIT, where, is_descending=is_descending):
                entry = decode(Entry, document)
                if first <= entry.sequence <= last:
                    found.append(entry)
            if len(found) >= limit:
                break
        return found[:limit]

    def _end_of_log(self, *, is_descending: bool) -> int:
        found = self._documents.find(AUDIT, is_descending=is_descending, limit=1)
        return decode(Entry, found[0]).sequence if found else 0


def _id(sequence: int) -> str:
    """Texts of one length, so that they sort as the numbers do."""
    return f"{sequence:012d}"
