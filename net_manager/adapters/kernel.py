"""All of the kernel that NetManager programs, behind its port."""

from collections.abc import Collection, Iterable
from pathlib import Path

from edge_common.addressing.address_plan import OVERLAY_V4, OVERLAY_V6
from net_manager.adapters import flows
from net_manager.adapters.netlink import Netlink
from net_manager.adapters.netlink_view import NetlinkView
from net_manager.adapters.nftables import NfTables
from net_manager.core.commands import Command, Ip
from net_manager.core.links import Names, Observed
from net_manager.core.service_table import ServiceTable, TableChange

_IPV6 = Path("/proc/sys/net/ipv6")


class LinuxKernel:
    """`host` is the namespace that counts as the node's own; None is the process's."""

    def __init__(self, names: Names, host: Path | None = None) -> None:
        self._host = host
        self._netlink = Netlink(host)
        self._view = NetlinkView(names, host)
        self._nft = NfTables(OVERLAY_V4, OVERLAY_V6, host=host, bridge=names.bridge)

    def observe(self, host_sysctls: Iterable[str], only: Iterable[str] | None = None) -> Observed:
        return self._view.observe(host_sysctls, only)

    def execute(self, commands: Iterable[Command]) -> None:
        self._netlink.execute(commands)

    def has_ipv6(self) -> bool:
        return _IPV6.exists()

    def uplink_mtu(self) -> int | None:
        uplink = self._view.uplink()
        return uplink.mtu if uplink else None

    def table(self) -> ServiceTable:
        return self._nft.adopt()

    def change_table(self, changes: Iterable[TableChange]) -> None:
        self._nft.apply(changes)

    def forget_flows(self, addresses: Collection[Ip]) -> None:
        flows.forget(addresses, self._host)
