"""A cluster as its root knows it: a summary, never its nodes."""

from dataclasses import dataclass

from edge_common.model.ids import ClusterId
from edge_common.model.network import Subnet
from edge_common.model.resources import NOTHING, Resources


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """`location` is free text or "latitude,longitude[,radius_m]", as in Oakestra's CLUSTER_LOCATION.

    Values are sealed for `sealing_key` (base64); "" is a cluster that cannot take any.
    """

    cluster_id: ClusterId
    name: str
    location: str = ""
    address: str = ""
    port: int = 0
    version: str = ""
    sealing_key: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """The nodes of a cluster that are alike in architecture, runtimes and network; cordoned and lost ones left out.

    `largest` are the largest shapes that a single node could still take (none contains another), at most eight.
    """

    architecture: str
    runtimes: tuple[str, ...]
    has_overlay: bool
    node_count: int
    total: Resources
    free: Resources
    largest: tuple[Resources, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """What a cluster shows its root. `revision` is the desired revision whose assignments `free` already counts.

    `blocks_wanted` is how many blocks of overlay addresses it needs for its nodes, `blocks` are those that it has.
    """

    revision: int = 0
    node_count: int = 0
    ready_node_count: int = 0
    instance_count: int = 0
    pools: tuple[Pool, ...] = ()
    blocks_wanted: int = 0
    blocks: tuple[Subnet, ...] = ()

    @property
    def total(self) -> Resources:
        return sum((pool.total for pool in self.pools), NOTHING)

    @property
    def free(self) -> Resources:
        return sum((pool.free for pool in self.pools), NOTHING)
