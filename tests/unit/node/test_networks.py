"""Instances with networks of their own: given at the start, kept while anything needs them, gone in the end."""

import pytest

from edge_common.model.ids import InstanceId
from edge_common.model.lifecycle import Reason, State
from edge_common.model.network import Addresses, PortMapping, Subnet
from edge_common.model.node import NodeInfo
from node_engine.networks import AWAY_S, LOOK_S, HostNetwork
from tests.fakes.network import SUBNET, FakeNetwork
from tests.unit.node.world import World, make_spec

A, B, C = InstanceId("a"), InstanceId("b"), InstanceId("c")
SPEC = make_spec()


@pytest.fixture
def net() -> FakeNetwork:
    return FakeNetwork()


@pytest.fixture
def world(net: FakeNetwork) -> World:
    return World(network=net)


def has_overlay(world: World) -> bool:
    return said(world).has_overlay


def wanted_subnets(world: World) -> int:
    return said(world).subnets_wanted


def said(world: World) -> NodeInfo:
    return [report.node for report in world.parent.reports if report.node is not None][-1]


def test_an_instance_starts_in_its_network_and_says_its_addresses(world: World, net: FakeNetwork) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    assert world.runtime.plans[-1].network_namespace == "/run/netns/t-a"
    heard = world.parent.observations[A]
    assert (heard.state, heard.namespace_ip, heard.namespace_ip_v6) == (State.RUNNING, "10.16.0.2", "fc00::2")


def test_ports_lead_to_it_also_after_the_manager_lost_its_memory(world: World, net: FakeNetwork) -> None:
    port = PortMapping(8080, 80)
    world.parent.want(make_spec(ports=(port,)), ["a"])
    world.settle()
    assert net.ports[A] == (port,)
    net.forget_addresses()
    net.ports.clear()
    world.pass_time(LOOK_S + 1.0)
    assert net.ports[A] == (port,)


def test_without_a_network_manager_it_has_the_hosts(net: FakeNetwork) -> None:
    world = World()
    world.parent.want(SPEC, ["a"])
    world.settle()
    assert world.runtime.plans[-1].network_namespace == ""
    assert world.parent.observations[A].namespace_ip == ""
    assert not has_overlay(world)


def test_a_restart_keeps_the_network_and_a_stop_ends_it(world: World, net: FakeNetwork) -> None:
    world.parent.want(SPEC, ["a", "b"])
    world.settle()
    world.runtime.exit(A, 1)
    world.pass_time(2.0)
    assert net.detached == []
    assert world.parent.observations[A].namespace_ip == "10.16.0.2"
    world.parent.want(SPEC, ["b"])
    world.settle()
    assert net.detached == [A]
    assert world.parent.state("a") == State.UNDEPLOYED
    assert world.parent.observations[A].namespace_ip == ""
    assert set(net.places) == {B}


def test_one_that_ended_for_good_gives_its_network_back(net: FakeNetwork) -> None:
    world = World(network=net)
    world.parent.want(make_spec(is_one_shot=True), ["a"])
    world.settle()
    world.runtime.exit(A, 0)
    world.settle()
    assert world.parent.state("a") == State.COMPLETED
    assert net.places == {}


def test_while_the_manager_is_away_starts_wait_and_what_runs_goes_on(world: World, net: FakeNetwork) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    net.is_reachable = False
    world.pass_time(LOOK_S + 1.0)
    world.parent.want(SPEC, ["a", "b"])
    world.pass_time(1.0)
    heard = world.parent.observations[B]
    assert heard.state is State.CREATING
    assert heard.detail == "waiting for the network manager of this node: nobody listens there"
    assert world.running() == ["a-1"]
    assert has_overlay(world)
    world.pass_time(AWAY_S + 1.0)
    assert not has_overlay(world)
    net.is_reachable = True
    world.pass_time(2.0)
    assert world.running() == ["a-1", "b-1"]
    assert world.runtime.stopped == []
    assert has_overlay(world)


def test_a_manager_that_dies_while_it_is_asked_costs_a_try(world: World, net: FakeNetwork) -> None:
    net.is_reachable = False
    world.parent.want(SPEC, ["a"])
    world.settle()
    heard = world.parent.observations[A]
    assert (heard.state, heard.reason) == (State.CREATING, Reason.START_FAILED)
    assert heard.detail.startswith("Its network could not be made: nobody listens there; trying again in")
    net.is_reachable = True
    world.pass_time(4.0)
    assert world.parent.state("a") == State.RUNNING


def test_a_service_with_an_address_of_its_own_waits_and_says_why(world: World, net: FakeNetwork) -> None:
    world.parent.want(make_spec(addresses=Addresses(rr_ip="10.30.30.30")), ["a"])
    world.settle()
    assert world.parent.observations[A].detail.startswith("waiting for its service addresses")
    assert world.running() == []


def test_a_manager_that_lost_its_subnets_is_given_them_again_at_once(world: World, net: FakeNetwork) -> None:
    world.parent.give(SUBNET)
    world.settle()
    net.subnets = ()
    net.detail = ""
    net.needs_subnets = True
    world.parent.want(SPEC, ["a"])
    world.settle()
    world.pass_time(4.0)
    assert list(net.subnets) == [SUBNET]
    assert world.parent.state("a") == State.RUNNING


def test_subnets_are_not_given_back_because_the_manager_is_away(world: World, net: FakeNetwork) -> None:
    other = Subnet("10.16.0.64/26", "fc00::100/120")
    net.subnets_wanted = 2
    world.parent.give(SUBNET, other)
    world.pass_time(2 * LOOK_S)
    net.is_reachable = False
    world.restart()
    world.pass_time(LOOK_S)
    assert wanted_subnets(world) == 2
    net.is_reachable, net.subnets, net.subnets_wanted = True, (), 1
    world.pass_time(2.0)
    assert list(net.subnets) == [SUBNET, other]
    world.pass_time(2 * LOOK_S)
    assert wanted_subnets(world) == 1


def test_one_that_goes_on_with_the_hosts_network_says_no_address(world: World, net: FakeNetwork) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    world.node.network = HostNetwork()
    world.restart()
    assert world.parent.observations[A].namespace_ip == "10.16.0.2"
    world.runtime.exit(A, 1)
    world.pass_time(2.0)
    assert world.runtime.plans[-1].network_namespace == ""
    assert world.parent.observations[A].namespace_ip == ""


def test_what_is_wrong_with_the_network_is_told(world: World, net: FakeNetwork) -> None:
    net.detail = "There is no nft on this machine."
    world.pass_time(LOOK_S + 1.0)
    world.parent.want(SPEC, ["a"])
    world.settle()
    assert world.parent.observations[A].detail.endswith(
        "network manager of this node: There is no nft on this machine."
    )
    net.detail, net.subnets = "", ()
    world.pass_time(LOOK_S + 1.0)
    assert "waiting for the cluster to give this node a subnet" in world.parent.observations[A].detail


def test_an_engine_that_restarts_adopts_networks_and_sweeps_those_of_nobody(world: World, net: FakeNetwork) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    world.node.kill()
    net.attach(C)
    world.node.boot()
    world.settle()
    world.pass_time(LOOK_S + 1.0)
    assert net.detached == [C]
    assert set(net.places) == {A}
    assert world.runtime.stopped == []
    assert world.parent.observations[A].namespace_ip == "10.16.0.2"


def test_nothing_is_swept_before_a_parent_spoke(net: FakeNetwork) -> None:
    net.attach(C)
    world = World(network=net)
    world.pass_time(2 * LOOK_S)
    assert net.detached == []


def test_a_manager_that_lost_its_memory_is_told_who_stays(world: World, net: FakeNetwork) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    net.attach(C)
    net.forget_addresses()
    world.pass_time(LOOK_S + 1.0)
    assert net.places[A].ip
    assert net.detached == [C]
    assert world.runtime.stopped == []


def test_a_removal_that_fails_is_repeated(world: World, net: FakeNetwork) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    net.fails_to_detach = True
    world.parent.want(SPEC, [])
    world.settle()
    assert set(net.places) == {A}
    net.fails_to_detach = False
    world.pass_time(LOOK_S + 1.0)
    assert net.places == {}
