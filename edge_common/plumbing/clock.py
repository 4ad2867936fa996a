"""Where time comes from, so that tests and simulation can own it."""

import time
from typing import Protocol


class Clock(Protocol):
    def now_s(self) -> float:
        """Wall time in seconds since the epoch; may jump."""

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment; never goes back."""


class SystemClock:
    def now_s(self) -> float:
        return time.time()

    def monotonic_s(self) -> float:
        return time.monotonic()


class FakeClock:
    """Stands still until it is told to go on."""

    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        self._start_s = now_s
        self._elapsed_s = 0.0

    def now_s(self) -> float:
        return self._start_s + self._elapsed_s

    def monotonic_s(self) -> float:
        return self._elapsed_s

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"Time cannot go back by {-seconds} seconds.")
        self._elapsed_s += seconds
