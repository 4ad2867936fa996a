"""How many of something (instances of a service, users of a host port) each candidate has."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

K = TypeVar("K", bound=Hashable)

MAX_COLUMNS = 64


class Tally(Generic[K]):
    """Kept sparse, as there may be as many services as nodes; a dense column is made for a key when it is asked for.

    The columns are a bounded cache: a burst asks for the same few keys again and again.
    """

    def __init__(self) -> None:
        self._by_key: dict[K, dict[str, int]] = {}
        self._by_candidate: dict[str, dict[K, int]] = {}
        self._columns: dict[K, npt.NDArray[np.int64]] = {}

    def add(self, key: K, candidate_id: str, rows: slice, change: int) -> None:
        before = self._by_key.get(key, {}).get(candidate_id, 0)
        after = max(0, before + change)
        if after:
            self._by_key.setdefault(key, {})[candidate_id] = after
            self._by_candidate.setdefault(candidate_id, {})[key] = after
        elif before:
            self._drop(key, candidate_id)
        column = self._columns.get(key)
        if column is not None:
            column[rows] = after

    def forget(self, candidate_id: str) -> None:
        for key in tuple(self._by_candidate.get(candidate_id, ())):
            self._drop(key, candidate_id)
        self._columns.clear()

    def forget_columns(self) -> None:
        """To be called when rows moved."""
        self._columns.clear()

    def column(self, key: K, size: int, rows_of: Callable[[str], slice]) -> npt.NDArray[np.int64] | None:
        """One count for each row, or None when no candidate has any."""
        counts = self._by_key.get(key)
        if not counts:
            return None
        column = self._columns.get(key)
        if column is None:
            column = np.zeros(size, dtype=np.int64)
            for candidate_id, count in counts.items():
                column[rows_of(candidate_id)] = count
            if len(self._columns) >= MAX_COLUMNS:
                self._columns.clear()
            self._columns[key] = column
        return column

    def count(self, key: K, candidate_id: str) -> int:
        return self._by_key.get(key, {}).get(candidate_id, 0)

    def _drop(self, key: K, candidate_id: str) -> None:
        holders, keys = self._by_key[key], self._by_candidate[candidate_id]
        del holders[candidate_id], keys[key]
        if not holders:
            del self._by_key[key]
        if not keys:
            del self._by_candidate[candidate_id]
