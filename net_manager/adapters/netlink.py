"""Executes commands on links, addresses and routes. Doing again what is done already is no error."""

import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from edge_common.model.errors import Broken, NotFound
from net_manager.adapters import namespaces
from net_manager.core import commands as do
from net_manager.core.commands import Command

logger = logging.getLogger(__name__)

_SYSCTLS = Path("/proc/sys")
_NO_DAD = 0x02
_ONLINK = "onlink"
_PERMANENT = 0x80
_SELF = 0x02
_EXISTS = frozenset({errno.EEXIST})
_GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ESRCH, errno.EADDRNOTAVAIL})

Action = Callable[[IPRoute], None]


class Netlink:
    """`host` is the namespace that counts as the node's own; None is the process's."""

    def __init__(self, host: Path | None = None) -> None:
        self._host = host

    def execute(self, commands: Iterable[Command]) -> None:
        """In order; stops at the first that fails. Raises Broken with the kernel's reason, NotFound, Unreachable."""
        for namespace, group in groupby(commands, key=_place):
            if namespace is None:
                for command in group:
                    _change_namespace(command)
            else:
                path = namespaces.DIRECTORY / namespace if namespace else self._host
                namespaces.within(path, partial(_execute, tuple(group)))


def _place(command: Command) -> str | None:
    """The namespace that a command is executed in; None when it is about namespaces themselves."""
    return None if isinstance(command, do.CreateNamespace | do.RemoveNamespace) else command.namespace


def _change_namespace(command: Command) -> None:
    if isinstance(command, do.CreateNamespace):
        namespaces.create(command.namespace)
    elif isinstance(command, do.RemoveNamespace):
        namespaces.remove(command.namespace)


def _execute(commands: tuple[Command, ...]) -> None:
    with IPRoute() as route:
        for command in commands:
            try:
                _ACTIONS[type(command)](route, command)
            except NetlinkError as error:
                if error.code not in _harmless(command):
                    raise Broken(f"The kernel refused {command}: {error}.") from error
            logger.debug("executed command=%s", command)


def _harmless(command: Command) -> frozenset[int]:
    name = type(command).__name__
    return _GONE if name.startswith("Remove") else _EXISTS if name.startswith(("Create", "Add")) else frozenset()


def _index(route: IPRoute, link: str) -> int:
    found = route.link_lookup(ifname=link)
    if not found:
        raise NotFound(f"There is no link {link}; something else removed it.")
    return int(found[0])


def _create_bridge(route: IPRoute, command: do.CreateBridge) -> None:
    """The MTU in a request of its own: one that a bridge is born with changes again when its ports come and go."""
    route.link("add", ifname=command.link, kind="bridge")
    route.link("set", index=_index(route, command.link), mtu=command.mtu)


def _create_veth(route: IPRoute, command: do.CreateVeth) -> None:
    with namespaces.opened(command.inner_namespace) as descriptor:
        peer = {"ifname": command.inner, "mtu": command.mtu, "net_ns_fd": descriptor}
        route.link("add", ifname=command.link, kind="veth", mtu=command.mtu, peer=peer)


def _create_tunnel(route: IPRoute, command: do.CreateTunnel) -> None:
    local = "vxlan_local" if command.local.version == 4 else "vxlan_local6"
    route.link(
        "add",
        ifname=command.link,
        kind="vxlan",
        address=command.mac,
        mtu=command.mtu,
        vxlan_id=command.vni,
        vxlan_port=command.port,
        vxlan_learning=False,
        **{local: str(command.local)},
    )


def _remove_link(route: IPRoute, command: do.RemoveLink) -> None:
    with contextlib.suppress(NotFound):
        route.link("del", index=_index(route, command.link))


def _set_mtu(route: IPRoute, command: do.SetMtu) -> None:
    route.link("set", index=_index(route, command.link), mtu=command.mtu)


def _set_up(route: IPRoute, command: do.SetUp) -> None:
    route.link("set", index=_index(route, command.link), state="up")


def _attach(route: IPRoute, command: do.Attach) -> None:
    """With hairpin: where br_netfilter is on, what an instance sends to itself is bridged and not routed."""
    index = _index(route, command.link)
    route.link("set", index=index, master=_index(route, command.bridge))
    route.brport("set", index=index, mode=1)


def _change_address(verb: str, route: IPRoute, command: do.AddAddress | do.RemoveAddress) -> None:
    """Without the search for duplicates, which would keep an IPv6 address unusable for a second."""
    flags = {"flags": _NO_DAD} if verb == "add" and command.address.version == 6 else {}
    address, prefix = str(command.address.ip), command.address.network.prefixlen
    route.addr(verb, index=_index(route, command.link), address=address, prefixlen=prefix, **flags)


def _change_route(verb: str, route: IPRoute, command: do.AddRoute | do.RemoveRoute) -> None:
    index = _index(route, command.link)
    route.route(verb, dst=str(command.destination), gateway=str(command.via), oif=index, flags=[_ONLINK])


def _refuse_route(route: IPRoute, command: do.RefuseRoute) -> None:
    route.route(
        "replace", dst=str(command.destination), type="unreachable", family=_family(command.destination.version)
    )


def _set_neighbour(route: IPRoute, command: do.SetNeighbour) -> None:
    index = _index(route, command.link)
    route.neigh("replace", dst=str(command.ip), lladdr=command.mac, ifindex=index, state=_PERMANENT)


def _remove_neighbour(route: IPRoute, command: do.RemoveNeighbour) -> None:
    route.neigh("del", dst=str(command.ip), lladdr=command.mac, ifindex=_index(route, command.link))


def _change_forwarding(verb: str, route: IPRoute, command: do.SetForwarding | do.RemoveForwarding) -> None:
    index = _index(route, command.link)
    state = {"state": _PERMANENT} if verb != "del" else {}
    route.fdb(verb, lladdr=command.mac, dst=str(command.underlay), ifindex=index, flags=_SELF, **state)


def _set_sysctl(_: IPRoute, command: do.SetSysctl) -> None:
    path = _SYSCTLS / command.key
    try:
        path.write_text(command.value)
        seen = " ".join(path.read_text().split())
    except OSError as error:
        raise Broken(f"The kernel refused {command.key} = {command.value}: {error.strerror}.") from error
    if seen != command.value:
        raise Broken(f"The kernel took {command.key} = {command.value} but has {seen}.")


def _family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6


_ACTIONS: dict[type[Command], Callable[..., None]] = {
    do.CreateBridge: _create_bridge,
    do.CreateVeth: _create_veth,
    do.CreateTunnel: _create_tunnel,
    do.RemoveLink: _remove_link,
    do.SetMtu: _set_mtu,
    do.SetUp: _set_up,
    do.Attach: _attach,
    do.AddAddress: partial(_change_address, "add"),
    do.RemoveAddress: partial(_change_address, "del"),
    do.AddRoute: partial(_change_route, "replace"),
    do.RemoveRoute: partial(_change_route, "del"),
    do.RefuseRoute: _refuse_route,
    do.SetNeighbour: _set_neighbour,
    do.RemoveNeighbour: _remove_neighbour,
    do.SetForwarding: partial(_change_forwarding, "replace"),
    do.RemoveForwarding: partial(_change_forwarding, "del"),
    do.SetSysctl: _set_sysctl,
}
