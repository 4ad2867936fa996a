"""What a login begins: a family of refresh tokens of which only the newest counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

IDLE_S = 7 * 86_400
"""A session that nobody refreshes for so long is over."""
LONGEST_S = 30 * 86_400
"""After this one has to log in again, however busy the session was."""
LEEWAY_S = 10.0
"""For so long the token before the newest is taken too: its answer got lost, or two programs share a session."""
MAX_SESSIONS = 100
"""For each user. Programs that log in for each command fill it, so what was never refreshed goes first."""


@dataclass(frozen=True, slots=True)
class Session:
    """Written by the people's writer. `generation` is that of the newest refresh token."""

    session_id: str
    username: str
    created_at_s: float
    refreshed_at_s: float
    generation: int = 1


class Refresh(StrEnum):
    """REUSED: somebody has a copy of an old token, so nobody's counts any more."""

    ROTATED = "rotated"
    REPEATED = "repeated"
    REUSED = "reused"
    OVER = "over"


def ends_at_s(session: Session) -> float:
    return min(session.refreshed_at_s + IDLE_S, session.created_at_s + LONGEST_S)


def refreshed(session: Session, generation: int, now_s: float) -> tuple[Session, Refresh]:
    """`generation` is that of the token which asks."""
    if now_s >= ends_at_s(session):
        return session, Refresh.OVER
    if generation == session.generation:
        return replace(session, generation=generation + 1, refreshed_at_s=now_s), Refresh.ROTATED
    if generation == session.generation - 1 and now_s < session.refreshed_at_s + LEEWAY_S:
        return session, Refresh.REPEATED
    return session, Refresh.REUSED


def superfluous(sessions: Sequence[Session], now_s: float) -> list[str]:
    """Ids to delete before one more is added: what is over, and the longest unused beyond the bound."""
    over = [each for each in sessions if now_s >= ends_at_s(each)]
    living = sorted((each for each in sessions if now_s < ends_at_s(each)), key=_worth)
    return [each.session_id for each in (*over, *living[: max(0, len(living) - MAX_SESSIONS + 1)])]


def _worth(session: Session) -> tuple[bool, float]:
    return session.generation > 1, session.refreshed_at_s
