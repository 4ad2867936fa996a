"""The numbers of the table: numpy arrays with one entry a pool, in the order of the candidates' ids."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edge_common.model.resources import Resources
from edge_common.placement.rows import NO_POOL, CandidateRow, Kind, PoolRow

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

CPU, MEMORY, DISK = 0, 1, 2
MAX_SHAPES = 8
"""As many largest shapes as edge_common.model.cluster.Pool may carry; more are ignored."""

_NO_SHAPE = -(2**62)


@dataclass(slots=True)
class Columns:
    """Resources are three rows: thousandths of a core, MiB of memory, MiB of disk.

    `scale` is the total, at least 1, to divide by.
    `room` is the most that one node can still take of each resource by itself. `shapes` has MAX_SHAPES layers where
    candidates are clusters and none where they are nodes: a node's shape is its `free`.
    """

    free: Ints
    scale: Floats
    room: Ints
    shapes: Ints
    kind: Ints
    node_count: Ints
    port_limit: Ints
    is_ready: Mask
    is_open: Mask

    @classmethod
    def of(cls, rows: Sequence[CandidateRow], code_of: Callable[[Kind], int], shape_count: int) -> "Columns":
        pools = [(row, pool) for row in rows for pool in row.pools or (NO_POOL,)]
        columns = cls(
            free=_table([_three(pool.free) for _, pool in pools]),
            scale=np.maximum(_table([_three(pool.total) for _, pool in pools]), 1).astype(np.float64),
            room=np.empty((3, len(pools)), dtype=np.int64),
            shapes=_shapes([pool for _, pool in pools], shape_count),
            kind=np.array([code_of(pool.kind) for _, pool in pools], dtype=np.int64),
            node_count=np.array([pool.node_count for _, pool in pools], dtype=np.int64),
            port_limit=np.array([row.port_limit for row, _ in pools], dtype=np.int64),
            is_ready=np.array([row.is_ready for row, _ in pools], dtype=np.bool_),
            is_open=np.array([not row.is_cordoned for row, _ in pools], dtype=np.bool_),
        )
        columns._set_room(slice(None))
        return columns

    @property
    def size(self) -> int:
        return len(self.kind)

    def splice(self, rows: slice, new: "Columns") -> None:
        """Put `new` in the place of `rows`, whatever their number."""
        in_place = rows.stop - rows.start == new.size
        for column in fields(self):
            old, fresh = getattr(self, column.name), getattr(new, column.name)
            if in_place:
                old[..., rows] = fresh
            else:
                parts = (old[..., : rows.start], fresh, old[..., rows.stop :])
                setattr(self, column.name, np.concatenate(parts, axis=-1))

    def add(self, row: int, resources: Resources, sign: int) -> None:
        """Give `resources` back to a pool (sign 1) or take them (-1).

        Where a pool is one node its shapes shrink too. In a bigger pool the node that will take the instance is not
        known, so the shapes stay as they were until the next summary: this errs towards trying, within the total.
        """
        change = [sign * amount for amount in _three(resources)]
        self.free[:, row] += change
        if len(self.shapes) and self.node_count[row] == 1:
            self.shapes[:, :, row] += change
        self._set_room(slice(row, row + 1))

    def _set_room(self, rows: slice) -> None:
        if len(self.shapes):
            self.room[:, rows] = np.minimum(self.free[:, rows], self.shapes[:, :, rows].max(axis=0))
        else:
            self.room[:, rows] = self.free[:, rows]


def _three(resources: Resources) -> tuple[int, int, int]:
    return (resources.cpu_millis, resources.memory_mb, resources.disk_mb)


def _table(triples: Sequence[tuple[int, int, int]]) -> Ints:
    return np.ascontiguousarray(np.array(triples, dtype=np.int64).reshape(-1, 3).T)


def _shapes(pools: Sequence[PoolRow], shape_count: int) -> Ints:
    shapes = np.full((shape_count, 3, len(pools)), _NO_SHAPE, dtype=np.int64)
    for row, pool in enumerate(pools if shape_count else ()):
        largest = (pool.free,) if pool.largest is None else pool.largest
        for layer, shape in enumerate(largest[:shape_count]):
            shapes[layer, :, row] = _three(shape)
    return shapes
