"""Publications that wait for their turn or for the broker's acknowledgement, bounded in number and in bytes."""

import threading
from collections import deque
from dataclasses import dataclass

from edge_common.model.errors import Overloaded, TooLarge


@dataclass(frozen=True, slots=True)
class Outgoing:
    topic: str
    payload: bytes
    is_retained: bool


class MqttOutbox:
    """Thread-safe. A message counts against the bounds until the broker has it."""

    def __init__(self, max_messages: int, max_bytes: int, max_in_flight: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._max_in_flight = max_in_flight
        self._lock = threading.Lock()
        self._waiting: deque[Outgoing] = deque()
        self._in_flight: dict[int, Outgoing] = {}
        self._bytes = 0

    @property
    def is_empty(self) -> bool:
        with self._lock:
            return not self._waiting and not self._in_flight

    def put(self, message: Outgoing, max_payload_bytes: int) -> None:
        """Raises TooLarge and Overloaded."""
        size = len(message.payload)
        if size > max_payload_bytes:
            raise TooLarge(f"A message of {size} bytes for {message.topic} is over the {max_payload_bytes} allowed.")
        with self._lock:
            count = len(self._waiting) + len(self._in_flight)
            if count >= self._max_messages or self._bytes + size > self._max_bytes:
                raise Overloaded(f"{count} messages of {self._bytes} bytes already wait for the broker.")
            self._waiting.append(message)
            self._bytes += size

    def take(self) -> Outgoing | None:
        """The next one to send; None when there is none, or as many are unacknowledged as may be."""
        with self._lock:
            if not self._waiting or len(self._in_flight) >= self._max_in_flight:
                return None
            return self._waiting.popleft()

    def sent(self, mid: int, message: Outgoing) -> None:
        with self._lock:
            self._in_flight[mid] = message

    def done(self, mid: int) -> Outgoing | None:
        with self._lock:
            message = self._in_flight.pop(mid, None)
            if message is not None:
                self._bytes -= len(message.payload)
            return message
