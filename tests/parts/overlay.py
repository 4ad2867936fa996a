"""Two hosts, a cable, an instance on each, and one service address behind which the second host's instance is."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network
from pathlib import Path

from edge_common.addressing.address_plan import OVERLAY_V4, OVERLAY_V6
from net_manager.adapters.nftables import NfTables
from net_manager.core import service_table, tunnels
from net_manager.core.service_table import ServiceTable
from net_manager.core.tunnels import Peer, Tunnel
from tests.parts import netns
from tests.parts.netns import Host

PORT = 8000
VNI = 71
SERVICE = "10.30.0.1"
UNDERLAY = ("192.0.2.1", "192.0.2.2")
CABLE_MTU = 1500
OVERLAY_MTU = tunnels.mtu_over(CABLE_MTU, ip_address(UNDERLAY[0]))

_PEERS = (
    Peer(
        ip_address(UNDERLAY[0]),
        IPv4Address("10.16.0.0"),
        frozenset({ip_address("10.16.0.0"), ip_address("fc00::")}),
        frozenset(map(ip_network, ("10.16.0.0/26", "10.30.1.1/32", "fc00::/120", "fdff::1:1/128"))),
    ),
    Peer(
        ip_address(UNDERLAY[1]),
        IPv4Address("10.16.0.64"),
        frozenset({ip_address("10.16.0.64"), ip_address("fc00::100")}),
        frozenset(map(ip_network, ("10.16.0.64/26", "10.30.1.2/32", "fc00::100/120", "fdff::1:2/128"))),
    ),
)
_TABLES = (
    ServiceTable(
        direct={ip_address("10.30.1.2"): ip_address("10.16.0.66"), ip_address("fdff::1:2"): ip_address("fc00::102")},
        identities={ip_address("10.16.0.2"): ip_address("10.30.1.1"), ip_address("fc00::2"): ip_address("fdff::1:1")},
        round_robin={ip_address(SERVICE): (ip_address("10.16.0.66"),)},
    ),
    ServiceTable(
        identities={
            ip_address("10.16.0.66"): ip_address("10.30.1.2"),
            ip_address("fc00::102"): ip_address("fdff::1:2"),
        },
    ),
)


@dataclass(frozen=True)
class Overlay:
    hosts: tuple[Host, Host]
    insides: tuple[Path, Path]
    peers: tuple[Peer, Peer]
    tunnels: tuple[Tunnel, ...]


@contextlib.contextmanager
def two_hosts() -> Iterator[Overlay]:
    with (
        netns.host("10.16.0.1/26", "fc00::1/120", mtu=OVERLAY_MTU) as first,
        netns.host("10.16.0.65/26", "fc00::101/120", mtu=OVERLAY_MTU) as second,
    ):
        netns.cable(first, second, (f"{UNDERLAY[0]}/30", f"{UNDERLAY[1]}/30"), mtu=CABLE_MTU)
        insides = (
            first.inside(first.want("a", "10.16.0.2/26", "fc00::2/120")),
            second.inside(second.want("b", "10.16.0.66/26", "fc00::102/120")),
        )
        made = tuple(_tunnel(peer) for peer in _PEERS)
        for number, host in enumerate((first, second)):
            host.settle()
            host.netlink.execute(
                tunnels.changes(host.names, made[number], _PEERS[number].end_v4, host.view.observe().host)
            )
            others = [peer for peer in _PEERS if peer is not _PEERS[number]]
            host.netlink.execute(tunnels.peer_changes(host.names, others, host.view.tunnel_entries()))
            nft = NfTables(OVERLAY_V4, OVERLAY_V6, host=host.path)
            nft.apply(service_table.changes(_TABLES[number], nft.adopt()))
        yield Overlay((first, second), insides, _PEERS, made)


def _tunnel(peer: Peer) -> Tunnel:
    ends = frozenset(ip_interface(end) for end in peer.ends)
    return Tunnel(VNI, peer.underlay, ends, OVERLAY_MTU)
