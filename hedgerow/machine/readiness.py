"""Whether each part answers, and waiting until all do."""

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_common.model.errors import Broken, HedgerowError
from edge_common.plumbing.http_client import HttpClient
from edge_common.plumbing.tls import TlsFiles
from hedgerow.machine.layout import Layout
from hedgerow.machine.programs import BROKER, CLUSTER, CONTAINERD, ROOT
from hedgerow.machine.supervision.interface import Supervisor

_POLL_S = 0.05
_PROBE_TIMEOUT_S = 2.0
_LOG_LINES = 8
_DEATH_PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True)
class Check:
    """`is_ready` may raise HedgerowError or OSError, which means: not yet."""

    part: str
    is_ready: Callable[[], bool]


class NotReady(Broken):
    """`lines` are the last ones of the part's log."""

    def __init__(self, message: str, part: str, lines: Sequence[str]) -> None:
        super().__init__(message)
        self.part = part
        self.lines = tuple(lines)


def checks_of(layout: Layout) -> tuple[Check, ...]:
    return (
        Check(BROKER, lambda: accepts((layout.address, layout.ports.mqtt))),
        Check(CONTAINERD, lambda: accepts(layout.containerd_socket)),
        Check(ROOT, lambda: is_healthy(layout.api_url, layout.tls_of(ROOT))),
        Check(CLUSTER, lambda: is_healthy(layout.cluster_url, layout.tls_of(CLUSTER))),
    )


def is_healthy(url: str, tls: TlsFiles | None = None) -> bool:
    client = HttpClient(url, timeout_s=_PROBE_TIMEOUT_S, tls=tls)
    try:
        answer: Any = client.request("GET", "/api/health")
        return isinstance(answer, dict) and answer.get("status") == "ok"
    finally:
        client.close()


def wait_until_ready(
    checks: Sequence[Check], supervisor: Supervisor, on_ready: Callable[[str], None], deadline_s: float
) -> None:
    """`deadline_s` is on the monotonic clock. Raises NotReady for a part that is not ready then, or keeps dying."""
    waiting = list(checks)
    patient_until_s = time.monotonic() + _DEATH_PATIENCE_S
    while waiting:
        for check in tuple(waiting):
            if _is_ready(check):
                waiting.remove(check)
                on_ready(check.part)
        now_s = time.monotonic()
        if waiting and now_s > deadline_s:
            raise _not_ready(waiting[0].part, supervisor)
        if waiting and now_s > patient_until_s:
            _refuse_dying([check.part for check in waiting], supervisor)
        if waiting:
            time.sleep(_POLL_S)


def _refuse_dying(parts: Sequence[str], supervisor: Supervisor) -> None:
    """A part that dies again and again will not become ready: no need to wait for the deadline."""
    states = supervisor.states()
    for part in parts:
        if part not in states or not states[part].is_running:
            raise _not_ready(part, supervisor)


def _not_ready(part: str, supervisor: Supervisor) -> NotReady:
    state = supervisor.states().get(part)
    if state is None or not state.is_running:
        said = f"{part} does not run ({state.detail if state else 'unknown to the supervisor'})"
    else:
        said = f"{part} runs but is not ready in time"
    lines = supervisor.last_lines(part, _LOG_LINES)
    advice = "These are the last lines of its log" if lines else "Its log is empty"
    return NotReady(f"{said}. {advice}; mend the cause and run `hedgerow up` again.", part, lines)


def _is_ready(check: Check) -> bool:
    try:
        return check.is_ready()
    except (HedgerowError, OSError):
        return False


def accepts(address: tuple[str, int] | Path) -> bool:
    """Whether something listens there."""
    where: str | tuple[str, int]
    if isinstance(address, Path):
        family, where = socket.AF_UNIX, str(address)
    else:
        family, where = socket.AF_INET6 if ":" in address[0] else socket.AF_INET, address
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        return probe.connect_ex(where) == 0
