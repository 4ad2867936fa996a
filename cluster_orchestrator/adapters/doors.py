"""Answers questions about the cluster's doors beside the mailbox: they wait for the store and the broker."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any

from edge_common.model.errors import Broken, HedgerowError, Overloaded

logger = logging.getLogger(__name__)

THREADS = 2
MAX_OPEN = 16

Answer = Mapping[str, Any] | HedgerowError


class PooledDoors:
    """Implements DoorQuestions."""

    def __init__(self, answer: Callable[[str, Mapping[str, Any]], Mapping[str, Any]]) -> None:
        self._answer = answer
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="doors")
        self._room = BoundedSemaphore(MAX_OPEN)

    def ask(self, kind: str, body: Mapping[str, Any], reply: Callable[[Answer], None]) -> None:
        if not self._room.acquire(blocking=False):
            raise Overloaded(f"{MAX_OPEN} questions about the doors wait for an answer already. Try again in a moment.")
        self._pool.submit(self._work, kind, body, reply)

    def stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _work(self, kind: str, body: Mapping[str, Any], reply: Callable[[Answer], None]) -> None:
        try:
            reply(self._tried(kind, body))
        except Exception:
            logger.exception("event=reply_broke kind=%s", kind)
        finally:
            self._room.release()

    def _tried(self, kind: str, body: Mapping[str, Any]) -> Answer:
        try:
            return self._answer(kind, body)
        except HedgerowError as error:
            return error
        except Exception:
            logger.exception("event=answer_broke kind=%s", kind)
            return Broken("The cluster failed over this question; its log says how.")
