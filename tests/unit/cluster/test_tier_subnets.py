"""A cluster asks its root for blocks and cuts them into subnets for its nodes."""

from dataclasses import replace
from typing import Any

import pytest

from cluster_orchestrator.service import NodeForgotten
from edge_common.model.ids import ChildId
from edge_common.model.network import Subnet
from tests.unit.cluster.test_tier import NODES, World
from tests.unit.link.rig import CHILD

BLOCK = Subnet("10.16.0.0/20", "fc00::/104")
FIRST, SECOND = NODES


@pytest.fixture
def world() -> World:
    return World()


def want(world: World, node: ChildId, count: int) -> None:
    reporter = world.nodes[node].reporter
    reporter._info = replace(reporter._info, subnets_wanted=count)
    world.nodes[node].link.say_all()
    world.run(2)


def blocks_wanted(world: World) -> int:
    said = [report.summary for _, report in world.root.owner.reports if report.summary is not None]
    return said[-1].blocks_wanted


def give(world: World, *blocks: Subnet) -> None:
    world.root.give(*blocks, child_id=CHILD)
    world.run(2)


def subnets(world: World, node: ChildId) -> list[str]:
    return [each.v4 for each in world.nodes[node].link.subnets]


def test_nodes_get_subnets_of_their_clusters_blocks(world: World) -> None:
    assert blocks_wanted(world) == 0
    want(world, FIRST, 1)
    assert blocks_wanted(world) == 1
    assert subnets(world, FIRST) == []
    give(world, BLOCK)
    assert subnets(world, FIRST) == ["10.16.0.0/26"]
    want(world, SECOND, 2)
    assert subnets(world, SECOND) == ["10.16.0.64/26", "10.16.0.128/26"]
    assert blocks_wanted(world) == 1


def test_an_operator_sees_who_has_which(world: World) -> None:
    want(world, FIRST, 1)
    give(world, BLOCK)
    views = {view["node_id"]: view for view in asked_nodes(world)}
    assert views[FIRST]["subnets"] == ["10.16.0.0/26 fc00::/120"]
    assert views[SECOND]["subnets"] == []


def asked_nodes(world: World) -> list[dict[str, Any]]:
    answers: list[Any] = []
    world.tier.links.answer("nodes", {}, answers.append)
    nodes: list[dict[str, Any]] = answers[0]["nodes"]
    return nodes


def test_a_restarted_cluster_gives_each_node_what_it_had(world: World) -> None:
    want(world, FIRST, 1)
    give(world, BLOCK)
    world.kill()
    world.above.isolate(CHILD)
    world.start()
    world.run(15)
    assert subnets(world, FIRST) == ["10.16.0.0/26"]
    want(world, SECOND, 1)
    assert subnets(world, SECOND) == ["10.16.0.64/26"]


def test_what_a_forgotten_node_had_rests_before_another_gets_it(world: World) -> None:
    want(world, FIRST, 1)
    give(world, BLOCK)
    world.tier.service.handle(NodeForgotten(FIRST))
    want(world, SECOND, 1)
    assert subnets(world, SECOND) == ["10.16.0.64/26"]


def test_a_cluster_with_an_old_store_learns_what_its_nodes_hold(world: World) -> None:
    held = Subnet("10.16.0.64/26", "fc00::100/120")
    give(world, BLOCK)
    reporter = world.nodes[FIRST].reporter
    reporter._info = replace(reporter._info, subnets=(held,))
    want(world, FIRST, 1)
    assert subnets(world, FIRST) == [held.v4]
    for node in (SECOND,):
        want(world, node, 2)
    assert held.v4 not in subnets(world, SECOND)


@pytest.mark.parametrize("plight", ["is_away", "is_read_only", "loses_answers"])
def test_a_store_that_fails_gives_nothing_to_two(world: World, plight: str) -> None:
    give(world, BLOCK)
    setattr(world.documents, plight, True)
    world.attempt(lambda: want(world, FIRST, 1))
    setattr(world.documents, plight, False)
    world.run(20)
    want(world, SECOND, 1)
    want(world, FIRST, 1)
    assert sorted((*subnets(world, FIRST), *subnets(world, SECOND))) == ["10.16.0.0/26", "10.16.0.64/26"]
