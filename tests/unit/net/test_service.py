"""NetManager's shell on a kernel that may die at any command."""

from dataclasses import dataclass, field
from ipaddress import ip_interface, ip_network
from itertools import count

import pytest

from edge_common.addressing.address_plan import Twins
from edge_common.model.errors import Broken, Conflict, InvalidInput, Temporary
from edge_common.model.ids import InstanceId
from edge_common.model.network import PortMapping, Transport
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.interface import Documents
from edge_common.plumbing.documents.memory import MemoryDocuments
from net_manager.adapters.place_store import DocumentPlaceStore
from net_manager.core import commands as do
from net_manager.core.links import FORWARDING_V6, Names, ObservedLink, accept_ra
from net_manager.core.service_table import Published, Target
from net_manager.service import REPAIR_S, SERVICE_RANGES, NetParts, NetService
from tests.fakes.kernel import FakeKernel, Killed

NAMES = Names("tst")
SUBNET = Twins(ip_network("10.16.0.0/26"), ip_network("fc00::/120"))
WEB, DNS = PortMapping(8080, 80), PortMapping(53, 5353, Transport.UDP)
A, B = InstanceId("a"), InstanceId("b")


@dataclass
class World:
    kernel: FakeKernel = field(default_factory=FakeKernel)
    documents: Documents = field(default_factory=MemoryDocuments)
    clock: FakeClock = field(default_factory=FakeClock)

    def boot(self) -> NetService:
        store = DocumentPlaceStore(self.documents)
        service = NetService(NetParts(NAMES, self.kernel, store, self.clock, lambda uplink: uplink - 70))
        service.tick()
        self.kernel.executed.clear()
        return service

    def ready(self, *instance_ids: InstanceId) -> NetService:
        service = self.boot()
        service.grant([SUBNET])
        for instance_id in instance_ids:
            service.attach(instance_id)
        self.kernel.executed.clear()
        return service


@pytest.fixture
def world() -> World:
    return World()


def test_it_waits_for_a_subnet_and_touches_nothing_before(world: World) -> None:
    service = world.boot()
    assert world.kernel.executed == []
    assert service.status().detail == ""
    assert service.status().subnets_wanted == 1
    with pytest.raises(Temporary, match="no subnet"):
        service.attach(A)


def test_an_instance_gets_a_network_once(world: World) -> None:
    service = world.ready()
    place = service.attach(A)
    inside = world.kernel.spaces["tst-a"].links["eth0"]
    assert inside == ObservedLink(1430, is_up=True, addresses=frozenset({place.v4, place.v6}))
    assert world.kernel.host.links[NAMES.link(A)].master == NAMES.bridge
    assert world.kernel.host.refused == SERVICE_RANGES
    world.kernel.executed.clear()
    assert service.attach(A) == place
    assert world.kernel.executed == []


def test_a_removed_one_leaves_nothing_and_its_flows_are_forgotten(world: World) -> None:
    service = world.ready(A, B)
    service.detach(A)
    service.detach(A)
    assert set(world.kernel.spaces) == {"tst-b"}
    assert NAMES.link(A) not in world.kernel.host.links
    assert world.kernel.forgotten == [ip_interface("10.16.0.2").ip, ip_interface("fc00::2").ip]
    assert service.attach(InstanceId("c")).v4 == ip_interface("10.16.0.4/26")


def test_flows_that_cannot_be_forgotten_do_not_keep_an_address(world: World) -> None:
    service = world.ready(A)
    world.kernel.cannot_forget = True
    service.detach(A)
    assert service.known() == ((), ())


def test_a_restart_adopts_what_is_there_and_changes_nothing(world: World) -> None:
    before = world.ready(A, B).known()
    again = world.boot()
    assert again.known() == before
    again.tick()
    assert again.attach(A) in before[0]
    assert world.kernel.executed == []


def test_a_restart_sweeps_what_nobody_wants_any_more(world: World) -> None:
    service = world.ready(A, B)
    world.kernel.commands_left = 1
    with pytest.raises(Killed):
        service.detach(B)
    DocumentPlaceStore(world.documents).remove(B, {})
    world.kernel.commands_left = None
    world.boot()
    assert set(world.kernel.spaces) == {"tst-a"}


def test_one_that_lost_its_memory_asks_who_stays_and_changes_no_address(world: World) -> None:
    world.ready(A)
    world.kernel.execute([do.CreateNamespace("tst-b")])
    world.documents = MemoryDocuments()
    again = world.boot()
    assert again.known() == ((), (A, B))
    again.grant([SUBNET])
    world.kernel.executed.clear()
    assert again.attach(InstanceId("c")).v4 == ip_interface("10.16.0.3/26")
    world.kernel.executed.clear()
    assert again.attach(A).v4 == ip_interface("10.16.0.2/26")
    assert world.kernel.executed == []
    again.detach(B)
    assert set(world.kernel.spaces) == {"tst-a", "tst-c"}
    assert again.known()[1] == ()


def test_a_death_at_any_command_is_made_good(world: World) -> None:
    world.ready(B)
    for done in count():
        service = world.boot()
        world.kernel.commands_left = done
        try:
            service.attach(A)
            service.detach(A)
            break
        except Killed:
            world.kernel.commands_left = None
        again = world.boot()
        assert {place.instance_id for place in again.known()[0]} == set(_instances(world))
        again.detach(A)
        assert set(world.kernel.spaces) == {"tst-b"}
        assert set(world.kernel.host.links) == {"lo", NAMES.bridge, NAMES.link(B)}
    assert done > 12


def _instances(world: World) -> list[InstanceId]:
    return [NAMES.instance_of(name) for name in world.kernel.spaces]


def test_ports_lead_to_their_instance_as_long_as_it_is_there(world: World) -> None:
    service = world.ready()
    place = service.attach(A, (WEB, DNS))
    assert world.kernel.published == {
        Published(4, Transport.TCP, 8080): Target(place.v4.ip, 80),
        Published(6, Transport.TCP, 8080): Target(place.v6.ip, 80),
        Published(4, Transport.UDP, 53): Target(place.v4.ip, 5353),
        Published(6, Transport.UDP, 53): Target(place.v6.ip, 5353),
    }
    service.attach(A, (WEB,))
    assert {port.port for port in world.kernel.published} == {8080}
    world.kernel.published.clear()
    world.boot()
    assert {port.port for port in world.kernel.published} == {8080}
    world.boot().detach(A)
    assert world.kernel.published == {}


def test_a_port_leads_to_one_instance_only(world: World) -> None:
    service = world.ready()
    service.attach(A, (WEB,))
    with pytest.raises(Conflict, match="Port 8080/tcp of this node leads to instance a"):
        service.attach(B, (DNS, WEB))
    service.attach(B, (DNS,))
    service.detach(A)
    service.attach(InstanceId("c"), (WEB,))


def test_a_kernel_without_ipv6_has_the_other_half(world: World) -> None:
    world.kernel.knows_ipv6 = False
    service = world.ready()
    place = service.attach(A, (WEB,))
    assert not [command for command in world.kernel.executed if "ipv6" in str(command).lower()]
    assert world.kernel.spaces["tst-a"].links["eth0"].addresses == {place.v4}
    assert world.kernel.published == {Published(4, Transport.TCP, 8080): Target(place.v4.ip, 80)}
    world.kernel.executed.clear()
    world.clock.advance(REPAIR_S)
    service.tick()
    assert world.kernel.executed == []


def test_drift_is_repaired_in_time(world: World) -> None:
    service = world.ready(A)
    world.kernel.execute([do.SetMtu("eth0", 1280, "tst-a"), do.RemoveLink(NAMES.link(A))])
    assert service.tick() <= REPAIR_S
    world.clock.advance(REPAIR_S)
    service.tick()
    assert world.kernel.spaces["tst-a"].links["eth0"].mtu == 1430
    assert world.kernel.host.links[NAMES.link(A)].is_up


def test_another_uplink_is_followed(world: World) -> None:
    service = world.ready(A)
    world.kernel.mtu = 9000
    world.clock.advance(REPAIR_S)
    service.tick()
    assert world.kernel.spaces["tst-a"].links["eth0"].mtu == 8930
    world.kernel.mtu = None
    world.clock.advance(REPAIR_S)
    service.tick()
    assert world.kernel.spaces["tst-a"].links["eth0"].mtu == 8930


def test_one_that_cannot_be_repaired_does_not_keep_the_others_from_it(world: World) -> None:
    service = world.ready(A, B)
    world.kernel.execute([do.SetMtu(NAMES.link(A), 1300), do.SetMtu(NAMES.link(B), 1300)])
    world.kernel.refuses = {NAMES.link(A)}
    world.clock.advance(REPAIR_S)
    service.tick()
    assert world.kernel.host.links[NAMES.link(B)].mtu == 1430
    assert "refused" in service.status().detail


def test_trouble_is_told_and_tried_again(world: World) -> None:
    service = world.ready(A)
    world.kernel.trouble = "There is no nft on this machine."
    world.clock.advance(REPAIR_S)
    assert service.tick() == 1.0
    assert service.status().detail == world.kernel.trouble
    with pytest.raises(Temporary, match="no nft"):
        service.attach(B)
    world.kernel.trouble = ""
    service.attach(B)
    assert service.status().detail == ""


def test_a_refusal_of_the_kernel_keeps_the_address_for_the_next_try(world: World) -> None:
    service = world.ready()
    world.kernel.refuses = {NAMES.link(A)}
    with pytest.raises(Broken):
        service.attach(A)
    world.kernel.refuses = set()
    assert service.attach(A).v4 == ip_interface("10.16.0.2/26")


def test_names_from_outside_are_checked(world: World) -> None:
    service = world.ready()
    for name in ("../x", "", "a/b", "x" * 65):
        with pytest.raises(InvalidInput):
            service.attach(InstanceId(name))
        with pytest.raises(InvalidInput):
            service.detach(InstanceId(name))


@pytest.mark.parametrize(("forwards", "listens"), [("0", "2"), ("1", "1")])
def test_a_machine_that_begins_to_forward_goes_on_to_listen_to_its_router(
    world: World, forwards: str, listens: str
) -> None:
    world.kernel.host.links["uplink"] = ObservedLink(1500, is_up=True)
    world.kernel.host.sysctls |= {FORWARDING_V6: forwards, accept_ra("uplink"): "1"}
    world.ready()
    assert world.kernel.host.sysctls[accept_ra("uplink")] == listens
    assert world.kernel.host.sysctls[FORWARDING_V6] == "1"
    assert world.kernel.host.sysctls[accept_ra(NAMES.bridge)] == "0"
