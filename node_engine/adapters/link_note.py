"""Whether the engine has its link just now, in a small file for `NodeEngine status`: written when that changes."""

import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_common.link.transport import TransportEvents
from edge_common.plumbing.clock import Clock

logger = logging.getLogger(__name__)

FILE = "link.json"
_MAX_REASON = 300


@dataclass(frozen=True, slots=True)
class LinkNote:
    """`since_s` is wall time. `reason` is why there is no link."""

    is_connected: bool
    since_s: float
    reason: str = ""


class NotingEvents:
    """Passes on what a transport says, and notes when the link comes and goes."""

    def __init__(self, events: TransportEvents, data_dir: Path, clock: Clock) -> None:
        self._events = events
        self._file = data_dir / FILE
        self._clock = clock
        self._note = LinkNote(is_connected=False, since_s=clock.now_s(), reason="not tried yet")
        _write(self._file, self._note)

    def on_connected(self, has_session: bool) -> None:
        self._keep(is_connected=True, reason="")
        self._events.on_connected(has_session)

    def on_disconnected(self, reason: str) -> None:
        self._keep(is_connected=False, reason=reason[:_MAX_REASON])
        self._events.on_disconnected(reason)

    def on_message(self, topic: str, payload: bytes, is_retained: bool) -> None:
        self._events.on_message(topic, payload, is_retained)

    def _keep(self, *, is_connected: bool, reason: str) -> None:
        is_same = is_connected == self._note.is_connected
        note = LinkNote(is_connected, self._note.since_s if is_same else self._clock.now_s(), reason)
        if note != self._note:
            self._note = note
            _write(self._file, note)


def read_note(data_dir: Path) -> LinkNote | None:
    """None when no engine wrote one."""
    try:
        found = json.loads((data_dir / FILE).read_text("utf-8"))
        return LinkNote(bool(found["is_connected"]), float(found["since_s"]), str(found["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_note(data_dir: Path) -> None:
    """What an earlier engine noted says nothing of the next one."""
    (data_dir / FILE).unlink(missing_ok=True)


def _write(file: Path, note: LinkNote) -> None:
    """Not worth a wait for the disk: the next start writes it anew. A full disk must not break the link."""
    temporary = file.with_name(f".{file.name}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump(asdict(note), opened)
        temporary.replace(file)
    except OSError as error:
        logger.warning("event=note_not_written file=%s reason=%r", file, str(error))
