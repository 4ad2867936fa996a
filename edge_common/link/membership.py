"""Keeps a child a member of its parent: joins until it is admitted, and again when the broker turns it down."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom
from typing import Protocol

from edge_common.link.join import Identity, load_identity
from edge_common.model.errors import HedgerowError
from edge_common.plumbing.mqtt_types import MqttEndpoint

logger = logging.getLogger(__name__)

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0
LOOK_EVERY_S = 5.0
_SYSTEM_RANDOM = SystemRandom()


class Renewable(Protocol):
    """A transport that can be given new credentials."""

    @property
    def is_refused(self) -> bool: ...

    def renew(self, endpoint: MqttEndpoint) -> None: ...


class Membership:
    def __init__(
        self,
        join_once: Callable[[], Identity],
        identity_file: Path,
        chance: Callable[[], float] = _SYSTEM_RANDOM.random,
    ) -> None:
        self._join_once = join_once
        self._identity_file = identity_file
        self._chance = chance
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def identity(self) -> Identity | None:
        """That on disk, else joins until it is admitted; needs no network once it was. None when stopped before."""
        return load_identity(self._identity_file) or self._join()

    def keep(self, transport: Renewable) -> None:
        """From now on, in a thread of its own, join again whenever the broker refuses us."""
        self._thread = threading.Thread(target=self._keep, args=(transport,), name="membership", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(LOOK_EVERY_S)

    def _keep(self, transport: Renewable) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            if transport.is_refused:
                logger.warning("event=credentials_refused action=join_again")
                identity = self._join()
                if identity is not None:
                    transport.renew(identity.endpoint)

    def _join(self) -> Identity | None:
        delay_s = FIRST_RETRY_S
        while not self._stopping.is_set():
            try:
                return self._join_once()
            except HedgerowError as error:
                logger.warning("event=join_failed reason=%r retry_s=%.1f", str(error), delay_s)
            self._stopping.wait(delay_s * (0.5 + self._chance() / 2))
            delay_s = min(delay_s * 2, LAST_RETRY_S)
        return None
