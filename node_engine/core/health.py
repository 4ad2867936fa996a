"""What the probes of one running attempt have said so far, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edge_common.model.lifecycle import Health
from edge_common.model.probes import Probe, ProbeRole, Probes

FIRST_GAP_S = 0.1
"""The first questions come closer together, doubling up to the interval, so that a quick start is seen at once. However
many there are, a failure counts once an interval."""
_MAX_DOUBLINGS = 16
_EARLY = 0.9


@dataclass(frozen=True, slots=True)
class Answer:
    """`detail` says in a few words what was wrong, "" when nothing was."""

    is_well: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """Answers in a row, and what was wrong in the last one; times are monotonic.

    `due_s` is None while a question is under way.
    """

    due_s: float | None
    asked: int = 0
    successes: int = 0
    failures: int = 0
    failed_at_s: float = float("-inf")
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    probes: Probes
    health: Health
    tallies: Mapping[ProbeRole, Tally] = field(default_factory=dict)

    @property
    def detail(self) -> str:
        """What is wrong, of readiness before liveness; "" while both are well."""
        return next((tally.detail for tally in self.tallies.values() if tally.detail), "")


def began(probes: Probes, now_s: float) -> Checked:
    """As of an attempt that began to run just now."""
    if probes.startup is not None:
        return _asking(Checked(probes, Health.STARTING), (ProbeRole.STARTUP,), now_s)
    return _started(probes, now_s)


def adopted(probes: Probes, health: Health, now_s: float) -> Checked:
    """As of an attempt that an earlier engine looked after: what that found last holds until a probe says else."""
    if health in {Health.UNKNOWN, Health.STARTING}:
        return began(probes, now_s)
    return replace(_started(probes, now_s), health=health if probes.readiness is not None else Health.HEALTHY)


def due(checked: Checked, now_s: float) -> list[ProbeRole]:
    return [role for role, tally in checked.tallies.items() if tally.due_s is not None and tally.due_s <= now_s]


def wake_s(checked: Checked) -> float | None:
    """When the next question is due (monotonic); None while there is none but those under way."""
    return min((tally.due_s for tally in checked.tallies.values() if tally.due_s is not None), default=None)


def asked(checked: Checked, role: ProbeRole) -> Checked:
    tally = checked.tallies[role]
    return _with(checked, role, replace(tally, due_s=None, asked=tally.asked + 1))


def heard(checked: Checked, role: ProbeRole, answer: Answer, now_s: float) -> tuple[Checked, str]:
    """With the answer counted; and why the instance has to be restarted, "" when it has not."""
    probe, tally = checked.probes.of(role), checked.tallies.get(role)
    if probe is None or tally is None:
        return checked, ""
    tally = _counted(probe, tally, answer, now_s)
    checked = _with(checked, role, tally)
    if answer.is_well and tally.successes >= probe.successes:
        return _well(checked, role, now_s), ""
    if not answer.is_well and tally.failures >= probe.failures:
        return _unwell(checked, role, probe, answer)
    return checked, ""


def _started(probes: Probes, now_s: float) -> Checked:
    health = Health.HEALTHY if probes.readiness is None else Health.STARTING
    return _asking(Checked(probes, health), (ProbeRole.READINESS, ProbeRole.LIVENESS), now_s)


def _asking(checked: Checked, roles: tuple[ProbeRole, ...], now_s: float) -> Checked:
    wanted = {role: checked.probes.of(role) for role in roles}
    tallies = {role: Tally(now_s + probe.initial_delay_s) for role, probe in wanted.items() if probe is not None}
    return replace(checked, tallies=tallies)


def _counted(probe: Probe, tally: Tally, answer: Answer, now_s: float) -> Tally:
    gap_s = min(probe.interval_s, FIRST_GAP_S * 2.0 ** min(max(tally.asked, 1) - 1, _MAX_DOUBLINGS))
    tally = replace(tally, due_s=now_s + gap_s, detail=answer.detail)
    if answer.is_well:
        return replace(tally, successes=tally.successes + 1, failures=0, failed_at_s=float("-inf"))
    if now_s - tally.failed_at_s < probe.interval_s * _EARLY:
        return replace(tally, successes=0)
    return replace(tally, successes=0, failures=tally.failures + 1, failed_at_s=now_s)


def _well(checked: Checked, role: ProbeRole, now_s: float) -> Checked:
    if role is ProbeRole.STARTUP:
        return _started(checked.probes, now_s)
    return replace(checked, health=Health.HEALTHY) if role is ProbeRole.READINESS else checked


def _unwell(checked: Checked, role: ProbeRole, probe: Probe, answer: Answer) -> tuple[Checked, str]:
    if role is ProbeRole.READINESS:
        return replace(checked, health=Health.UNHEALTHY), ""
    times = "" if probe.failures == 1 else f" {probe.failures} times in a row"
    return checked, f"its {role} probe failed{times} ({answer.detail or 'without a word'})"


def _with(checked: Checked, role: ProbeRole, tally: Tally) -> Checked:
    return replace(checked, tallies={**checked.tallies, role: tally})
