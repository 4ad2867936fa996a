"""What instances' networks should look like, what the kernel has, and the commands that lead from one to the other.

Everything of ours bears a prefix, so a start finds what an earlier life left: what is wanted is adopted as it is, what
nobody wants is removed. The commands for an instance may break off anywhere; the next round goes on from there.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from edge_common.addressing.pool import Network
from edge_common.model.errors import InvalidInput
from edge_common.model.ids import InstanceId
from net_manager.core import commands as do
from net_manager.core.commands import Command, Interface, Ip

INNER_LINK = "eth0"
LOOPBACK = "lo"
DEFAULT_LINK = "default"
"""In the names of sysctls: links that come later."""
IPV6_SYSCTLS = "net/ipv6/"
FORWARDING_V6 = "net/ipv6/conf/all/forwarding"
MOST_PREFIX = 4
_LINK_NAME_LENGTH = 15

ANY_V4 = IPv4Network("0.0.0.0/0")
ANY_V6 = IPv6Network("::/0")

INSTANCE_SYSCTLS: Mapping[str, str] = {
    "net/ipv4/conf/all/accept_redirects": "0",
    f"net/ipv4/conf/{INNER_LINK}/accept_redirects": "0",
    "net/ipv4/ip_unprivileged_port_start": "0",
    "net/ipv4/ping_group_range": "0 2147483647",
    "net/ipv6/conf/all/disable_ipv6": "0",
    f"net/ipv6/conf/{INNER_LINK}/accept_ra": "0",
    f"net/ipv6/conf/{INNER_LINK}/accept_redirects": "0",
}


@dataclass(frozen=True, slots=True)
class Names:
    """`prefix` is short, without a dash, and differs between the NetManagers of one machine."""

    prefix: str = "hgr"

    def __post_init__(self) -> None:
        if not (self.prefix.isalnum() and len(self.prefix) <= MOST_PREFIX):
            raise InvalidInput(f"The prefix '{self.prefix}' is not 1 to {MOST_PREFIX} letters and digits.", "prefix")

    @property
    def bridge(self) -> str:
        return f"{self.prefix}-bridge"

    @property
    def tunnel(self) -> str:
        return f"{self.prefix}-tunnel"

    def namespace(self, instance_id: InstanceId) -> str:
        return f"{self.prefix}-{instance_id}"

    def link(self, instance_id: InstanceId) -> str:
        """An instance_id is longer than the kernel lets a link's name be."""
        return (self.prefix + hashlib.sha256(instance_id.encode()).hexdigest())[:_LINK_NAME_LENGTH]

    def is_instance_link(self, link: str) -> bool:
        return link.startswith(self.prefix) and len(link) == _LINK_NAME_LENGTH and "-" not in link

    def instance_of(self, namespace: str) -> InstanceId:
        return InstanceId(namespace.removeprefix(f"{self.prefix}-"))

    def is_namespace(self, namespace: str) -> bool:
        return namespace.startswith(f"{self.prefix}-")


@dataclass(frozen=True, slots=True)
class NodeNetwork:
    """`gateways` are the bridge's own addresses, one for each subnet and version.

    `refused` are the ranges in which nothing is reached but what a better route or a service's entry leads to.
    """

    gateways: frozenset[Interface]
    mtu: int
    refused: frozenset[Network] = frozenset()


@dataclass(frozen=True, slots=True)
class InstanceNetwork:
    instance_id: InstanceId
    addresses: frozenset[Interface]
    gateways: frozenset[Ip]


@dataclass(frozen=True, slots=True)
class TunnelEnd:
    """What a VXLAN link is made with and never altered."""

    vni: int
    port: int
    local: Ip | None
    mac: str


@dataclass(frozen=True, slots=True)
class ObservedLink:
    """`tunnel` is None for whatever is no VXLAN link."""

    mtu: int
    is_up: bool
    master: str = ""
    addresses: frozenset[Interface] = frozenset()
    tunnel: TunnelEnd | None = None


@dataclass(frozen=True, slots=True)
class ObservedNamespace:
    """`is_whole` is False for a name behind which there is no namespace.

    `routes` are those with a gateway, `refused` the destinations that are said to be unreachable.
    """

    is_whole: bool = True
    links: Mapping[str, ObservedLink] = field(default_factory=dict)
    routes: frozenset[tuple[Network, Ip]] = frozenset()
    refused: frozenset[Network] = frozenset()
    sysctls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """`host` is the node's own namespace, `namespaces` those of instances."""

    host: ObservedNamespace = field(default_factory=ObservedNamespace)
    namespaces: Mapping[str, ObservedNamespace] = field(default_factory=dict)


def changes(
    names: Names, node: NodeNetwork, instances: Iterable[InstanceNetwork], observed: Observed
) -> tuple[Command, ...]:
    """What to do, in this order; nothing when all is as it should be."""
    wanted = tuple(instances)
    return (
        *sweep(names, (one.instance_id for one in wanted), observed),
        *node_changes(names, node, observed),
        *(command for instance in wanted for command in instance_changes(names, node, instance, observed)),
    )


def sweep(names: Names, wanted: Iterable[InstanceId], observed: Observed) -> tuple[Command, ...]:
    """Takes away what an earlier life left of instances that nobody wants."""
    return tuple(_sweep(names, tuple(wanted), observed))


def node_changes(names: Names, node: NodeNetwork, observed: Observed) -> tuple[Command, ...]:
    """What all instances of the node share: must be done before the first of them."""
    return tuple(_node(names, node, observed.host))


def instance_changes(
    names: Names, node: NodeNetwork, instance: InstanceNetwork, observed: Observed
) -> tuple[Command, ...]:
    return tuple(_instance(names, node, instance, observed))


def removal(names: Names, instance_id: InstanceId) -> tuple[Command, ...]:
    """The link first: the kernel takes its time over the namespace, and an address must be gone when this returns."""
    return (do.RemoveLink(names.link(instance_id)), do.RemoveNamespace(names.namespace(instance_id)))


def host_sysctls(names: Names, node: NodeNetwork) -> dict[str, str]:
    """With `route_localnet` the node reaches published ports at 127.0.0.1; the packet filter keeps instances out."""
    wanted = {
        "net/ipv4/ip_forward": "1",
        f"net/ipv4/conf/{names.bridge}/send_redirects": "0",
        f"net/ipv4/conf/{names.bridge}/rp_filter": "2",
        f"net/ipv4/conf/{names.bridge}/route_localnet": "1",
    }
    if any(address.version == 6 for address in node.gateways):
        wanted[FORWARDING_V6] = "1"
        wanted[f"net/ipv6/conf/{names.bridge}/disable_ipv6"] = "0"
        wanted[f"net/ipv6/conf/{names.bridge}/accept_dad"] = "0"
        wanted[f"net/ipv6/conf/{names.bridge}/accept_ra"] = "0"
    return wanted


def accept_ra(link: str) -> str:
    return f"net/ipv6/conf/{link}/accept_ra"


def _sweep(names: Names, wanted: tuple[InstanceId, ...], observed: Observed) -> Iterator[Command]:
    links = {names.link(instance_id) for instance_id in wanted}
    namespaces = {names.namespace(instance_id) for instance_id in wanted}
    for link in sorted(observed.host.links):
        if names.is_instance_link(link) and link not in links:
            yield do.RemoveLink(link)
    for namespace, seen in sorted(observed.namespaces.items()):
        if names.is_namespace(namespace) and (namespace not in namespaces or not seen.is_whole):
            yield do.RemoveNamespace(namespace)


def _node(names: Names, node: NodeNetwork, host: ObservedNamespace) -> Iterator[Command]:
    if names.bridge not in host.links:
        yield do.CreateBridge(names.bridge, node.mtu)
    yield from _keep_advertisements(names, node, host)
    yield from _sysctls(host_sysctls(names, node), host, "")
    yield from _link(names.bridge, "", host, node.mtu, node.gateways)
    for destination in sorted(node.refused - host.refused, key=str):
        yield do.RefuseRoute(destination)


def _keep_advertisements(names: Names, node: NodeNetwork, host: ObservedNamespace) -> Iterator[Command]:
    """A machine that begins to forward stops to listen to its router, and loses its route, unless it is told to go on.

    Where it forwards already, it is somebody's choice that it does not listen.
    """
    begins = host_sysctls(names, node).get(FORWARDING_V6) == "1" and host.sysctls.get(FORWARDING_V6) == "0"
    for link in sorted((*host.links, DEFAULT_LINK)) if begins else ():
        if link != names.bridge and host.sysctls.get(accept_ra(link)) == "1":
            yield do.SetSysctl(accept_ra(link), "2")


def _instance(names: Names, node: NodeNetwork, instance: InstanceNetwork, observed: Observed) -> Iterator[Command]:
    link, namespace = names.link(instance.instance_id), names.namespace(instance.instance_id)
    inside = observed.namespaces.get(namespace, ObservedNamespace(is_whole=False))
    if not inside.is_whole:
        inside = ObservedNamespace()
        yield do.CreateNamespace(namespace)
    outer = observed.host.links.get(link)
    if outer is None or INNER_LINK not in inside.links:
        if outer is not None:
            yield do.RemoveLink(link)
        outer = None
        inside = ObservedNamespace(links={LOOPBACK: inside.links.get(LOOPBACK, ObservedLink(0, is_up=False))})
        yield do.CreateVeth(link, INNER_LINK, namespace, node.mtu)
    if outer is None or outer.master != names.bridge:
        yield do.Attach(link, names.bridge)
    yield from _link(link, "", observed.host if outer else ObservedNamespace(), node.mtu)
    yield from _sysctls(instance_sysctls(instance), inside, namespace)
    if not (inside.links.get(LOOPBACK) and inside.links[LOOPBACK].is_up):
        yield do.SetUp(LOOPBACK, namespace)
    yield from _link(INNER_LINK, namespace, inside, node.mtu, instance.addresses)
    yield from _default_routes(instance, inside, namespace)


def _link(
    link: str, namespace: str, seen: ObservedNamespace, mtu: int, addresses: frozenset[Interface] = frozenset()
) -> Iterator[Command]:
    """A link that is not seen was made with its MTU a command ago, and is down and bare."""
    state = seen.links.get(link, ObservedLink(mtu, is_up=False))
    if state.mtu != mtu:
        yield do.SetMtu(link, mtu, namespace)
    if not state.is_up:
        yield do.SetUp(link, namespace)
    for address in sorted(state.addresses - addresses, key=str):
        yield do.RemoveAddress(link, address, namespace)
    for address in sorted(addresses - state.addresses, key=str):
        yield do.AddAddress(link, address, namespace)


def _default_routes(instance: InstanceNetwork, inside: ObservedNamespace, namespace: str) -> Iterator[Command]:
    for gateway in sorted(instance.gateways, key=str):
        destination: Network = ANY_V4 if gateway.version == 4 else ANY_V6
        if (destination, gateway) not in inside.routes:
            yield do.AddRoute(destination, gateway, INNER_LINK, namespace)


def instance_sysctls(instance: InstanceNetwork) -> dict[str, str]:
    """A kernel without IPv6 has no such keys."""
    has_v6 = any(address.version == 6 for address in instance.addresses)
    return {key: value for key, value in INSTANCE_SYSCTLS.items() if has_v6 or not key.startswith(IPV6_SYSCTLS)}


def without_v6(network: InstanceNetwork) -> InstanceNetwork:
    return InstanceNetwork(
        network.instance_id,
        frozenset(address for address in network.addresses if address.version == 4),
        frozenset(gateway for gateway in network.gateways if gateway.version == 4),
    )


def _sysctls(wanted: Mapping[str, str], seen: ObservedNamespace, namespace: str) -> Iterator[Command]:
    for key, value in sorted(wanted.items()):
        if seen.sysctls.get(key) != value:
            yield do.SetSysctl(key, value, namespace)
