"""Who acts on a store: one process at a time, by a document that it renews and that the others watch.

Nobody compares clocks. A standby takes over what it has itself seen unchanged for the lease's length; the holder ends
well before that, counted from the moment at which it began the last renewal that was acknowledged.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn

from edge_common.model.errors import Broken, Conflict, HedgerowError, Unreachable
from edge_common.plumbing.data_dir import DataDirectory
from edge_common.plumbing.documents.codec import decode, encode
from edge_common.plumbing.documents.interface import Documents
from edge_common.plumbing.ids import random_id

logger = logging.getLogger(__name__)

COLLECTION = "tier_lease"
DOCUMENT_ID = "tier"
RENEWALS = 5
"""In one length, so that two may fail in a row."""
LOOKS = 10
"""Of a standby in one length."""
HOLDER_ENDS_AFTER = 2 / 3
SAY_EVERY_S = 60.0
LOST_STATUS = 75  # EX_TEMPFAIL: whoever supervises us starts us again, and we stand by


@dataclass(frozen=True, slots=True)
class Lease:
    """`holder` names a data directory, `process` one process that used it; `holder` "" is a lease given back."""

    tier: str
    holder: str
    process: str
    where: str
    version: int = 0


class Patience:
    """What a standby has seen of the lease so far."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._seen: Lease | None = None
        self._since_s = 0.0

    def may_take(self, found: Lease, mine: Lease, now_s: float) -> bool:
        """What our own data directory holds is a dead process's, or a write of ours that was not acknowledged."""
        if found.holder in {"", mine.holder}:
            return True
        if found != self._seen:
            self._seen, self._since_s = found, now_s
        return now_s - self._since_s >= self._length_s


def boot_time_s() -> float:
    """Goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def end_process(reason: str) -> NoReturn:
    """At once: whatever would be tidied up belongs to somebody else from here on."""
    logger.critical("event=store_lease_lost reason=%r action=end", reason)
    os._exit(LOST_STATUS)


class StoreLease:
    def __init__(
        self,
        documents: Documents,
        directory: DataDirectory,
        tier: str,
        length_s: float,
        on_lost: Callable[[str], object] = end_process,
        now_s: Callable[[], float] = boot_time_s,
    ) -> None:
        self._documents = documents
        self._directory = directory
        self._mine = Lease(tier, "", random_id(), f"{socket.gethostname()} pid {os.getpid()}")
        self._length_s = length_s
        self._on_lost = on_lost
        self._now_s = now_s
        self._acts_until_s = float("-inf")
        self._said_s = float("-inf")
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    @property
    def is_held(self) -> bool:
        return self._now_s() < self._acts_until_s

    def take(self) -> bool:
        """Waits until it is ours, and keeps it from then on; False when stopped before.

        Raises Broken when the store belongs to another kind of tier.
        """
        patience = Patience(self._length_s)
        while not self._stopping.is_set():
            begun_s = self._now_s()
            if self._try_to_take(patience):
                self._renewed(begun_s)
                return self._keep()
            self._stopping.wait(self._length_s / LOOKS)
        return False

    def stop(self) -> None:
        """Gives it back, so that a standby need not wait. Call it after the last write."""
        with self._lock:
            self._stopping.set()
        for thread in self._threads:
            thread.join(self._length_s)
        if self.is_held:
            self._give_back()
        self._directory.release()

    def _keep(self) -> bool:
        with self._lock:
            if self._stopping.is_set():
                return False
            for run in (self._renew_until_stopped, self._watch_deadline):
                thread = threading.Thread(target=run, name="store-lease", daemon=True)
                thread.start()
                self._threads.append(thread)
        return True

    def _try_to_take(self, patience: Patience) -> bool:
        holder = self._directory.claim()
        if holder is None:
            self._stand_by(f"another process uses {self._directory}")
            return False
        self._mine = replace(self._mine, holder=holder)
        try:
            found = self._read()
            if found is None:
                self._documents.insert(COLLECTION, encode(self._mine, DOCUMENT_ID))
                return True
            if found.tier != self._mine.tier:
                raise Broken(f"This store is a {found.tier}'s; give this {self._mine.tier} a store_url of its own.")
            if patience.may_take(found, self._mine, self._now_s()):  # after the read, which may have taken long
                return self._write(self._mine, found)
            self._stand_by(f"{found.where} acts on this store")
        except Conflict:
            logger.debug("another process was first to take the lease")
        except Unreachable as error:
            self._stand_by(str(error))
        return False

    def _stand_by(self, reason: str) -> None:
        if self._now_s() - self._said_s >= SAY_EVERY_S:
            self._said_s = self._now_s()
            logger.warning("event=standby reason=%r", reason)

    def _renew_until_stopped(self) -> None:
        while not self._stopping.wait(self._length_s / RENEWALS):
            begun_s = self._now_s()
            try:
                found = self._read()
                if found is None or found.process != self._mine.process:
                    self._lose(f"{found.where} has taken it" if found else "its document was deleted")
                elif self._write(self._mine, found):
                    self._renewed(begun_s)
            except HedgerowError as error:
                logger.warning("event=store_lease_not_renewed reason=%r", str(error))

    def _watch_deadline(self) -> None:
        """Apart from the renewals: one of them may hang for longer than the lease."""
        while not self._stopping.wait(max(0.0, min(1.0, self._acts_until_s - self._now_s()))):
            if not self.is_held:
                self._lose("the store did not acknowledge a renewal in time")

    def _renewed(self, begun_s: float) -> None:
        self._acts_until_s = begun_s + self._length_s * HOLDER_ENDS_AFTER

    def _lose(self, reason: str) -> None:
        self._acts_until_s = float("-inf")
        self._stopping.set()
        self._on_lost(reason)

    def _give_back(self) -> None:
        try:
            found = self._read()
            if found is not None and found.process == self._mine.process:
                self._write(replace(self._mine, holder=""), found)
        except HedgerowError as error:
            logger.warning("event=store_lease_not_given_back reason=%r", str(error))

    def _read(self) -> Lease | None:
        found = self._documents.get(COLLECTION, DOCUMENT_ID)
        return None if found is None else decode(Lease, found)

    def _write(self, lease: Lease, over: Lease) -> bool:
        return self._documents.replace(COLLECTION, encode(lease, DOCUMENT_ID), over.version)
