"""Instance networks in the kernel: made, adopted, repaired, removed, and swept after a death at any point."""

from collections.abc import Iterator
from ipaddress import ip_interface

import pytest

from edge_common.model.errors import Broken, NotFound
from edge_common.model.ids import InstanceId
from net_manager.adapters import namespaces
from net_manager.core import commands as do
from net_manager.core import links
from net_manager.core.links import INNER_LINK, INSTANCE_SYSCTLS
from tests.parts import netns
from tests.parts.netns import Host

pytestmark = pytest.mark.real

GATEWAYS = ("10.16.0.1/26", "fc00::1/120")
LONG_NAME = "i" * 64


@pytest.fixture
def host() -> Iterator[Host]:
    with netns.host(*GATEWAYS) as one:
        yield one


@pytest.fixture
def pair(host: Host) -> tuple[InstanceId, InstanceId]:
    ids = (host.want("a", "10.16.0.2/26", "fc00::2/120"), host.want(LONG_NAME, "10.16.0.3/26", "fc00::3/120"))
    host.settle()
    return ids


def test_instances_reach_each_other_and_their_gateway(host: Host, pair: tuple[InstanceId, InstanceId]) -> None:
    first, second = map(host.inside, pair)
    for address in ("10.16.0.3", "fc00::3"):
        with netns.listener(second, address, 80) as server, netns.connected(first, address, 80) as client:
            accepted, _ = server.accept()
            with accepted:
                client.sendall(b"hello")
                assert accepted.recv(5) == b"hello"
        assert netns.pings(first, address)
    assert netns.pings(first, "10.16.0.1")
    assert netns.pings(first, "fc00::1")


def test_everything_is_as_it_was_wanted(host: Host, pair: tuple[InstanceId, InstanceId]) -> None:
    seen = host.view.observe()
    inside = seen.namespaces[host.names.namespace(pair[0])]
    assert inside.links[INNER_LINK].mtu == 1450
    assert inside.links[INNER_LINK].addresses == {ip_interface("10.16.0.2/26"), ip_interface("fc00::2/120")}
    assert {str(via) for _, via in inside.routes} == {"10.16.0.1", "fc00::1"}
    assert dict(inside.sysctls) == dict(INSTANCE_SYSCTLS)
    assert seen.host.links[host.names.link(pair[1])].master == host.names.bridge
    assert host.wanted_changes() == ()


def test_what_is_no_longer_wanted_leaves_nothing(host: Host, pair: tuple[InstanceId, InstanceId]) -> None:
    host.netlink.execute(links.removal(host.names, pair[0]))
    host.netlink.execute(links.removal(host.names, pair[0]))
    assert host.leftovers() == {host.names.namespace(pair[1]), host.names.link(pair[1])}
    host.instances.clear()
    host.settle()
    assert host.leftovers() == set()


def test_a_start_adopts_what_runs_and_repairs_what_drifted(host: Host, pair: tuple[InstanceId, InstanceId]) -> None:
    first, second = map(host.inside, pair)
    inner = host.names.namespace(pair[0])
    with netns.listener(second, "10.16.0.3", 80) as server, netns.connected(first, "10.16.0.3", 80) as client:
        host.netlink.execute(
            [
                do.SetMtu(INNER_LINK, 1400, inner),
                do.RemoveAddress(INNER_LINK, ip_interface("fc00::2/120"), inner),
                do.AddAddress(INNER_LINK, ip_interface("10.99.0.1/24"), inner),
                do.SetSysctl("net/ipv4/ip_unprivileged_port_start", "1024", inner),
            ]
        )
        drift = host.wanted_changes()
        assert not [one for one in drift if isinstance(one, do.CreateVeth | do.CreateNamespace | do.RemoveLink)]
        host.settle()
        assert host.wanted_changes() == ()
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"still")
            assert accepted.recv(5) == b"still"


def test_a_death_between_any_two_commands_is_made_good(host: Host) -> None:
    host.settle()
    host.want("a", "10.16.0.2/26", "fc00::2/120")
    script = host.wanted_changes()
    assert len(script) > 12
    for done in range(len(script)):
        host.netlink.execute(script[:done])
        if done % 2:
            host.settle()
            assert host.wanted_changes() == ()
        kept = dict(host.instances)
        host.instances.clear()
        host.settle()
        assert host.leftovers() == set(), f"after {script[:done]}"
        host.instances.update(kept)


def test_where_ipv6_is_switched_off_instances_have_it_all_the_same(host: Host) -> None:
    for key in ("default", "all"):
        host.netlink.execute([do.SetSysctl(f"net/ipv6/conf/{key}/disable_ipv6", "1")])
    first, second = (host.want(name, f"10.16.0.{n}/26", f"fc00::{n}/120") for name, n in (("a", 2), ("b", 3)))
    host.settle()
    assert host.wanted_changes() == ()
    assert netns.pings(host.inside(first), "fc00::1")
    assert netns.pings(host.inside(second), "fc00::2")


def test_a_name_without_a_namespace_is_swept_or_filled(host: Host) -> None:
    for name in ("a", "gone"):
        (namespaces.DIRECTORY / host.names.namespace(InstanceId(name))).touch()
    instance = host.want("a", "10.16.0.2/26")
    host.settle()
    assert host.wanted_changes() == ()
    assert host.leftovers() == {host.names.namespace(instance), host.names.link(instance)}


def test_refusals_of_the_kernel_are_told(host: Host, pair: tuple[InstanceId, InstanceId]) -> None:
    with pytest.raises(Broken, match="refused net/ipv4/no_such_thing"):
        host.netlink.execute([do.SetSysctl("net/ipv4/no_such_thing", "1")])
    with pytest.raises(NotFound, match="no link nowhere"):
        host.netlink.execute([do.SetUp("nowhere")])
    with pytest.raises(NotFound, match="no network namespace"):
        host.netlink.execute([do.SetUp("lo", "nowhere-at-all")])
