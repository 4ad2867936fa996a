"""What the kernel has of ours: links, addresses, routes, sysctls and the tunnel's entries."""

import socket
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from edge_common.addressing.pool import Network
from edge_common.model.errors import NotFound
from net_manager.adapters import namespaces
from net_manager.core import links
from net_manager.core.commands import Interface, Ip
from net_manager.core.links import (
    INSTANCE_SYSCTLS,
    Names,
    Observed,
    ObservedLink,
    ObservedNamespace,
    TunnelEnd,
)
from net_manager.core.tunnels import TunnelEntries

_SYSCTLS = Path("/proc/sys")
_UP = 0x1
_PERMANENT = 0x80
_UNIVERSE = 0
_MAIN_TABLE = 254
_UNICAST = 1
_UNREACHABLE = 7


@dataclass(frozen=True, slots=True)
class Uplink:
    link: str
    mtu: int


class NetlinkView:
    """`host` is the namespace that counts as the node's own; None is the process's."""

    def __init__(self, names: Names, host: Path | None = None) -> None:
        self._names = names
        self._host = host

    def observe(self, host_sysctls: Iterable[str] = (), only: Iterable[str] | None = None) -> Observed:
        """`only` are the namespaces to look into; None is all of ours. Which links listen to routers is always told."""
        wanted = [name for name in namespaces.names() if self._names.is_namespace(name)] if only is None else only
        inner = {name: _namespace(name) for name in wanted}
        keys = (*host_sysctls, links.FORWARDING_V6)
        return Observed(namespaces.within(self._host, partial(_look, keys, tells_accept_ra=True)), inner)

    def uplink(self) -> Uplink | None:
        """The way out: where the default route leads; None when there is none."""
        return namespaces.within(self._host, _uplink)

    def tunnel_entries(self) -> TunnelEntries:
        return namespaces.within(self._host, partial(_tunnel_entries, self._names.tunnel))


def _namespace(name: str) -> ObservedNamespace:
    if not namespaces.is_whole(name):
        return ObservedNamespace(is_whole=False)
    try:
        return namespaces.within(namespaces.DIRECTORY / name, partial(_look, tuple(INSTANCE_SYSCTLS)))
    except NotFound:
        return ObservedNamespace(is_whole=False)


def _look(sysctls: tuple[str, ...], *, tells_accept_ra: bool = False) -> ObservedNamespace:
    with IPRoute() as route:
        seen = {int(one["index"]): one for one in route.get_links()}
        addresses: dict[int, set[Interface]] = defaultdict(set)
        for one in route.get_addr():
            if one["scope"] == _UNIVERSE:
                local = one.get("local") or one.get("address")
                addresses[int(one["index"])].add(ip_interface(f"{local}/{one['prefixlen']}"))
        routes = frozenset((destination, via) for _, destination, via in _gateway_routes(route))
        refused = frozenset(_refused(route))
    names = {index: str(one.get("ifname")) for index, one in seen.items()}
    found = {
        names[index]: ObservedLink(
            mtu=int(one.get("mtu")),
            is_up=bool(one["flags"] & _UP),
            master=names.get(_master(one), ""),
            addresses=frozenset(addresses[index]),
            tunnel=_tunnel_end(one),
        )
        for index, one in seen.items()
    }
    if tells_accept_ra:
        sysctls += tuple(links.accept_ra(link) for link in (*found, links.DEFAULT_LINK))
    return ObservedNamespace(links=found, routes=routes, refused=refused, sysctls=_read_sysctls(sysctls))


def _master(link: Any) -> int:
    """0 also while the port cannot send back to where a frame came from: it is not wholly attached then."""
    mode = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA", "IFLA_BRPORT_MODE")
    return int(link.get("master") or 0) if mode else 0


def _tunnel_end(link: Any) -> TunnelEnd | None:
    if link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") != "vxlan":
        return None

    def told(name: str) -> Any:
        return link.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", f"IFLA_VXLAN_{name}")

    local = told("LOCAL") or told("LOCAL6")
    return TunnelEnd(int(told("ID")), int(told("PORT")), ip_address(local) if local else None, str(link.get("address")))


def _gateway_routes(route: IPRoute) -> list[tuple[int, Network, Ip]]:
    """(index of the link, destination, gateway) of the main table's routes."""
    found: list[tuple[int, Network, Ip]] = []
    for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        anywhere = links.ANY_V4 if version == 4 else links.ANY_V6
        for one in route.get_routes(family=family, table=_MAIN_TABLE):
            if one["type"] == _UNICAST and one.get("gateway"):
                to = ip_network(f"{one.get('dst')}/{one['dst_len']}") if one.get("dst") else anywhere
                found.append((int(one.get("oif") or 0), to, ip_address(one.get("gateway"))))
    return found


def _refused(route: IPRoute) -> Iterator[Network]:
    for family in (socket.AF_INET, socket.AF_INET6):
        for one in route.get_routes(family=family, table=_MAIN_TABLE):
            if one["type"] == _UNREACHABLE and one.get("dst"):
                yield ip_network(f"{one.get('dst')}/{one['dst_len']}")


def _uplink() -> Uplink | None:
    with IPRoute() as route:
        for family in (socket.AF_INET, socket.AF_INET6):
            for one in route.get_routes(family=family, table=_MAIN_TABLE):
                if one["type"] == _UNICAST and not one["dst_len"] and one.get("oif"):
                    (link,) = route.get_links(int(one.get("oif")))
                    return Uplink(str(link.get("ifname")), int(link.get("mtu")))
    return None


def _read_sysctls(keys: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for key in keys:
        path = _SYSCTLS / key
        if path.exists():
            found[key] = " ".join(path.read_text().split())
    return found


def _tunnel_entries(link: str) -> TunnelEntries:
    with IPRoute() as route:
        indices = route.link_lookup(ifname=link)
        if not indices:
            return TunnelEntries()
        index = int(indices[0])
        neighbours = [
            one
            for family in (socket.AF_INET, socket.AF_INET6)
            for one in route.get_neighbours(family=family, ifindex=index)
            if one["ifindex"] == index and one["state"] & _PERMANENT
        ]
        forwarding = [one for one in route.fdb("dump", ifindex=index) if one["ifindex"] == index]
        routes = [(destination, via) for oif, destination, via in _gateway_routes(route) if oif == index]
    return TunnelEntries(
        frozenset((ip_address(one.get("dst")), str(one.get("lladdr"))) for one in neighbours),
        frozenset((str(one.get("lladdr")), ip_address(one.get("dst"))) for one in forwarding if one.get("dst")),
        frozenset(routes),
    )
