"""What the root sees of a cluster: sums over nodes that are alike, and the largest shapes that would fit."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_common.model.cluster import Pool, Summary
from edge_common.model.node import NodeInfo
from edge_common.model.resources import Resources

MAX_SHAPES = 8


@dataclass(frozen=True, slots=True)
class NodeView:
    info: NodeInfo
    free: Resources
    is_ready: bool
    is_cordoned: bool


def summarise(revision: int, nodes: Sequence[NodeView], instance_count: int) -> Summary:
    groups: dict[tuple[str, tuple[str, ...], bool], list[NodeView]] = defaultdict(list)
    for node in nodes:
        if node.is_ready and not node.is_cordoned:
            groups[node.info.architecture, tuple(sorted(node.info.runtimes)), node.info.has_overlay].append(node)
    pools = tuple(
        Pool(
            architecture,
            runtimes,
            has_overlay,
            len(members),
            _sum([member.info.capacity for member in members]),
            _sum([_positive(member.free) for member in members]),
            largest_shapes(_positive(member.free) for member in members),
        )
        for (architecture, runtimes, has_overlay), members in sorted(groups.items())
    )
    ready = sum(node.is_ready for node in nodes)
    return Summary(revision, len(nodes), ready, instance_count, pools)


def largest_shapes(shapes: Iterable[Resources]) -> tuple[Resources, ...]:
    """Those that fit in no other, largest memory first, at most MAX_SHAPES."""
    kept: list[Resources] = []
    for shape in sorted(set(shapes), key=lambda each: (-each.memory_mb, -each.cpu_millis, -each.disk_mb)):
        if not any(shape.fits_in(other) for other in kept):
            kept.append(shape)
        if len(kept) == MAX_SHAPES:
            break
    return tuple(kept)


def _sum(resources: Sequence[Resources]) -> Resources:
    return Resources(
        sum(each.cpu_millis for each in resources),
        sum(each.memory_mb for each in resources),
        sum(each.disk_mb for each in resources),
    )


def _positive(free: Resources) -> Resources:
    return Resources(max(0, free.cpu_millis), max(0, free.memory_mb), max(0, free.disk_mb))
