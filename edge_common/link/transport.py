"""What the link asks of whatever carries its messages: MQTT in production, memory in tests and in the simulation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says for a client that vanishes without a goodbye."""

    topic: str
    payload: bytes
    is_retained: bool = True


class TransportEvents(Protocol):
    """Called from the transport's own thread: an implementation only posts to a mailbox."""

    def on_connected(self, has_session: bool) -> None:
        """`has_session`: the broker still knew this client, so it also delivers what was missed meanwhile."""

    def on_disconnected(self, reason: str) -> None:
        """The connection ended, or an attempt to connect failed; the transport goes on trying."""

    def on_message(self, topic: str, payload: bytes, is_retained: bool) -> None: ...


class Transport(Protocol):
    """At-least-once delivery, in order for each sender while nothing is lost. Thread-safe; only `stop` blocks."""

    def publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> None:
        """Queues while there is no connection. An empty retained payload forgets the topic.

        Raises `Overloaded` when the bounded queue is full, `TooLarge` when no broker of ours would take the payload.
        """

    def subscribe(self, topics: Sequence[str]) -> None:
        """Remembered and repeated at each connect."""

    def unsubscribe(self, topics: Sequence[str]) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None:
        """Says goodbye, so that the will is not sent. Waits a short time for what is still queued."""

    @property
    def is_connected(self) -> bool: ...

    @property
    def is_refused(self) -> bool:
        """Whether the broker turned down our credentials at the last attempt: time to join again."""
