"""What a transport says, as events for a mailbox."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class End(StrEnum):
    """Which end of a link we are: a cluster has an UPPER link to its root and a LOWER one to its nodes."""

    UPPER = "upper"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Connected:
    end: End
    has_session: bool


@dataclass(frozen=True, slots=True)
class Disconnected:
    end: End
    reason: str


@dataclass(frozen=True, slots=True)
class MessageArrived:
    end: End
    topic: str
    payload: bytes


LinkEvent = Connected | Disconnected | MessageArrived


class PostingEvents:
    """Transport callbacks that only post. What a full mailbox drops, the next report or resync brings again."""

    def __init__(self, end: End, post: Callable[[object], bool]) -> None:
        self._end = end
        self._post = post

    def on_connected(self, has_session: bool) -> None:
        self._post(Connected(self._end, has_session))

    def on_disconnected(self, reason: str) -> None:
        self._post(Disconnected(self._end, reason))

    def on_message(self, topic: str, payload: bytes, is_retained: bool) -> None:
        del is_retained
        self._post(MessageArrived(self._end, topic, payload))
