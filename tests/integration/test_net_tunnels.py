"""Two hosts with a cable between them: instances of one reach those of the other, by every kind of address."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from net_manager.core import tunnels
from net_manager.core.tunnels import TunnelEntries
from tests.parts import netns
from tests.parts.overlay import PORT, SERVICE, Overlay, two_hosts

pytestmark = pytest.mark.real


@pytest.fixture
def overlay() -> Iterator[Overlay]:
    with two_hosts() as one:
        yield one


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("10.16.0.66", "10.16.0.66"),
        ("10.30.1.2", "10.16.0.66"),
        (SERVICE, "10.16.0.66"),
        ("fc00::102", "fc00::102"),
        ("fdff::1:2", "fc00::102"),
    ],
)
def test_an_instance_is_reached_over_the_tunnel(overlay: Overlay, address: str, target: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(netns.listener(overlay.insides[1], target, PORT))
        client = stack.enter_context(netns.connected(overlay.insides[0], address, PORT))
        accepted, peer = server.accept()
        stack.enter_context(accepted)
        assert peer[0] == ("fdff::1:1" if ":" in address else "10.30.1.1")
        client.sendall(b"x" * 5000)
        assert accepted.recv(1)
    assert netns.pings(overlay.insides[0], address)


@pytest.mark.parametrize(
    "change",
    [{"vni": 72}, {"port": 4790}, {"local": ip_address("192.0.2.3")}, {"mtu": 1300}],
    ids=lambda change: next(iter(change)),
)
def test_a_tunnel_that_is_to_be_another_is_made_anew(overlay: Overlay, change: dict[str, Any]) -> None:
    host, end = overlay.hosts[0], overlay.peers[0].end_v4
    other = replace(overlay.tunnels[0], **change)
    for wanted in (other, overlay.tunnels[0]):
        host.netlink.execute(tunnels.changes(host.names, wanted, end, host.view.observe().host))
        assert tunnels.changes(host.names, wanted, end, host.view.observe().host) == ()
    host.netlink.execute(tunnels.peer_changes(host.names, [overlay.peers[1]], host.view.tunnel_entries()))
    assert netns.pings(overlay.insides[0], "10.16.0.66")


def test_tunnels_are_adopted_and_what_is_not_wanted_goes(overlay: Overlay) -> None:
    host, peer = overlay.hosts[0], overlay.peers[1]
    assert tunnels.peer_changes(host.names, [peer], host.view.tunnel_entries()) == ()
    seen = host.view.observe().host
    assert tunnels.changes(host.names, overlay.tunnels[0], overlay.peers[0].end_v4, seen) == ()
    host.netlink.execute(tunnels.peer_changes(host.names, [], host.view.tunnel_entries()))
    assert host.view.tunnel_entries() == TunnelEntries()
    assert not netns.pings(overlay.insides[0], "10.16.0.66")
