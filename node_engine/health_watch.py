"""Asks those that run how they are, as often as their specs want it."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from edge_common.model.ids import InstanceId
from edge_common.model.lifecycle import Health, State
from edge_common.model.probes import Probe, ProbeRole
from edge_common.plumbing.clock import Clock
from node_engine.core import health
from node_engine.core.health import Answer, Checked
from node_engine.core.record import Record
from node_engine.core.task import TaskKey
from node_engine.events import ProbeAnswered
from node_engine.ports import Pool, Prober

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
FULL_RETRY_S = 0.1
"""Until the next try when the pool had no room: probes then come late, none is left out."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`why` is the reason to restart it, "" when there is none; `detail` what was wrong last."""

    key: TaskKey
    health: Health
    detail: str
    why: str


@dataclass(slots=True)
class _Followed:
    key: TaskKey
    runtime: str
    address: str
    checked: Checked


class HealthWatch:
    """All calls come from the mailbox's thread."""

    def __init__(self, prober: Prober, pool: Pool, clock: Clock) -> None:
        self._prober = prober
        self._pool = pool
        self._clock = clock
        self._followed: dict[InstanceId, _Followed] = {}

    def follow(self, records: Iterable[Record]) -> None:
        """These are new or have changed."""
        for record in records:
            if record.state is not State.RUNNING or not record.spec.probes.are_there:
                self._followed.pop(record.instance_id, None)
                continue
            known = self._followed.get(record.instance_id)
            if known is None or known.key != record.key:
                checked = health.adopted(record.spec.probes, record.health, self._clock.monotonic_s())
                self._followed[record.instance_id] = _Followed(
                    record.key, record.spec.runtime, record.ip or LOOPBACK, checked
                )

    def ask(self) -> float:
        """Put the questions that are due, the oldest first; returns the seconds until the next ones are."""
        now_s = self._clock.monotonic_s()
        due = [each for each in self._followed.values() if _wake_s(each) <= now_s]
        for followed in sorted(due, key=_wake_s):
            self._put(followed, now_s)
        next_s = min(map(_wake_s, self._followed.values()), default=float("inf"))
        return max(next_s - now_s, FULL_RETRY_S)

    def heard(self, event: ProbeAnswered) -> Judgement | None:
        """None of one that runs no more."""
        followed = self._followed.get(event.key.instance_id)
        if followed is None or followed.key != event.key:
            return None
        now_s = self._clock.monotonic_s()
        followed.checked, why = health.heard(followed.checked, event.role, event.answer, now_s)
        return Judgement(event.key, followed.checked.health, followed.checked.detail, why)

    def _put(self, followed: _Followed, now_s: float) -> None:
        for role in health.due(followed.checked, now_s):
            probe = followed.checked.probes.of(role)
            if probe is not None and self._pool.room():
                followed.checked = health.asked(followed.checked, role)
                self._pool.submit(
                    partial(_ask, self._prober, followed.key, followed.runtime, followed.address, role, probe)
                )


def _wake_s(followed: _Followed) -> float:
    wake_s = health.wake_s(followed.checked)
    return float("inf") if wake_s is None else wake_s


def _ask(prober: Prober, key: TaskKey, runtime: str, address: str, role: ProbeRole, probe: Probe) -> ProbeAnswered:
    try:
        answer = prober.ask(key, runtime, probe, address)
    except Exception:
        logger.exception("event=probe_broke task=%s role=%s", key, role)
        answer = Answer(False, "the node engine failed over the probe; its log says how")
    return ProbeAnswered(key, role, answer)
