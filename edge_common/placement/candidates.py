"""The table of candidates: what the engine reads, and the only thing that it changes."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import numpy as np

from edge_common.model.errors import Conflict, NotFound
from edge_common.model.lifecycle import Tier
from edge_common.model.resources import Resources
from edge_common.placement.columns import MAX_SHAPES, Columns, Ints, Mask
from edge_common.placement.requests import HostPort, Request
from edge_common.placement.rows import CandidateRow, Kind
from edge_common.placement.tally import Tally

_SPARE_KINDS = 64


class Candidates:
    """`tier` is what the candidates are: NODE or CLUSTER. It gives the noun for people.

    Candidates are ordered by id, so that the first of equals is the one with the lowest id.
    """

    def __init__(self, tier: Tier) -> None:
        self.noun = str(tier)
        self.ids: list[str] = []
        self.names: list[str] = []
        self.kinds: list[Kind] = []
        self._codes: dict[Kind, int] = {}
        self._is_summarised = tier is Tier.CLUSTER
        self._ids_by_name: dict[str, set[str]] = {}
        self._pool_of: dict[str, dict[str, int]] = {}
        self._ports: Tally[HostPort] = Tally()
        self._groups: Tally[str] = Tally()
        self.columns = self._columns_of(())
        self._set_pool_counts(())

    @classmethod
    def build(cls, rows: Sequence[CandidateRow], tier: Tier = Tier.NODE) -> Self:
        """Raises Conflict when two rows have the same id."""
        table = cls(tier)
        ordered = sorted(rows, key=lambda row: row.candidate_id)
        for one, other in pairwise(ordered):
            if one.candidate_id == other.candidate_id:
                raise Conflict(f"The {table.noun} {one.candidate_id} was given twice; give each candidate once.")
        table.ids = [row.candidate_id for row in ordered]
        table.names = [row.name for row in ordered]
        table.columns = table._columns_of(ordered)
        table._set_pool_counts([max(1, len(row.pools)) for row in ordered])
        for row in ordered:
            table._enter(row)
        return table

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, candidate_id: str) -> bool:
        return self._find(candidate_id) is not None

    def upsert(self, row: CandidateRow) -> None:
        position = bisect_left(self.ids, row.candidate_id)
        if self._find(row.candidate_id) is None:
            self.ids.insert(position, row.candidate_id)
            self.names.insert(position, row.name)
            old_rows = slice(self._first[position], self._first[position])
            counts = np.insert(self._pool_counts, position, max(1, len(row.pools)))
        else:
            self._forget(row.candidate_id, self.names[position])
            self.names[position] = row.name
            old_rows = self._rows_at(position)
            counts = self._pool_counts.copy()
            counts[position] = max(1, len(row.pools))
        self._splice(old_rows, (row,), counts)
        self._enter(row)

    def remove(self, candidate_id: str) -> None:
        """Nothing happens when there is none."""
        position = self._find(candidate_id)
        if position is None:
            return
        self._forget(candidate_id, self.names[position])
        old_rows = self._rows_at(position)
        del self.ids[position], self.names[position]
        self._splice(old_rows, (), np.delete(self._pool_counts, position))

    def set_ready(self, candidate_id: str, is_ready: bool) -> None:
        """Raises NotFound."""
        self.columns.is_ready[self.rows_of(candidate_id)] = is_ready

    def set_cordoned(self, candidate_id: str, is_cordoned: bool) -> None:
        """Raises NotFound."""
        self.columns.is_open[self.rows_of(candidate_id)] = not is_cordoned

    def reserve(self, candidate_id: str, request: Request) -> None:
        """Count a request that was assigned elsewhere, whether it fits or not. Raises NotFound."""
        rows = self.rows_of(candidate_id)
        row = self._likely_pool(rows, request)
        if row is None:
            self._count(candidate_id, rows, request, 1)
        else:
            self.take(row, request)

    def take(self, row: int, request: Request) -> None:
        """Reserve in one pool, given by its row."""
        candidate_id = self.ids[self.owner[row]]
        rows = self.rows_of(candidate_id)
        self.columns.add(row, request.resources, -1)
        self._count(candidate_id, rows, request, 1)
        if self._is_summarised:
            self._pool_of.setdefault(candidate_id, {})[request.key] = row - int(rows.start)

    def release(self, candidate_id: str, request: Request) -> None:
        """Undo a reservation; a candidate that is gone took its reservations along.

        What a cluster's summary counted as used before it came here stays used until the next summary says otherwise.
        """
        position = self._find(candidate_id)
        if position is None:
            return
        rows = self._rows_at(position)
        self._count(candidate_id, rows, request, -1)
        offset = self._pop_pool(candidate_id, request.key) if self._is_summarised else 0
        if offset is not None:
            self.columns.add(int(rows.start) + offset, request.resources, 1)

    def free_of(self, candidate_id: str) -> Resources:
        """What is free on it now, in all its pools. Raises NotFound."""
        cpu_millis, memory_mb, disk_mb = self.columns.free[:, self.rows_of(candidate_id)].sum(axis=1).tolist()
        return Resources(cpu_millis, memory_mb, disk_mb)

    def ids_of(self, name_or_id: str) -> set[str]:
        """A name may be shared; an id is not."""
        found = self._ids_by_name.get(name_or_id, set())
        return found | {name_or_id} if name_or_id in self else found

    def rows_of(self, candidate_id: str) -> slice:
        position = self._find(candidate_id)
        if position is None:
            raise NotFound(f"The {self.noun} {candidate_id} is no candidate; add it first.")
        return self._rows_at(position)

    def port_counts(self, port: HostPort) -> Ints | None:
        return self._ports.column(port, self.columns.size, self.rows_of)

    def group_counts(self, group: str) -> Ints | None:
        return self._groups.column(group, self.columns.size, self.rows_of)

    def group_count(self, candidate_id: str, group: str) -> int:
        return self._groups.count(group, candidate_id)

    def any_pool(self, mask: Mask) -> Mask:
        """One entry a candidate: whether the mask holds for any of its pools."""
        if not self._is_summarised or not len(self.ids):
            return mask
        return np.logical_or.reduceat(mask, self._first[:-1])

    def all_pools(self, mask: Mask) -> Mask:
        """One entry a row, for a mask with one entry a candidate."""
        return mask[self.owner] if self._is_summarised else mask

    def _find(self, candidate_id: str) -> int | None:
        position = bisect_left(self.ids, candidate_id)
        if position < len(self.ids) and self.ids[position] == candidate_id:
            return position
        return None

    def _rows_at(self, position: int) -> slice:
        return slice(int(self._first[position]), int(self._first[position + 1]))

    def _columns_of(self, rows: Sequence[CandidateRow]) -> Columns:
        return Columns.of(rows, self._code_of, MAX_SHAPES if self._is_summarised else 0)

    def _code_of(self, kind: Kind) -> int:
        code = self._codes.setdefault(kind, len(self.kinds))
        if code == len(self.kinds):
            self.kinds.append(kind)
        return code

    def _splice(self, old_rows: slice, rows: Sequence[CandidateRow], pool_counts: Ints) -> None:
        self.columns.splice(old_rows, self._columns_of(rows))
        if len(self.kinds) > self.columns.size + _SPARE_KINDS:
            self._forget_unused_kinds()
        if not np.array_equal(pool_counts, self._pool_counts):
            self._set_pool_counts(pool_counts)
            self._ports.forget_columns()
            self._groups.forget_columns()

    def _set_pool_counts(self, pool_counts: Sequence[int] | Ints) -> None:
        self._pool_counts = np.array(pool_counts, dtype=np.int64)
        self._first = np.concatenate(([0], np.cumsum(self._pool_counts)))
        self.owner = np.repeat(np.arange(len(self._pool_counts)), self._pool_counts)

    def _forget_unused_kinds(self) -> None:
        used = np.unique(self.columns.kind)
        self.kinds = [self.kinds[code] for code in used]
        self._codes = {kind: code for code, kind in enumerate(self.kinds)}
        self.columns.kind = np.searchsorted(used, self.columns.kind)

    def _enter(self, row: CandidateRow) -> None:
        self._ids_by_name.setdefault(row.name, set()).add(row.candidate_id)
        rows = self.rows_of(row.candidate_id)
        for port in row.used_ports:
            self._ports.add(port, row.candidate_id, rows, 1)
        for group, count in row.groups.items():
            self._groups.add(group, row.candidate_id, rows, count)
        for request in row.pending:
            self.reserve(row.candidate_id, request)

    def _forget(self, candidate_id: str, name: str) -> None:
        self._ids_by_name[name].discard(candidate_id)
        if not self._ids_by_name[name]:
            del self._ids_by_name[name]
        self._pool_of.pop(candidate_id, None)
        self._ports.forget(candidate_id)
        self._groups.forget(candidate_id)

    def _count(self, candidate_id: str, rows: slice, request: Request, change: int) -> None:
        for port in request.host_ports:
            self._ports.add(port, candidate_id, rows, change)
        if request.group:
            self._groups.add(request.group, candidate_id, rows, change)

    def _pop_pool(self, candidate_id: str, key: str) -> int | None:
        taken = self._pool_of.get(candidate_id, {})
        offset = taken.pop(key, None)
        if not taken:
            self._pool_of.pop(candidate_id, None)
        return offset

    def _likely_pool(self, rows: slice, request: Request) -> int | None:
        """The pool whose nodes will take the request: of those that may, one that has room, then the one with the
        most free memory."""
        if not self._is_summarised:
            return int(rows.start)
        columns = self.columns
        may = [row for row in range(rows.start, rows.stop) if self.kinds[columns.kind[row]].admits(request)]
        asked = request.resources

        def rank(row: int) -> tuple[bool, int]:
            room = Resources(*columns.room[:, row].tolist())
            return asked.fits_in(room), int(columns.free[1, row])

        return max(may, key=rank, default=None)
