"""What an MQTT connection is told and what it tells; free of paho, whose import costs megabytes."""

from dataclasses import dataclass, field
from typing import Protocol

from edge_common.plumbing.tls import TlsFiles


@dataclass(frozen=True, slots=True)
class MqttEndpoint:
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    tls: TlsFiles | None = None


@dataclass(frozen=True, slots=True)
class MqttTuning:
    keepalive_s: int = 2  # the broker misses a silent client after one and a half of these
    connect_timeout_s: float = 3.0
    first_retry_s: float = 0.3
    last_retry_s: float = 15.0
    session_expiry_s: int = 3_600
    max_queued: int = 1_000
    max_queued_bytes: int = 64 * 1024 * 1024
    max_payload_bytes: int = 16 * 1024 * 1024


class Listener(Protocol):
    """Called from the connection's own thread."""

    def on_connected(self, has_session: bool) -> None: ...

    def on_disconnected(self, reason: str) -> None: ...

    def on_message(self, topic: str, payload: bytes, is_retained: bool) -> None: ...


class LastWill(Protocol):
    @property
    def topic(self) -> str: ...

    @property
    def payload(self) -> bytes: ...

    @property
    def is_retained(self) -> bool: ...
