"""Keeps a child a member of its parent: joins until it is admitted, and again when the broker turns it down."""

import logging
import threading
from collections.abc import Callable
from random import SystemRandom
from typing import Protocol

from edge_common.link.identity import Identity, IdentityFiles
from edge_common.link.join import Waiting
from edge_common.model.errors import HedgerowError
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.mqtt_types import MqttEndpoint

logger = logging.getLogger(__name__)

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0
LOOK_EVERY_S = 5.0
ASK_AGAIN_S = 300.0
"""A child that its broker's address has left alone for so long, up to twice, asks its parent whether there is another;
not sooner, as thousands may be alone at once."""
_SYSTEM_RANDOM = SystemRandom()


class Renewable(Protocol):
    """A transport that can be given new credentials."""

    @property
    def is_connected(self) -> bool: ...

    @property
    def is_refused(self) -> bool: ...

    def renew(self, endpoint: MqttEndpoint) -> None: ...


class Membership:
    def __init__(
        self,
        join_once: Callable[[], Identity],
        files: IdentityFiles,
        clock: Clock,
        chance: Callable[[], float] = _SYSTEM_RANDOM.random,
    ) -> None:
        self._join_once = join_once
        self._files = files
        self._clock = clock
        self._chance = chance
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_said = ""
        self._ask_again_at_s = self._next_asking_s()

    def identity(self) -> Identity | None:
        """That on disk, else joins until it is admitted; needs no network once it was. None when stopped before."""
        return self._files.load() or self._join()

    def keep(self, transport: Renewable) -> None:
        """From now on, in a thread of its own, join again whenever the broker refuses us or our certificate ended."""
        self._thread = threading.Thread(target=self._keep, args=(transport,), name="membership", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(LOOK_EVERY_S)

    def must_join(self, transport: Renewable) -> bool:
        if transport.is_refused:
            return True
        if transport.is_connected:
            return False
        identity = self._files.load()
        return identity is not None and identity.certificate_ends_s <= self._clock.now_s()

    def look(self, transport: Renewable) -> None:
        """Does what there is to do now; in production this is called every LOOK_EVERY_S."""
        if transport.is_connected:
            self._ask_again_at_s = self._next_asking_s()
            return
        identity: Identity | None = None
        if self.must_join(transport):
            logger.warning("event=credentials_refused action=join_again")
            identity = self._join()
        elif self._clock.monotonic_s() >= self._ask_again_at_s:
            self._ask_again_at_s = self._next_asking_s()
            identity = self._ask()
        if identity is not None:
            transport.renew(identity.endpoint)

    def _next_asking_s(self) -> float:
        return self._clock.monotonic_s() + ASK_AGAIN_S * (1 + self._chance())

    def _keep(self, transport: Renewable) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            try:
                self.look(transport)
            except Exception:
                logger.exception("event=membership_failed")

    def _join(self) -> Identity | None:
        delay_s = FIRST_RETRY_S
        while not self._stopping.is_set():
            identity = self._ask()
            if identity is not None:
                return identity
            self._stopping.wait(delay_s * (0.5 + self._chance() / 2))
            delay_s = min(delay_s * 2, LAST_RETRY_S)
        return None

    def _ask(self) -> Identity | None:
        """Once. What went wrong is in the log."""
        try:
            return self._join_once()
        except Waiting as waiting:
            self._say(logging.INFO, f"event=join_waiting reason={str(waiting)!r}")
        except HedgerowError as error:
            self._say(logging.WARNING, f"event=join_failed reason={str(error)!r}")
        return None

    def _say(self, level: int, message: str) -> None:
        """The same again and again is told once."""
        logger.log(level if message != self._last_said else logging.DEBUG, "%s", message)
        self._last_said = message
