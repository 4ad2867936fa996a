"""Hosts as network namespaces, and sockets in any of them. Everything bears a prefix that no other test uses."""

import contextlib
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path

from edge_common.model.ids import InstanceId
from net_manager.adapters import namespaces
from net_manager.adapters.netlink import Netlink
from net_manager.adapters.netlink_view import NetlinkView
from net_manager.core import commands as do
from net_manager.core import links
from net_manager.core.links import InstanceNetwork, Names, NodeNetwork

TIMEOUT_S = 5.0


@dataclass
class Host:
    """A machine with a bridge and instances; `names` is what its NetManager would use."""

    namespace: str
    names: Names
    node: NodeNetwork
    gateways: tuple[str, ...]
    instances: dict[InstanceId, InstanceNetwork] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return namespaces.DIRECTORY / self.namespace

    @property
    def netlink(self) -> Netlink:
        return Netlink(self.path)

    @property
    def view(self) -> NetlinkView:
        return NetlinkView(self.names, self.path)

    def wanted_changes(self) -> tuple[do.Command, ...]:
        seen = self.view.observe(links.host_sysctls(self.names, self.node))
        return links.changes(self.names, self.node, self.instances.values(), seen)

    def settle(self) -> None:
        self.netlink.execute(self.wanted_changes())

    def want(self, name: str, *addresses: str) -> InstanceId:
        instance_id = InstanceId(name)
        self.instances[instance_id] = InstanceNetwork(
            instance_id,
            frozenset(ip_interface(address) for address in addresses),
            frozenset(ip_interface(gateway).ip for gateway in self.gateways),
        )
        return instance_id

    def inside(self, instance_id: InstanceId) -> Path:
        return namespaces.DIRECTORY / self.names.namespace(instance_id)

    def leftovers(self) -> set[str]:
        """What is there besides the host itself and its bridge."""
        seen = self.view.observe()
        return set(seen.namespaces) | set(seen.host.links) - {"lo", self.names.bridge, "uplink"}


@contextlib.contextmanager
def host(*gateways: str, mtu: int = 1450) -> Iterator[Host]:
    prefix = f"t{secrets.token_hex(1)}x"
    namespace = f"host-{prefix}-{secrets.token_hex(3)}"
    node = NodeNetwork(frozenset(ip_interface(gateway) for gateway in gateways), mtu)
    namespaces.create(namespace)
    one = Host(namespace, Names(prefix), node, gateways)
    try:
        one.netlink.execute([do.SetUp("lo")])
        yield one
    finally:
        for left in namespaces.names():
            if one.names.is_namespace(left):
                namespaces.remove(left)
        namespaces.remove(namespace)


def cable(first: Host, second: Host, *addresses: tuple[str, str], mtu: int = 1500) -> None:
    """Connects two hosts by links named `uplink`."""
    first.netlink.execute([do.CreateVeth("uplink", "uplink", second.namespace, mtu), do.SetUp("uplink")])
    second.netlink.execute([do.SetUp("uplink")])
    for one, other in addresses:
        first.netlink.execute([do.AddAddress("uplink", ip_interface(one))])
        second.netlink.execute([do.AddAddress("uplink", ip_interface(other))])


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def listener(path: Path, address: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    def make() -> socket.socket:
        made = socket.socket(family(address), kind)
        made.settimeout(TIMEOUT_S)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        if kind == socket.SOCK_STREAM:
            made.listen(64)
        return made

    return namespaces.within(path, make)


def connected(
    path: Path, address: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM, timeout_s: float = TIMEOUT_S
) -> socket.socket:
    def make() -> socket.socket:
        made = socket.socket(family(address), kind)
        made.settimeout(timeout_s)
        try:
            made.connect((address, port))
        except OSError:
            made.close()
            raise
        return made

    return namespaces.within(path, make)


def pings(path: Path, address: str) -> bool:
    """One echo, through the kernel's own unprivileged ICMP socket."""
    is_v6 = ":" in address
    protocol = socket.IPPROTO_ICMPV6 if is_v6 else socket.IPPROTO_ICMP
    request, reply = (128, 129) if is_v6 else (8, 0)

    def make() -> socket.socket:
        return socket.socket(family(address), socket.SOCK_DGRAM, protocol)

    with namespaces.within(path, make) as one:
        one.settimeout(TIMEOUT_S)
        try:
            one.sendto(bytes((request, 0, 0, 0, 0, 0, 0, 1)) + b"hedgerow", (address, 0))
            return one.recvfrom(256)[0][0] == reply
        except OSError:
            return False
