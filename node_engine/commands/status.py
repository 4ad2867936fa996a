"""`NodeEngine status`: put together from what the engine keeps on disk, so that it also answers when none runs."""

import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from edge_common.model.errors import Forbidden
from node_engine.adapters.cluster_address import shown
from node_engine.adapters.engine_lock import running_engine
from node_engine.adapters.link_note import LinkNote, read_note
from node_engine.commands.member import Member, read_member
from node_engine.commands.network import network_state
from node_engine.commands.records import kept_records
from node_engine.core.record import Record
from node_engine.settings import Settings


@dataclass(frozen=True, slots=True)
class Status:
    """`engine_pid` None: it does not run. `member` None: it never joined. `link` None: nobody knows."""

    name: str
    parent_url: str
    engine_pid: int | None
    member: Member | None
    link: LinkNote | None
    network: str
    instances: tuple[Record, ...]


def show(settings: Settings, output: str) -> Iterable[str]:
    status = read_status(settings)
    return [as_json(status)] if output == "json" else as_text(status, time.time())


def read_status(settings: Settings) -> Status:
    """Raises Forbidden when only root can know."""
    if settings.data_dir.exists() and not os.access(settings.data_dir, os.R_OK | os.X_OK):
        raise Forbidden(f"Only root can read {settings.data_dir}; try again with sudo.")
    pid = running_engine(settings.data_dir)
    return Status(
        name=settings.name or socket.gethostname(),
        parent_url=settings.parent_url,
        engine_pid=pid,
        member=read_member(settings),
        link=None if pid is None else read_note(settings.data_dir),
        network=network_state(settings),
        instances=tuple(kept_records(settings)),
    )


def as_text(status: Status, now_s: float) -> Iterator[str]:
    """A line a fact, then a line an instance."""
    member = status.member
    facts = {
        "name": status.name,
        "id": member.child_id if member and member.child_id else "none; it has not asked to join yet",
        "key": member.key_fingerprint if member else "",
        "cluster": _cluster(status),
        "cluster's CA": member.ca_fingerprint if member else "",
        "certificate": _certificate(member, now_s),
        "engine": "does not run" if status.engine_pid is None else f"runs, pid {status.engine_pid}",
        "link": _link(status.link, now_s) if status.engine_pid is not None else "",
        "network": status.network,
        "instances": str(len(status.instances)),
    }
    yield from (f"{name + ':':<14}{value}" for name, value in facts.items() if value)
    yield from (f"  {line(record)}" for record in status.instances)


def as_json(status: Status) -> str:
    document = {
        "name": status.name,
        "id": status.member.child_id if status.member else "",
        "key_fingerprint": status.member.key_fingerprint if status.member else "",
        "parent_url": status.parent_url,
        "parent_name": status.member.parent_name if status.member else "",
        "ca_fingerprint": status.member.ca_fingerprint if status.member else "",
        "certificate_ends_at": _iso(status.member.certificate_end_s) if status.member else "",
        "is_joined": bool(status.member and status.member.is_admitted),
        "engine_pid": status.engine_pid,
        "link": None if status.link is None else {**asdict(status.link), "since": _iso(status.link.since_s)},
        "network": status.network,
        "instances": [_instance(record) for record in status.instances],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def line(record: Record) -> str:
    place = f"{record.spec.name} #{record.instance_number}"
    words = (record.instance_id, place, f"attempt={record.attempt}", record.state, record.reason, record.detail)
    return " ".join(word for word in words if word)


def _instance(record: Record) -> dict[str, object]:
    return {
        "id": record.instance_id,
        "service": record.spec.name,
        "number": record.instance_number,
        "attempt": record.attempt,
        "state": record.state,
        "reason": record.reason,
        "detail": record.detail,
        "changed_at": _iso(record.changed_at_s),
    }


def _cluster(status: Status) -> str:
    if status.member is None or not status.member.is_admitted:
        return f"{shown(status.parent_url)}, which has not admitted it yet"
    return f"{status.member.parent_name} at {shown(status.parent_url)}"


def _certificate(member: Member | None, now_s: float) -> str:
    if member is None or member.certificate_end_s is None:
        return ""
    left_s = member.certificate_end_s - now_s
    when = _iso(member.certificate_end_s)
    return f"until {when}, for {_span(left_s)}" if left_s > 0 else f"ended at {when}"


def _link(note: LinkNote | None, now_s: float) -> str:
    if note is None:
        return "unknown"
    how = "connected" if note.is_connected else "not connected"
    why = f": {note.reason}" if note.reason else ""
    return f"{how} since {_iso(note.since_s)}, {_span(now_s - note.since_s)} ago{why}"


def _iso(time_s: float | None) -> str:
    return (
        "" if not time_s else datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    )


def _span(seconds: float) -> str:
    for size_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
