"""A kernel without a network: it keeps what it is told, and may fail or die in between."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from edge_common.addressing.pool import Network
from edge_common.model.errors import Broken
from net_manager.core import commands as do
from net_manager.core.commands import Command, Ip
from net_manager.core.links import LOOPBACK, Observed, ObservedLink, ObservedNamespace
from net_manager.core.service_table import Published, RemovePort, ServiceTable, SetPort, TableChange, Target


class Killed(BaseException):
    """As if the process had ended here."""


@dataclass
class _Space:
    links: dict[str, ObservedLink] = field(default_factory=dict)
    routes: set[tuple[Network, Ip]] = field(default_factory=set)
    refused: set[Network] = field(default_factory=set)
    sysctls: dict[str, str] = field(default_factory=dict)

    def seen(self) -> ObservedNamespace:
        return ObservedNamespace(True, dict(self.links), frozenset(self.routes), frozenset(self.refused), self.sysctls)


def _bare() -> _Space:
    return _Space({LOOPBACK: ObservedLink(65536, is_up=False)})


class FakeKernel:
    """`commands_left` None is no limit; at 0 it is Killed. Commands on links in `refuses` are refused."""

    def __init__(self) -> None:
        self.host = _bare()
        self.spaces: dict[str, _Space] = {}
        self.inner_of: dict[str, str] = {}
        self.executed: list[Command] = []
        self.forgotten: list[Ip] = []
        self.refuses: set[str] = set()
        self.trouble = ""
        self.cannot_forget = False
        self.knows_ipv6 = True
        self.published: dict[Published, Target] = {}
        self.commands_left: int | None = None
        self.mtu: int | None = 1500

    def observe(self, host_sysctls: Iterable[str], only: Iterable[str] | None = None) -> Observed:
        names = self.spaces if only is None else [name for name in only if name in self.spaces]
        return Observed(self.host.seen(), {name: self.spaces[name].seen() for name in names})

    def execute(self, commands: Iterable[Command]) -> None:
        for command in commands:
            if self.commands_left is not None:
                if self.commands_left == 0:
                    raise Killed
                self.commands_left -= 1
            if getattr(command, "link", "") in self.refuses:
                raise Broken(f"The kernel refused {command}.")
            self._do(command)
            self.executed.append(command)

    def has_ipv6(self) -> bool:
        return self.knows_ipv6

    def uplink_mtu(self) -> int | None:
        return self.mtu

    def table(self) -> ServiceTable:
        if self.trouble:
            raise Broken(self.trouble)
        return ServiceTable(published=dict(self.published))

    def change_table(self, changes: Iterable[TableChange]) -> None:
        for change in changes:
            if isinstance(change, SetPort):
                self.published[change.port] = change.target
            elif isinstance(change, RemovePort):
                del self.published[change.port]
            else:
                raise AssertionError(f"The fake kernel does not know {change}.")

    def forget_flows(self, addresses: Collection[Ip]) -> None:
        if self.cannot_forget:
            raise Broken("This kernel has no list of flows.")
        self.forgotten += addresses

    def _do(self, command: Command) -> None:
        match command:
            case do.CreateNamespace(name):
                self.spaces.setdefault(name, _bare())
            case do.RemoveNamespace(name):
                self.spaces.pop(name, None)
                for link in [link for link, inside in self.inner_of.items() if inside == name]:
                    self._remove(link)
            case do.CreateVeth(link, inner, inside, mtu):
                self.host.links[link] = ObservedLink(mtu, is_up=False)
                self.spaces[inside].links[inner] = ObservedLink(mtu, is_up=False)
                self.inner_of[link] = inside
            case do.RemoveLink(link):
                self._remove(link)
            case _:
                self._change(command)

    def _change(self, command: Command) -> None:
        namespace = command.namespace
        space = self.spaces[namespace] if namespace else self.host
        match command:
            case do.CreateBridge(link, mtu):
                space.links[link] = ObservedLink(mtu, is_up=False)
            case do.SetMtu(link, mtu):
                space.links[link] = replace(space.links[link], mtu=mtu)
            case do.SetUp(link):
                space.links[link] = replace(space.links[link], is_up=True)
            case do.Attach(link, bridge):
                space.links[link] = replace(space.links[link], master=bridge)
            case do.AddAddress(link, address):
                space.links[link] = replace(space.links[link], addresses=space.links[link].addresses | {address})
            case do.RemoveAddress(link, address):
                space.links[link] = replace(space.links[link], addresses=space.links[link].addresses - {address})
            case do.AddRoute(destination, via):
                space.routes.add((destination, via))
            case do.RefuseRoute(destination):
                space.refused.add(destination)
            case do.SetSysctl(key, value):
                space.sysctls[key] = value
            case _:
                raise AssertionError(f"The fake kernel does not know {command}.")

    def _remove(self, link: str) -> None:
        self.host.links.pop(link, None)
        inside = self.spaces.get(self.inner_of.pop(link, ""))
        if inside is not None:
            inside.links.pop("eth0", None)
            inside.routes.clear()
