"""What a node's engine and its NetManager say to each other, over HTTP on one machine."""

from dataclasses import dataclass

from edge_common.model.ids import InstanceId
from edge_common.model.network import PortMapping, Subnet


@dataclass(frozen=True, slots=True)
class NetworkState:
    """`detail` says why it is not ready, "" when it is. `subnets` are those it was told; `subnets_wanted` how many it
    should have. `mtu` is that of instances. `public_address` is where other nodes reach this one, "" when not set.
    """

    version: str
    is_ready: bool
    detail: str = ""
    mtu: int = 0
    subnets: tuple[Subnet, ...] = ()
    subnets_wanted: int = 1
    instance_count: int = 0
    public_address: str = ""
    public_port: int = 0


@dataclass(frozen=True, slots=True)
class SubnetGrant:
    """All subnets that this node has from now on."""

    subnets: tuple[Subnet, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceWish:
    """A network for one instance, with ports of the node that lead to it."""

    ports: tuple[PortMapping, ...] = ()


@dataclass(frozen=True, slots=True)
class InstancePlace:
    """`namespace` is the path of its network namespace.

    The addresses are without a prefix, and "" for one that was only found in the kernel; who wants it to stay asks for
    it again.
    """

    instance_id: InstanceId
    namespace: str
    ip: str
    ip_v6: str


@dataclass(frozen=True, slots=True)
class InstancePlaces:
    instances: tuple[InstancePlace, ...] = ()
