"""Writes the service table to nftables, one transaction a change, and reads it back.

Flows that exist stay where they are: the kernel asks these rules for the first packet of a flow only.
"""

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Any

from edge_common.model.errors import Broken, Unreachable
from edge_common.model.network import Transport
from net_manager.core.commands import Ip
from net_manager.core.links import Names
from net_manager.core.service_table import (
    AddService,
    Published,
    RemoveDirect,
    RemoveIdentity,
    RemovePort,
    RemoveService,
    RemoveSlot,
    ServiceTable,
    SetDirect,
    SetIdentity,
    SetPort,
    SetSlot,
    SetWidth,
    TableChange,
    Target,
)

TIMEOUT_S = 10.0
_NFT = "/usr/sbin/nft"
_NSENTER = "/usr/bin/nsenter"
DEFAULT_BRIDGE = Names().bridge

_FRAME = """
table inet {table} {{
  map ports4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
  map ports6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
  map direct4 {{ type ipv4_addr : ipv4_addr; }}
  map direct6 {{ type ipv6_addr : ipv6_addr; }}
  map identities4 {{ type ipv4_addr : ipv4_addr; }}
  map identities6 {{ type ipv6_addr : ipv6_addr; }}
  map slots4 {{ typeof ip daddr . numgen inc mod 2 : ip daddr; }}
  map slots6 {{ typeof ip6 daddr . numgen inc mod 2 : ip6 daddr; }}
  map services4 {{ type ipv4_addr : verdict; }}
  map services6 {{ type ipv6_addr : verdict; }}
  chain guard {{ type filter hook prerouting priority raw; }}
  chain destinations {{ }}
  chain from_instances {{ type nat hook prerouting priority dstnat; }}
  chain from_node {{ type nat hook output priority -100; }}
  chain sources {{ type nat hook postrouting priority srcnat; }}
}}
flush chain inet {table} guard
flush chain inet {table} destinations
flush chain inet {table} from_instances
flush chain inet {table} from_node
flush chain inet {table} sources
table inet {table} {{
  chain guard {{
    iifname "{bridge}" ip daddr 127.0.0.0/8 drop
  }}
  chain destinations {{
    dnat ip to ip daddr map @direct4
    dnat ip6 to ip6 daddr map @direct6
    ip daddr vmap @services4
    ip6 daddr vmap @services6
    fib daddr type local dnat ip to meta l4proto . th dport map @ports4
    fib daddr type local ip6 daddr != ::1 dnat ip6 to meta l4proto . th dport map @ports6
  }}
  chain from_instances {{ jump destinations; }}
  chain from_node {{ jump destinations; }}
  chain sources {{
    ip saddr 127.0.0.0/8 oifname "{bridge}" masquerade
    ct status dnat ip saddr {overlay_v4} ct original ip daddr != {overlay_v4} masquerade
    ct status dnat ip6 saddr {overlay_v6} ct original ip6 daddr != {overlay_v6} masquerade
    ip daddr {overlay_v4} snat ip to ip saddr map @identities4
    ip6 daddr {overlay_v6} snat ip6 to ip6 saddr map @identities6
    ip saddr {overlay_v4} ip daddr != {overlay_v4} masquerade
    ip6 saddr {overlay_v6} ip6 daddr != {overlay_v6} masquerade
  }}
}}
"""
"""Declared anew at each start, so that one of another version gets these rules; what is in the maps stays."""


class NfTables:
    """`host` is the namespace that counts as the node's own; None is the process's."""

    def __init__(
        self,
        overlay_v4: IPv4Network,
        overlay_v6: IPv6Network,
        table: str = "hedgerow",
        host: Path | None = None,
        bridge: str = DEFAULT_BRIDGE,
    ) -> None:
        self._frame = _FRAME.format(table=table, overlay_v4=overlay_v4, overlay_v6=overlay_v6, bridge=bridge)
        self._is_framed = False
        self._table = table
        self._command = [_NFT] if host is None else [_NSENTER, f"--net={host}", _NFT]

    def adopt(self) -> ServiceTable:
        """What the kernel has; the empty table is made when there is none. Flows that exist are not disturbed."""
        tables = json.loads(self._nft("-j", "list", "tables"))["nftables"]
        is_there = any(one.get("table", {}).get("name") == self._table for one in tables)
        if not (is_there and self._is_framed):
            self._nft("-f", "-", text=self._frame)
            self._is_framed = True
        return _read(json.loads(self._nft("-j", "list", "table", "inet", self._table))["nftables"])

    def apply(self, changes: Iterable[TableChange]) -> None:
        """All of them or none. Raises Broken with nft's reason."""
        if lines := [line for change in changes for line in _lines(self._table, change)]:
            self._nft("-f", "-", text="\n".join(lines) + "\n")

    def remove(self) -> None:
        self._nft("-f", "-", text=f"add table inet {self._table}\ndelete table inet {self._table}\n")

    def _nft(self, *arguments: str, text: str = "") -> str:
        try:
            done = subprocess.run(  # noqa: S603 - a fixed path and no shell
                [*self._command, *arguments], input=text, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
        except FileNotFoundError:
            raise Broken(f"There is no {_NFT} on this machine; install the package nftables.") from None
        except subprocess.TimeoutExpired:
            raise Unreachable(f"nft did not finish in {TIMEOUT_S:.0f} s; nothing was changed.") from None
        if done.returncode:
            reason = next(iter(done.stderr.strip().splitlines()), f"it ended with {done.returncode}")
            raise Broken(f"nft refused a change of the table {self._table}: {reason}.")
        return done.stdout


def chain_of(service: Ip) -> str:
    return f"service_{service.packed.hex()}"


def _lines(table: str, change: TableChange) -> list[str]:
    match change:
        case SetPort() | RemovePort():
            return _port_lines(table, change)
        case SetDirect(address, target, before):
            return _put(table, f"direct{address.version}", str(address), str(target), before)
        case RemoveDirect(address):
            return [_delete(table, f"direct{address.version}", str(address))]
        case SetIdentity(source, shown, before):
            return _put(table, f"identities{source.version}", str(source), str(shown), before)
        case RemoveIdentity(source):
            return [_delete(table, f"identities{source.version}", str(source))]
        case SetSlot() | RemoveSlot():
            return _slot_lines(table, change)
        case AddService(service):
            chain = chain_of(service)
            entry = f"{{ {service} : goto {chain} }}"
            return [f"add chain inet {table} {chain}", f"add element inet {table} services{service.version} {entry}"]
        case SetWidth(service, width):
            return _rule(table, service, width)
        case RemoveService(service):
            chain = chain_of(service)
            return [
                _delete(table, f"services{service.version}", str(service)),
                f"flush chain inet {table} {chain}",
                f"delete chain inet {table} {chain}",
            ]


def _slot_lines(table: str, change: SetSlot | RemoveSlot) -> list[str]:
    name, key = f"slots{change.service.version}", f"{change.service} . {change.slot}"
    if isinstance(change, RemoveSlot):
        return [_delete(table, name, key)]
    return _put(table, name, key, str(change.target), change.replaces)


def _port_lines(table: str, change: SetPort | RemovePort) -> list[str]:
    name, key = f"ports{change.port.version}", f"{change.port.transport} . {change.port.port}"
    if isinstance(change, RemovePort):
        return [_delete(table, name, key)]
    return _put(table, name, key, f"{change.target.ip} . {change.target.port}", change.replaces)


def _rule(table: str, service: Ip, width: int) -> list[str]:
    ip, version = ("ip", 4) if service.version == 4 else ("ip6", 6)
    chain = f"inet {table} {chain_of(service)}"
    rule = f"dnat {ip} to {ip} daddr . numgen inc mod {width} map @slots{version}"
    return [f"flush chain {chain}", f"add rule {chain} {rule}"]


def _put(table: str, name: str, key: str, value: str, before: object | None) -> list[str]:
    """An element of a map cannot be overwritten; within one transaction nobody sees it missing."""
    gone = [_delete(table, name, key)] if before is not None else []
    return [*gone, f"add element inet {table} {name} {{ {key} : {value} }}"]


def _delete(table: str, name: str, key: str) -> str:
    return f"delete element inet {table} {name} {{ {key} }}"


def _read(objects: list[dict[str, Any]]) -> ServiceTable:
    elements: dict[str, list[Any]] = {one["map"]["name"]: one["map"].get("elem", []) for one in objects if "map" in one}
    slots: dict[Ip, dict[int, Ip]] = defaultdict(dict)
    for version in "46":
        for key, target in elements.get(f"slots{version}", []):
            service, slot = key["concat"]
            slots[ip_address(service)][int(slot)] = ip_address(target)
    return ServiceTable(
        direct=_plain(elements, "direct"),
        identities=_plain(elements, "identities"),
        published=_published(elements),
        round_robin={service: tuple(by_slot[slot] for slot in sorted(by_slot)) for service, by_slot in slots.items()},
    )


def _published(elements: dict[str, list[Any]]) -> dict[Published, Target]:
    found = {}
    for version in (4, 6):
        for key, value in elements.get(f"ports{version}", []):
            (transport, port), (ip, target) = key["concat"], value["concat"]
            found[Published(version, Transport(transport), int(port))] = Target(ip_address(ip), int(target))
    return found


def _plain(elements: dict[str, list[Any]], name: str) -> dict[Ip, Ip]:
    pairs = [*elements.get(f"{name}4", []), *elements.get(f"{name}6", [])]
    return {ip_address(key): ip_address(value) for key, value in pairs}
