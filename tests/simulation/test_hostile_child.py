"""What a child says with valid credentials, true or not, changes nothing that is not its own."""

import logging
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from edge_common.link.members import CHILDREN
from edge_common.model.ids import ChildId
from tests.simulation.actors import ClusterActor
from tests.simulation.checks import check_converged
from tests.simulation.hostile import Hostile
from tests.simulation.world import Shape, World

SEEDS = range(20)
MESSAGES = 300
SHAPE = Shape(clusters=2, nodes_per_cluster=3)
SETTLE_S = 20.0


@dataclass(frozen=True, slots=True)
class Others:
    """All that belongs to somebody else: must be there afterwards as it is here."""

    records: dict[str, Any]
    assignments: dict[str, Any]
    observations: dict[str, Any]
    started: dict[str, dict[Any, int]]
    running: dict[str, set[Any]]

    def check_all_there_in(self, after: "Others") -> None:
        assert self.records == after.records
        assert self.assignments == {key: after.assignments.get(key) for key in self.assignments}
        assert self.observations == {key: after.observations.get(key) for key in self.observations}
        for node, started in self.started.items():
            assert started == {each: after.started[node].get(each) for each in started}, f"{node} restarted something"
            assert self.running[node] <= after.running[node], f"{node} stopped something"


def deployed(seed: int) -> World:
    world = World(seed, SHAPE)
    world.run(3.0)
    for _ in range(6):
        world.user.act()
        world.run(2.0)
    world.run(SETTLE_S)
    check_converged(world)
    assert any(world.expected().values()), "a seed that deploys nothing proves nothing"
    return world


def names_in(world: World) -> list[str]:
    """Ids of everything there is, at any tier, and of nothing."""
    found = {str(node.name) for node in world.nodes} | {cluster.name for cluster in world.clusters}
    for documents in (world.root.documents, *(cluster.documents for cluster in world.clusters)):
        for document in documents.find("assignments"):
            found |= {document["_id"], document["service_id"], document["child_id"]}
    return [*sorted(name for name in found if name), "nobody"]


def seen_by(world: World, tier: Any, hostile: ChildId, collection: str) -> Others:
    """`tier` has the documents; `collection` holds its children's records."""
    documents = tier.documents
    own = {each["_id"] for each in documents.find("assignments") if each["child_id"] == hostile}
    children = {each["_id"]: each for each in (*documents.find(CHILDREN), *documents.find(collection))}
    calm = {name: _lasting(each) for name, each in children.items() if name != hostile}
    nodes = [node for node in world.nodes if hostile not in (node.name, node.cluster.name)]
    return Others(
        calm,
        {each["_id"]: _lasting(each) for each in documents.find("assignments") if each["_id"] not in own},
        {each["_id"]: _lasting(each) for each in documents.find("observations") if each["_id"] not in own},
        {str(node.name): dict(node.runtime.started) for node in nodes},
        {str(node.name): set(node.runtime.running()) for node in nodes},
    )


def _lasting(document: dict[str, Any]) -> dict[str, Any]:
    """Without what each report and each placement of a successor may change."""
    passing = {"version", "heard_at_s", "usage", "summary", "desired_revision", "acked_revision", "readiness"}
    return {name: value for name, value in document.items() if name not in passing}


def attack(world: World, hostile: Hostile) -> None:
    for _ in range(MESSAGES):
        hostile.attack()
        if hostile.random.random() < 0.2:
            world.step()
    world.run(SETTLE_S)


def bugs(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hostile_node_changes_nothing_of_others(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    world = deployed(seed)
    node = world.nodes[0]
    cluster: ClusterActor = node.cluster
    before = seen_by(world, cluster, ChildId(node.name), "nodes")
    above = seen_by(world, world.root, ChildId(cluster.name), "clusters")
    caplog.set_level(logging.ERROR)
    attack(world, Hostile(Random(seed), cluster.broker, ChildId(node.name), names_in(world)))
    assert bugs(caplog) == []
    before.check_all_there_in(seen_by(world, cluster, ChildId(node.name), "nodes"))
    above.check_all_there_in(seen_by(world, world.root, ChildId(cluster.name), "clusters"))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hostile_cluster_changes_nothing_of_others(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    world = deployed(seed)
    cluster = world.clusters[0]
    before = seen_by(world, world.root, ChildId(cluster.name), "clusters")
    intents = [document for name in ("applications", "services") for document in world.root.documents.find(name)]
    caplog.set_level(logging.ERROR)
    attack(world, Hostile(Random(seed), world.root_broker, ChildId(cluster.name), names_in(world)))
    assert bugs(caplog) == []
    before.check_all_there_in(seen_by(world, world.root, ChildId(cluster.name), "clusters"))
    after = [document for name in ("applications", "services") for document in world.root.documents.find(name)]
    assert after == intents
