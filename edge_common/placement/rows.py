"""What a tier tells the engine of one candidate, and the two builders: a node and a cluster."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from edge_common.model.cluster import ClusterInfo, Pool, Summary
from edge_common.model.node import NodeInfo
from edge_common.model.resources import NOTHING, Resources
from edge_common.placement.requests import HostPort, Request

NO_COUNTS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Kind:
    """What nodes must have in common to be one pool. There are few kinds, however many nodes there are."""

    architecture: str = ""
    runtimes: frozenset[str] = frozenset()
    has_overlay: bool = False

    def has_architecture(self, request: Request) -> bool:
        return not request.architectures or self.architecture in request.architectures

    def has_runtime(self, request: Request) -> bool:
        return request.runtime in self.runtimes

    def has_network(self, request: Request) -> bool:
        return self.has_overlay or not request.needs_overlay

    def admits(self, request: Request) -> bool:
        return self.has_architecture(request) and self.has_runtime(request) and self.has_network(request)


@dataclass(frozen=True, slots=True)
class PoolRow:
    """`largest` are the largest shapes that one node of the pool can still take; None where `free` is one node's."""

    kind: Kind
    total: Resources
    free: Resources
    node_count: int = 1
    largest: tuple[Resources, ...] | None = None


NO_POOL = PoolRow(Kind(), NOTHING, NOTHING, node_count=0, largest=())
"""Stands in the table for a candidate without pools, so that it is counted in refusals like every other."""


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """The whole truth about a candidate: an upsert of a row forgets whatever the table knew of it before.

    `port_limit` is how often the candidate can give the same host port: the number of its nodes. `used_ports` and
    `groups` count the instances it already has; `pending` are requests assigned to it that `free`, `used_ports` and
    `groups` do not count yet.
    """

    candidate_id: str
    name: str
    pools: tuple[PoolRow, ...]
    is_ready: bool = True
    is_cordoned: bool = False
    port_limit: int = 1
    used_ports: tuple[HostPort, ...] = ()
    groups: Mapping[str, int] = field(default_factory=lambda: NO_COUNTS)
    pending: tuple[Request, ...] = ()


def node_candidate(
    info: NodeInfo,
    free: Resources | None = None,
    used_ports: Iterable[HostPort] = (),
    is_ready: bool = True,
    is_cordoned: bool = False,
    groups: Mapping[str, int] = NO_COUNTS,
    pending: Iterable[Request] = (),
) -> CandidateRow:
    """`free` None is all of the node's capacity; with all its instances as `pending` that is all a caller needs."""
    kind = Kind(info.architecture, frozenset(info.runtimes), info.has_overlay)
    return CandidateRow(
        candidate_id=info.node_id,
        name=info.name,
        pools=(PoolRow(kind, info.capacity, info.capacity if free is None else free),),
        is_ready=is_ready,
        is_cordoned=is_cordoned,
        used_ports=tuple(used_ports),
        groups=groups,
        pending=tuple(pending),
    )


def cluster_candidate(
    info: ClusterInfo,
    summary: Summary,
    is_ready: bool = True,
    is_cordoned: bool = False,
    pending: Iterable[Request] = (),
    used_ports: Iterable[HostPort] = (),
    groups: Mapping[str, int] = NO_COUNTS,
) -> CandidateRow:
    """`pending` are requests assigned to the cluster after `summary.revision`.

    A summary counts neither ports nor services, so `used_ports` (one entry for each instance that has it) and `groups`
    come from the root's own assignments, without the pending ones.
    """
    return CandidateRow(
        candidate_id=info.cluster_id,
        name=info.name,
        pools=tuple(_pool_row(pool) for pool in summary.pools),
        is_ready=is_ready,
        is_cordoned=is_cordoned,
        port_limit=max(summary.node_count, sum(pool.node_count for pool in summary.pools)),
        used_ports=tuple(used_ports),
        groups=groups,
        pending=tuple(pending),
    )


def _pool_row(pool: Pool) -> PoolRow:
    kind = Kind(pool.architecture, frozenset(pool.runtimes), pool.has_overlay)
    return PoolRow(kind, pool.total, pool.free, pool.node_count, pool.largest)
