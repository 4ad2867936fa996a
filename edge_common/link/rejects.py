"""Counts messages that cannot be used and logs the first of each kind: a broken peer must not fill our log."""

import logging

logger = logging.getLogger(__name__)

MAX_REMEMBERED = 1_000


class Rejects:
    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._logged: set[str] = set()
        self.total = 0

    def count(self, topic: str, why: str) -> None:
        self.total += 1
        if topic in self._logged or len(self._logged) >= MAX_REMEMBERED:
            return
        self._logged.add(topic)
        logger.warning("event=message_rejected link=%s topic=%.200s reason=%.500r", self._owner, topic, why)
