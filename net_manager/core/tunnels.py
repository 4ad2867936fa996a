"""The VXLAN tunnel of a node and the peers at its other ends.

Nothing is learned from traffic: each peer has one route for each of its networks, one neighbour and one forwarding
entry, all written here. A peer's MAC follows from its tunnel address, so nodes need not tell each other.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from edge_common.addressing.pool import Network
from net_manager.core import commands as do
from net_manager.core.commands import Command, Interface, Ip
from net_manager.core.links import Names, ObservedNamespace, TunnelEnd

VXLAN_PORT = 4789
OVERHEAD_V4, OVERHEAD_V6 = 50, 70


@dataclass(frozen=True, slots=True)
class Tunnel:
    """`ends` are this node's addresses in the tunnel, with full-length prefixes; `local` the one that peers see."""

    vni: int
    local: Ip
    ends: frozenset[Interface]
    mtu: int
    port: int = VXLAN_PORT


@dataclass(frozen=True, slots=True)
class Peer:
    """`networks` are its subnets and the instance addresses of its instances, of both versions."""

    underlay: Ip
    end_v4: IPv4Address
    ends: frozenset[Ip]
    networks: frozenset[Network]


@dataclass(frozen=True, slots=True)
class TunnelEntries:
    """What the kernel has on the tunnel's link, or should have."""

    neighbours: frozenset[tuple[Ip, str]] = frozenset()
    forwarding: frozenset[tuple[str, Ip]] = frozenset()
    routes: frozenset[tuple[Network, Ip]] = frozenset()


def mtu_over(underlay_mtu: int, underlay: Ip) -> int:
    """What fits in a tunnel between addresses of this version."""
    return underlay_mtu - (OVERHEAD_V4 if underlay.version == 4 else OVERHEAD_V6)


def mac_of(end_v4: IPv4Address) -> str:
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x48, *end_v4.packed))


def changes(names: Names, tunnel: Tunnel, own_end_v4: IPv4Address, host: ObservedNamespace) -> tuple[Command, ...]:
    """Makes the tunnel's link; one that is not as it should be is made anew, and flows go on when its peers are set."""
    seen = host.links.get(names.tunnel)
    end = TunnelEnd(tunnel.vni, tunnel.port, tunnel.local, mac_of(own_end_v4))
    is_right = seen is not None and seen.is_up and seen.mtu == tunnel.mtu and tunnel.ends == seen.addresses
    if is_right and seen is not None and seen.tunnel == end:
        return ()
    return (
        do.RemoveLink(names.tunnel),
        do.CreateTunnel(names.tunnel, tunnel.vni, tunnel.port, tunnel.local, mac_of(own_end_v4), tunnel.mtu),
        do.SetSysctl(f"net/ipv4/conf/{names.tunnel}/rp_filter", "2"),
        do.SetUp(names.tunnel),
        *(do.AddAddress(names.tunnel, end) for end in sorted(tunnel.ends, key=str)),
    )


def entries(peers: Iterable[Peer]) -> TunnelEntries:
    known = tuple(peers)
    return TunnelEntries(
        frozenset((end, mac_of(peer.end_v4)) for peer in known for end in peer.ends),
        frozenset((mac_of(peer.end_v4), peer.underlay) for peer in known),
        frozenset((network, _via(peer, network)) for peer in known for network in peer.networks),
    )


def peer_changes(names: Names, peers: Iterable[Peer], seen: TunnelEntries) -> tuple[Command, ...]:
    return tuple(_peer_changes(names.tunnel, entries(peers), seen))


def _peer_changes(link: str, wanted: TunnelEntries, seen: TunnelEntries) -> Iterator[Command]:
    """Old forwarding goes before new: a peer that moved to another address is not at both. Routes come last."""
    for destination, via in sorted(seen.routes - wanted.routes, key=str):
        if destination not in {network for network, _ in wanted.routes}:
            yield do.RemoveRoute(destination, via, link)
    for mac, underlay in sorted(seen.forwarding - wanted.forwarding, key=str):
        yield do.RemoveForwarding(link, mac, underlay)
    for ip, mac in sorted(seen.neighbours - wanted.neighbours, key=str):
        yield do.RemoveNeighbour(link, ip, mac)
    for mac, underlay in sorted(wanted.forwarding - seen.forwarding, key=str):
        yield do.SetForwarding(link, mac, underlay)
    for ip, mac in sorted(wanted.neighbours - seen.neighbours, key=str):
        yield do.SetNeighbour(link, ip, mac)
    for destination, via in sorted(wanted.routes - seen.routes, key=str):
        yield do.AddRoute(destination, via, link)


def _via(peer: Peer, network: Network) -> Ip:
    return next(end for end in sorted(peer.ends, key=str) if end.version == network.version)
