"""A switch with a cable to each host, all of them network namespaces; loses without a sound what it is told to lose."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path

from net_manager.adapters import namespaces
from net_manager.adapters.netlink import Netlink
from net_manager.core import commands as do

_BRIDGE = "switch"
_UPLINK = "uplink"
_MTU = 1500
_SUBNET = "198.51.100"
_PREFIX = 24
_TIMEOUT_S = 10.0
_RULES = """
table bridge cuts {
  set pairs { type ipv4_addr . ipv4_addr; }
  chain forward { type filter hook forward priority 0; ip saddr . ip daddr @pairs drop; }
}
"""


@dataclass(frozen=True, slots=True)
class Plug:
    """Where a host's cable ends: its namespace and its address there."""

    namespace: str
    address: str

    @property
    def path(self) -> Path:
        return namespaces.DIRECTORY / self.namespace


@dataclass(slots=True)
class Switch:
    """`token` makes the namespaces' names unlike those of any other test."""

    token: str
    _plugs: dict[str, Plug] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return f"switch-{self.token}"

    def plug_in(self, host: str) -> Plug:
        """A namespace for the host, with loopback and a cable; at most eleven letters, as a link's name has fifteen."""
        plug = Plug(f"{host}-{self.token}", f"{_SUBNET}.{len(self._plugs) + 1}")
        self._plugs[host] = plug
        namespaces.create(plug.namespace)
        port = _port(host)
        Netlink(namespaces.DIRECTORY / self.namespace).execute([do.CreateVeth(port, _UPLINK, plug.namespace, _MTU)])
        self._ip("link", "set", port, "master", _BRIDGE, "up")
        Netlink(plug.path).execute(
            [
                do.SetUp("lo"),
                do.AddAddress(_UPLINK, ip_interface(f"{plug.address}/{_PREFIX}")),
                do.SetUp(_UPLINK),
            ]
        )
        return plug

    def cut(self, sender: str, receiver: str) -> None:
        """What `sender` says to `receiver` is lost from now on; nobody is told."""
        self._nft("add", "element", "bridge", "cuts", "pairs", self._pair(sender, receiver))

    def heal(self, sender: str, receiver: str) -> None:
        self._nft("delete", "element", "bridge", "cuts", "pairs", self._pair(sender, receiver))

    def heal_all(self) -> None:
        self._nft("flush", "set", "bridge", "cuts", "pairs")

    def pull_out(self, host: str) -> None:
        """Takes the host's cable from the switch: its own end loses the carrier too."""
        self._ip("link", "set", _port(host), "down")

    def put_back(self, host: str) -> None:
        self._ip("link", "set", _port(host), "up")

    def build(self) -> None:
        namespaces.create(self.namespace)
        Netlink(namespaces.DIRECTORY / self.namespace).execute([do.CreateBridge(_BRIDGE, _MTU), do.SetUp(_BRIDGE)])
        self._within("nft", "-f", "-", stdin=_RULES)

    def tear_down(self) -> None:
        for plug in self._plugs.values():
            namespaces.remove(plug.namespace)
        namespaces.remove(self.namespace)

    def _pair(self, sender: str, receiver: str) -> str:
        return f"{{ {self._plugs[sender].address} . {self._plugs[receiver].address} }}"

    def _nft(self, *arguments: str) -> None:
        self._within("nft", *arguments)

    def _ip(self, *arguments: str) -> None:
        self._within("ip", *arguments)

    def _within(self, *command: str, stdin: str = "") -> None:
        net = f"--net={namespaces.DIRECTORY / self.namespace}"
        subprocess.run(
            ["nsenter", net, *command], input=stdin, text=True, check=True, timeout=_TIMEOUT_S, capture_output=True
        )


@contextlib.contextmanager
def make_switch(token: str) -> Iterator[Switch]:
    switch = Switch(token)
    try:
        switch.build()
        yield switch
    finally:
        switch.tear_down()


def _port(host: str) -> str:
    return f"to-{host}"
