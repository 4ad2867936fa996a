"""What the kernel is told, one thing each. `namespace` "" is the node's own."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from edge_common.addressing.pool import Network

Ip = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class CreateNamespace:
    namespace: str


@dataclass(frozen=True, slots=True)
class RemoveNamespace:
    namespace: str


@dataclass(frozen=True, slots=True)
class CreateBridge:
    link: str
    mtu: int
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class CreateVeth:
    """The inner end is born in its namespace, so there is no moment at which a half-moved pair could be left over."""

    link: str
    inner: str
    inner_namespace: str
    mtu: int
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class CreateTunnel:
    link: str
    vni: int
    port: int
    local: Ip
    mac: str
    mtu: int
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class RemoveLink:
    link: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class SetMtu:
    link: str
    mtu: int
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class SetUp:
    link: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Attach:
    link: str
    bridge: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class AddAddress:
    link: str
    address: Interface
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class RemoveAddress:
    link: str
    address: Interface
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class AddRoute:
    """`via` need not be on a subnet of the link. A route to the same destination is replaced."""

    destination: Network
    via: Ip
    link: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    destination: Network
    via: Ip
    link: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class RefuseRoute:
    """Whoever sends to `destination`, for which there is no better route, is told at once that it is unreachable."""

    destination: Network
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class SetNeighbour:
    link: str
    ip: Ip
    mac: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class RemoveNeighbour:
    link: str
    ip: Ip
    mac: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class SetForwarding:
    """Frames to `mac` go through the tunnel to the node at `underlay`."""

    link: str
    mac: str
    underlay: Ip
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class RemoveForwarding:
    link: str
    mac: str
    underlay: Ip
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class SetSysctl:
    """`key` as under /proc/sys, with slashes: an interface's name may have a dot."""

    key: str
    value: str
    namespace: str = ""


Command = (
    CreateNamespace
    | RemoveNamespace
    | CreateBridge
    | CreateVeth
    | CreateTunnel
    | RemoveLink
    | SetMtu
    | SetUp
    | Attach
    | AddAddress
    | RemoveAddress
    | AddRoute
    | RemoveRoute
    | RefuseRoute
    | SetNeighbour
    | RemoveNeighbour
    | SetForwarding
    | RemoveForwarding
    | SetSysctl
)
