"""Service addresses in the kernel: turns, changes, flows that stay, and who is seen as the caller."""

import select
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from edge_common.addressing.address_plan import OVERLAY_V4, OVERLAY_V6, SERVICES_V4
from edge_common.model.errors import Broken
from net_manager.adapters import flows
from net_manager.adapters.nftables import NfTables
from net_manager.core import commands as do
from net_manager.core import service_table
from net_manager.core.commands import Ip
from net_manager.core.service_table import AddService, ServiceTable, SetSlot
from tests.parts import netns
from tests.parts.netns import Host

pytestmark = pytest.mark.real

CALLER, FIRST, SECOND, THIRD = range(2, 6)
INSTANCES = (FIRST, SECOND, THIRD)
PORT = 8000


def own(number: int, version: int) -> str:
    return f"10.16.0.{number}" if version == 4 else f"fc00::{number}"


def shown(number: int, version: int) -> str:
    return f"10.30.1.{number}" if version == 4 else f"fdff::1:{number}"


def service(version: int) -> str:
    return "10.30.0.1" if version == 4 else "fdff:2000::1"


def table(*serving: int) -> ServiceTable:
    """Everyone has an instance address; `serving` are behind the service address."""
    pairs = [(number, version) for number in (CALLER, *INSTANCES) for version in (4, 6)]
    entries: dict[Ip, Ip] = {ip_address(own(*one)): ip_address(shown(*one)) for one in pairs}
    return ServiceTable(
        direct={outer: inner for inner, outer in entries.items()},
        identities=entries,
        round_robin={
            ip_address(service(version)): tuple(ip_address(own(number, version)) for number in serving)
            for version in (4, 6)
            if serving
        },
    )


@dataclass
class World:
    host: Host
    nft: NfTables
    inside: dict[int, Path]

    def set(self, wanted: ServiceTable) -> None:
        self.nft.apply(service_table.changes(wanted, self.nft.adopt()))

    def listen(self, stack: ExitStack, version: int, kind: socket.SocketKind) -> dict[socket.socket, int]:
        return {
            stack.enter_context(netns.listener(self.inside[number], own(number, version), PORT, kind)): number
            for number in INSTANCES
        }

    def calls(self, count: int, version: int, caller: int = CALLER) -> "Counter[int]":
        """Which instances took `count` connections, made one after the other."""
        taken: Counter[int] = Counter()
        with ExitStack() as stack:
            servers = self.listen(stack, version, socket.SOCK_STREAM)
            for _ in range(count):
                stack.enter_context(netns.connected(self.inside[caller], service(version), PORT))
                server = ready(servers)
                accepted, peer = server.accept()
                stack.enter_context(accepted)
                assert peer[0] == shown(caller, version)
                taken[servers[server]] += 1
        return taken


def ready(servers: dict[socket.socket, int]) -> socket.socket:
    found, _, _ = select.select(list(servers), [], [], netns.TIMEOUT_S)
    assert len(found) == 1
    return found[0]


@pytest.fixture
def world() -> Iterator[World]:
    with netns.host("10.16.0.1/26", "fc00::1/120") as host:
        ids = {
            number: host.want(f"i{number}", f"{own(number, 4)}/26", f"{own(number, 6)}/120")
            for number in (CALLER, *INSTANCES)
        }
        host.settle()
        host.netlink.execute([do.RefuseRoute(SERVICES_V4)])
        nft = NfTables(OVERLAY_V4, OVERLAY_V6, host=host.path)
        yield World(host, nft, {number: host.inside(instance_id) for number, instance_id in ids.items()})


@pytest.mark.parametrize("version", [4, 6])
def test_thirty_connections_are_ten_for_each_of_three(world: World, version: int) -> None:
    world.set(table(*INSTANCES))
    assert world.calls(30, version) == {FIRST: 10, SECOND: 10, THIRD: 10}


def test_two_services_called_in_turn_do_not_disturb_each_other(world: World) -> None:
    both = table(FIRST, SECOND)
    other = ip_address("10.30.0.2")
    world.set(ServiceTable(both.direct, both.identities, {**both.round_robin, other: (ip_address(own(THIRD, 4)),)}))
    taken: Counter[int] = Counter()
    with ExitStack() as stack:
        servers = world.listen(stack, 4, socket.SOCK_STREAM)
        for address in (service(4), str(other)) * 6:
            stack.enter_context(netns.connected(world.inside[CALLER], address, PORT))
            server = ready(servers)
            stack.enter_context(server.accept()[0])
            taken[servers[server]] += 1
    assert taken == {FIRST: 3, SECOND: 3, THIRD: 6}


@pytest.mark.parametrize("version", [4, 6])
def test_a_removed_instance_keeps_its_flows_and_takes_no_new_ones(world: World, version: int) -> None:
    world.set(table(FIRST))
    with ExitStack() as stack:
        servers = world.listen(stack, version, socket.SOCK_STREAM)
        client = stack.enter_context(netns.connected(world.inside[CALLER], service(version), PORT))
        accepted = stack.enter_context(ready(servers).accept()[0])
        world.set(table(SECOND, THIRD))
        client.sendall(b"still here")
        assert accepted.recv(64) == b"still here"
        stack.close()
    assert world.calls(6, version) == {SECOND: 3, THIRD: 3}


@pytest.mark.parametrize("version", [4, 6])
def test_datagrams_are_answered_from_the_service_address(world: World, version: int) -> None:
    world.set(table(*INSTANCES))
    with ExitStack() as stack:
        servers = world.listen(stack, version, socket.SOCK_DGRAM)
        taken: Counter[int] = Counter()
        for _ in range(6):
            client = stack.enter_context(
                netns.connected(world.inside[CALLER], service(version), PORT, socket.SOCK_DGRAM)
            )
            for _ in range(2):
                client.send(b"?")
                server = ready(servers)
                question, peer = server.recvfrom(16)
                server.sendto(question, peer)
                assert client.recv(16) == b"?"
                taken[servers[server]] += 1
    assert taken == {FIRST: 4, SECOND: 4, THIRD: 4}


@pytest.mark.parametrize("version", [4, 6])
def test_a_forgotten_flow_goes_where_new_ones_go(world: World, version: int) -> None:
    world.set(table(FIRST))
    with ExitStack() as stack:
        servers = world.listen(stack, version, socket.SOCK_DGRAM)
        client = stack.enter_context(netns.connected(world.inside[CALLER], service(version), PORT, socket.SOCK_DGRAM))

        def taker() -> int:
            client.send(b"?")
            server = ready(servers)
            server.recv(16)
            return servers[server]

        assert taker() == FIRST
        world.set(table(SECOND))
        assert taker() == FIRST
        others = flows.forget([ip_address(own(THIRD, version))], world.host.path)
        assert others == 0
        assert taker() == FIRST
        assert flows.forget([ip_address(own(FIRST, version))], world.host.path) == 1
        assert taker() == SECOND


@pytest.mark.parametrize(("near", "far"), [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")])
def test_the_world_outside_sees_the_node(world: World, near: str, far: str) -> None:
    prefix = 126 if ":" in far else 30
    world.set(table())
    with netns.host() as outside, ExitStack() as stack:
        netns.cable(world.host, outside, (f"{near}/{prefix}", f"{far}/{prefix}"))
        server = stack.enter_context(netns.listener(outside.path, far, PORT))
        stack.enter_context(netns.connected(world.inside[CALLER], far, PORT))
        accepted, peer = server.accept()
        stack.enter_context(accepted)
        assert peer[0] == near


def test_service_and_instance_addresses_answer_pings(world: World) -> None:
    world.set(table(*INSTANCES))
    for version in (4, 6):
        assert netns.pings(world.inside[CALLER], service(version))
        assert netns.pings(world.inside[CALLER], shown(SECOND, version))


@pytest.mark.parametrize("version", [4, 6])
def test_an_instance_reaches_its_own_service_and_itself_through_it(world: World, version: int) -> None:
    world.set(table(FIRST))
    assert world.calls(3, version, caller=FIRST) == {FIRST: 3}


def test_a_service_without_instances_is_refused_at_once(world: World) -> None:
    world.set(table())
    with pytest.raises(OSError, match=r"[Uu]nreachable|No route"):
        netns.connected(world.inside[CALLER], service(4), PORT)


def test_a_start_adopts_the_table_and_keeps_the_turn(world: World) -> None:
    world.set(table(*INSTANCES))
    assert world.calls(1, 4) == {FIRST: 1}
    again = NfTables(OVERLAY_V4, OVERLAY_V6, host=world.host.path)
    assert service_table.changes(table(*INSTANCES), again.adopt()) == ()
    assert world.calls(2, 4) == {SECOND: 1, THIRD: 1}
    again.remove()
    again.remove()
    assert again.adopt() == ServiceTable()


def test_a_transaction_is_all_or_nothing(world: World) -> None:
    world.set(table(*INSTANCES))
    before = world.nft.adopt()
    with pytest.raises(Broken, match="nft refused"):
        world.nft.apply(
            [
                AddService(ip_address("10.30.0.9")),
                SetSlot(ip_address("10.30.0.1"), 0, ip_address(own(SECOND, 4))),
            ]
        )
    assert world.nft.adopt() == before
