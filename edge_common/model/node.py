"""A worker as its cluster knows it."""

from dataclasses import dataclass
from enum import StrEnum

from edge_common.model.ids import NodeId
from edge_common.model.network import Subnet
from edge_common.model.resources import Resources


class Readiness(StrEnum):
    """READY takes new instances; SUSPECT is not heard just now; LOST is past its lease."""

    READY = "ready"
    SUSPECT = "suspect"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ChildHealth:
    """How a parent finds a child. `unheard_s` is for how long it has not been there, 0.0 while it is."""

    readiness: Readiness
    unheard_s: float = 0.0


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What a node says of itself. `capacity` is what instances may use in all, not what is free now.

    `subnets_wanted` is how many subnets of the overlay it needs, 0 where instances have the node's network, `subnets`
    are those that it has.
    `name` and `address` may change at any time; `node_id` never does. `labels` are key=value pairs, sorted.
    Values are sealed for `sealing_key` (base64); "" is a node that cannot take any.
    """

    node_id: NodeId
    name: str
    architecture: str
    runtimes: tuple[str, ...]
    capacity: Resources
    address: str = ""
    has_overlay: bool = False
    subnets_wanted: int = 0
    subnets: tuple[Subnet, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    version: str = ""
    sealing_key: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a child uses now: per cent of all its cores and of its memory, and MiB of disk in use."""

    cpu_percent: float = 0.0
    memory_percent: float = 0.0
    disk_used_mb: int = 0
