"""Small things that many tests need."""

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], timeout_s: float = 10.0, interval_s: float = 0.02, message: str = "") -> T:
    """Returns the first true value of `condition`; fails the test when there is none in time."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline_s:
            raise AssertionError(
                f"{message or 'The condition'} did not come true within {timeout_s} s; last: {value!r}"
            )
        time.sleep(interval_s)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
