"""The engine once more, slow and plain: one candidate after the other, no arrays. What place() must agree with."""

from collections import Counter
from dataclasses import dataclass, field

from edge_common.model.lifecycle import Tier
from edge_common.model.resources import Resources
from edge_common.model.service import Spreading
from edge_common.placement import CandidateRow, HostPort, PoolRow, Request

Chosen = tuple[str, int]
"""The id of the candidate, and which of its pools."""


@dataclass
class Pool:
    row: PoolRow
    free: Resources
    shapes: list[Resources]

    def refused_by(self, request: Request) -> str:
        kind, asked = self.row.kind, request.resources
        if self.row.node_count == 0:
            return "nodes"
        if request.architectures and kind.architecture not in request.architectures:
            return "architecture"
        if request.runtime not in kind.runtimes:
            return "runtime"
        if request.needs_overlay and not kind.has_overlay:
            return "overlay"
        if not asked.fits_in(self.free) or not any(asked.fits_in(shape) for shape in self.shapes):
            return "capacity"
        return ""

    def take(self, asked: Resources) -> None:
        self.free -= asked
        if self.row.node_count == 1:
            self.shapes = [shape - asked for shape in self.shapes]

    def left_free(self, asked: Resources) -> float:
        cpu = (self.free.cpu_millis - asked.cpu_millis) / max(self.row.total.cpu_millis, 1)
        memory = (self.free.memory_mb - asked.memory_mb) / max(self.row.total.memory_mb, 1)
        return (cpu + memory) / 2.0


@dataclass
class Candidate:
    row: CandidateRow
    pools: list[Pool]
    ports: Counter[HostPort] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)

    def refused_by(self, request: Request) -> str:
        if request.targets and not {self.row.candidate_id, self.row.name} & set(request.targets):
            return "target"
        if not self.row.is_ready:
            return "ready"
        if self.row.is_cordoned:
            return "cordoned"
        if self.row.candidate_id in request.avoid:
            return "avoided"
        if any(self.ports[port] >= self.row.port_limit for port in request.host_ports):
            return "ports"
        return ""

    def score(self, pool: Pool, request: Request) -> float:
        left = pool.left_free(request.resources)
        if request.spreading is Spreading.BINPACK:
            return -1.0 * left
        return -2.0 * self.groups[request.group] + 1.0 * left


class Reference:
    def __init__(self, rows: list[CandidateRow], tier: Tier = Tier.NODE) -> None:
        self.tier = tier
        self.candidates = {row.candidate_id: self._candidate(row) for row in rows}

    def place(self, request: Request) -> Chosen | None:
        best: tuple[float, Chosen] | None = None
        for candidate_id in sorted(self.candidates):
            candidate = self.candidates[candidate_id]
            if candidate.refused_by(request):
                continue
            for index, pool in enumerate(candidate.pools):
                if pool.refused_by(request):
                    continue
                score = candidate.score(pool, request)
                if best is None or score > best[0]:
                    best = (score, (candidate_id, index))
        if best is None:
            return None
        self._take(best[1], request)
        return best[1]

    def _take(self, chosen: Chosen, request: Request) -> None:
        candidate = self.candidates[chosen[0]]
        candidate.pools[chosen[1]].take(request.resources)
        candidate.ports.update(request.host_ports)
        if request.group:
            candidate.groups[request.group] += 1

    def _candidate(self, row: CandidateRow) -> Candidate:
        pools = [Pool(pool, pool.free, self._shapes(pool)) for pool in row.pools]
        return Candidate(row, pools, Counter(row.used_ports), Counter(row.groups))

    def _shapes(self, pool: PoolRow) -> list[Resources]:
        return [pool.free] if pool.largest is None else list(pool.largest)
