"""Forgets flows: what belongs to a known one goes where its first packet went, for as long as it lasts."""

import errno
import socket
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pyroute2 import NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from edge_common.model.errors import Broken
from net_manager.adapters import namespaces
from net_manager.core.commands import Ip


def forget(addresses: Collection[Ip], host: Path | None = None) -> int:
    """All flows that begin or end at one of these; returns how many. `host` as for Netlink."""
    return namespaces.within(host, partial(_forget, frozenset(addresses)))


def _forget(addresses: frozenset[Ip]) -> int:
    families = {4: socket.AF_INET, 6: socket.AF_INET6}
    try:
        return sum(
            _forget_one(families[version], {str(one) for one in addresses if one.version == version})
            for version in sorted({one.version for one in addresses})
        )
    except NetlinkError as error:
        raise Broken(f"The kernel refused to list or forget flows: {error}.") from error


def _forget_one(family: int, addresses: set[str]) -> int:
    with NFCTSocket(nfgen_family=family) as flows:
        found = {_key(one): one for address in addresses for one in _candidates(flows, family, address)}
        doomed = [one for one in found.values() if addresses & _ends(family, one)]
        for one in doomed:
            try:
                flows.entry("del", tuple_orig=_tuple(family, one, "ORIG"))
            except NetlinkError as error:
                if error.code != errno.ENOENT:
                    raise
    return len(doomed)


def _candidates(flows: NFCTSocket, family: int, address: str) -> Iterator[Any]:
    """The kernel chooses among IPv4 flows; asked for an IPv6 address it returns those of all others."""
    if family == socket.AF_INET6:
        yield from flows.dump()
        return
    end = NFCTAttrTuple(family=family, saddr=address)
    yield from flows.dump(tuple_orig=end)
    yield from flows.dump(tuple_reply=end)


def _ends(family: int, flow: Any) -> set[str]:
    return {str(_tuple(family, flow, way).saddr) for way in ("ORIG", "REPLY")}


def _tuple(family: int, flow: Any, way: str) -> NFCTAttrTuple:
    return NFCTAttrTuple.from_netlink(family, flow.get_attr(f"CTA_TUPLE_{way}"))


def _key(flow: Any) -> int:
    return int(flow.get_attr("CTA_ID"))
