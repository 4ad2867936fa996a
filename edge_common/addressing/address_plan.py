"""The address plan, Oakestra's: which ranges there are, and the pools that share them out.

Each pool has an IPv6 twin. Twins are taken together, but each side is a pool of its own: an SLA may fix one of both.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from edge_common.addressing.pool import Network, Pool, PoolPlan
from edge_common.model.errors import HedgerowError, InvalidInput
from edge_common.model.network import Subnet

OVERLAY_V4 = IPv4Network("10.16.0.0/12")
OVERLAY_V6 = IPv6Network("fc00::/7")
SERVICES_V4 = IPv4Network("10.30.0.0/16")
SUBNETS_V4 = tuple(sorted(OVERLAY_V4.address_exclude(SERVICES_V4)))
SUBNETS_V6 = (IPv6Network("fc00::/16"),)
INSTANCES_V6 = IPv6Network("fdff::/21")
CLOSEST_V6 = IPv6Network("fdff:1000::/21")
ROUND_ROBIN_V6 = IPv6Network("fdff:2000::/21")

BLOCK_PREFIX_V4, BLOCK_PREFIX_V6 = 20, 104
SUBNET_PREFIX_V4, SUBNET_PREFIX_V6 = 26, 120

RECYCLE_SUBNETS_S = 600.0
RECYCLE_ADDRESSES_S = 60.0


@dataclass(frozen=True, slots=True)
class Twins:
    v4: Network
    v6: Network


def twins_of(subnet: Subnet) -> Twins:
    """Raises InvalidInput for what is no pair of networks of the overlay."""
    try:
        v4, v6 = IPv4Network(subnet.v4), IPv6Network(subnet.v6)
    except ValueError as error:
        raise InvalidInput(f"{subnet.v4} and {subnet.v6} are no pair of networks: {error}.") from None
    if not (v4.subnet_of(OVERLAY_V4) and v6.subnet_of(OVERLAY_V6)) or v4.overlaps(SERVICES_V4):
        raise InvalidInput(f"{v4} and {v6} are not where the address plan has subnets.")
    return Twins(v4, v6)


class TwinPools:
    """Two pools of which an owner has one network each, or none. Several of these may share one IPv4 pool."""

    def __init__(self, v4: Pool, v6: Pool) -> None:
        self.v4 = v4
        self.v6 = v6

    def take(self, owner: str, now_s: float, fixed_v4: Network | None = None, fixed_v6: Network | None = None) -> Twins:
        """Both, or neither: raises what `Pool.take` raises, and nothing changed then."""
        before = self.v4.state()
        first = self.v4.take(owner, now_s, fixed_v4)
        try:
            return Twins(first, self.v6.take(owner, now_s, fixed_v6))
        except HedgerowError:
            self.v4.restore(before)
            raise

    def give_back(self, owner: str, now_s: float) -> Twins | None:
        v4, v6 = self.v4.give_back(owner, now_s), self.v6.give_back(owner, now_s)
        return Twins(v4, v6) if v4 is not None and v6 is not None else None


def cluster_blocks() -> tuple[PoolPlan, PoolPlan]:
    """What the root shares out: blocks of 64 node subnets, 240 of them."""
    return (
        PoolPlan("blocks for clusters (IPv4)", SUBNETS_V4, BLOCK_PREFIX_V4, quarantine_s=RECYCLE_SUBNETS_S),
        PoolPlan("blocks for clusters (IPv6)", SUBNETS_V6, BLOCK_PREFIX_V6, quarantine_s=RECYCLE_SUBNETS_S),
    )


def node_subnets(blocks: tuple[Twins, ...]) -> tuple[PoolPlan, PoolPlan]:
    """What a cluster shares out of its blocks."""
    v4, v6 = tuple(one.v4 for one in blocks), tuple(one.v6 for one in blocks)
    return (
        PoolPlan("subnets for nodes (IPv4)", v4, SUBNET_PREFIX_V4, quarantine_s=RECYCLE_SUBNETS_S),
        PoolPlan("subnets for nodes (IPv6)", v6, SUBNET_PREFIX_V6, quarantine_s=RECYCLE_SUBNETS_S),
    )


def instance_addresses(subnets: tuple[Twins, ...]) -> tuple[PoolPlan, PoolPlan]:
    """What a node shares out of its subnets: not the first two (tunnel end and gateway) and not the last of each."""
    v4, v6 = tuple(one.v4 for one in subnets), tuple(one.v6 for one in subnets)
    return (
        PoolPlan("instance addresses of this node (IPv4)", v4, 32, 2, 1, RECYCLE_ADDRESSES_S),
        PoolPlan("instance addresses of this node (IPv6)", v6, 128, 2, 1, RECYCLE_ADDRESSES_S),
    )


def overlay_addresses(v6_range: IPv6Network) -> tuple[PoolPlan, PoolPlan]:
    """Service and instance IPs. All kinds share one IPv4 pool; in IPv6 each kind has its own range."""
    return (
        PoolPlan("service and instance addresses (IPv4)", (SERVICES_V4,), 32, 1, 1, RECYCLE_ADDRESSES_S),
        PoolPlan("service and instance addresses (IPv6)", (v6_range,), 128, 1, 1, RECYCLE_ADDRESSES_S),
    )


def tunnel_end(subnet: Network) -> IPv4Address | IPv6Address:
    """The node's own address in the tunnel: the subnet's first, which no instance gets."""
    return subnet.network_address


def gateway(subnet: Network) -> IPv4Address | IPv6Address:
    return subnet.network_address + 1
