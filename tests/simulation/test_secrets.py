"""A secret on its way from the root to the instance: whom it reaches, when it changes, what goes on when cut off."""

import json
from typing import Any

import pytest

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.values import ValueKind
from edge_common.plumbing.sealing import new_sealing_key
from edge_common.wire.sla import parse_sla
from tests.simulation.actors import ClusterActor, NodeActor
from tests.simulation.users import ADMIN, sla
from tests.simulation.world import Shape, World

OLD, NEW = b"the-first-password", b"the-second-password"


class Case:
    def __init__(self, seed: int = 1) -> None:
        self.world = World(seed, Shape(clusters=2, nodes_per_cluster=3))
        self.world.run(3.0)
        self.tell(lambda tier: tier.values.create(ADMIN, ValueKind.SECRET, "password", OLD))
        self.service_id = ServiceId("")

    def tell(self, command: Any) -> None:
        root = self.world.root
        assert root.tier is not None and root.life is not None
        command(root.tier)
        root.life.mailbox.pump()

    def deploy(self, replicas: int, *, is_secret: bool = True, name: str = "web", node: str = "") -> None:
        document = sla(name, replicas, 16, 0.1, "x", "spread")
        service = document["applications"][0]["microservices"][0]
        service |= {"secrets": [{"name": "password", "env": "PASSWORD"}]} if is_secret else {}
        service |= {"target_node": node} if node else {}
        self.tell(lambda tier: tier.manager.apply(ADMIN, parse_sla(document)))

    def rotate(self) -> None:
        self.tell(lambda tier: tier.values.change(ADMIN, ValueKind.SECRET, "password", NEW))

    def running(self) -> dict[InstanceId, bytes]:
        """What each running instance was given."""
        found: dict[InstanceId, bytes] = {}
        for node in self.world.nodes:
            newest = {key.instance_id: values for key, values in sorted(node.runtime.given.items())}
            found |= {each: b"".join(newest[each]) for each in node.runtime.running()}
        return found

    def until(self, expected: list[bytes], seconds: float = 60.0) -> None:
        end_s = self.world.clock.monotonic_s() + seconds
        while sorted(self.running().values()) != expected:
            assert self.world.clock.monotonic_s() < end_s, self.running()
            self.world.step()


def kept(actor: NodeActor | ClusterActor) -> str:
    documents = actor.documents
    return json.dumps([documents.find(each) for each in ("desired", "link_services", "assignments", "observations")])


@pytest.fixture
def case() -> Case:
    return Case()


def test_only_nodes_with_an_instance_get_it_and_each_its_own(case: Case) -> None:
    case.deploy(2)
    case.deploy(6, is_secret=False, name="other")
    case.until(sorted([OLD] * 2 + [b""] * 6))
    with_secret = [node for node in case.world.nodes if any(v for v in node.runtime.given.values() if v == (OLD,))]
    boxes = {node.name: box for node in case.world.nodes if (box := _box(kept(node)))}
    assert sorted(boxes) == sorted(node.name for node in with_secret) and len(boxes) == 2
    assert len(set(boxes.values())) == 2
    actors: list[NodeActor | ClusterActor] = [*case.world.nodes, *case.world.clusters]
    assert [actor.name for actor in actors if OLD.decode() in kept(actor)] == []


def test_a_registry_login_comes_with_the_rest(case: Case) -> None:
    document = sla("web", 1, 16, 0.1, "x", "spread")
    document["applications"][0]["microservices"][0]["registry_secret"] = "password"
    case.tell(lambda tier: tier.manager.apply(ADMIN, parse_sla(document)))
    case.until([OLD])


def test_a_new_version_replaces_one_slot_at_a_time(case: Case) -> None:
    case.deploy(3)
    case.until([OLD] * 3)
    before = set(case.running())
    case.rotate()
    end_s = case.world.clock.monotonic_s() + 60
    while sorted(case.running().values()) != [NEW] * 3:
        assert case.world.clock.monotonic_s() < end_s
        case.world.step()
        assert len(case.running()) >= 2
    assert not before & set(case.running())


def test_nothing_is_said_twice(case: Case) -> None:
    """Sealing is the same each time, or documents would be sent for ever."""
    case.deploy(3)
    case.until([OLD] * 3)
    case.world.run(10)
    revisions = [_revisions(cluster) for cluster in case.world.clusters]
    for cluster in case.world.clusters:
        cluster.crash()
        cluster.start()
    case.world.root.crash()
    case.world.root.start()
    case.world.run(30)
    assert [_revisions(cluster) for cluster in case.world.clusters] == revisions
    assert sorted(case.running().values()) == [OLD] * 3


def test_a_cluster_without_its_root_seals_for_another_node(case: Case) -> None:
    case.deploy(1)
    case.until([OLD])
    (host,) = [node for node in case.world.nodes if node.runtime.running()]
    case.world.root.crash()
    host.reboot()
    case.until([OLD])


def test_a_node_without_its_cluster_starts_with_its_secret_after_a_reboot(case: Case) -> None:
    case.deploy(2)
    case.until([OLD] * 2)
    case.world.root.crash()
    for cluster in case.world.clusters:
        cluster.crash()
    for node in case.world.nodes:
        node.reboot()
        node.runtime.given.clear()
        node.start()
    case.until([OLD] * 2)


def test_an_old_instance_restarts_with_the_value_that_it_began_with(case: Case) -> None:
    """Its spec is the old one until its slot is replaced; here the cluster has no time to replace it."""
    case.deploy(1)
    case.until([OLD])
    (host,) = [node for node in case.world.nodes if node.runtime.running()]
    host.cluster.crash()
    case.rotate()
    host.runtime.exit_one(lambda keys: keys[0], 1)
    case.until([OLD])
    host.cluster.start()
    case.until([NEW])


def test_a_node_with_another_key_gets_it_again(case: Case) -> None:
    case.deploy(1)
    case.until([OLD])
    (host,) = [node for node in case.world.nodes if node.runtime.running()]
    host.crash()
    host.sealing = new_sealing_key()
    host.runtime.lose_all()
    host.start()
    case.until([OLD])
    assert [node for node in case.world.nodes if node.runtime.running()] == [host]


def test_a_cluster_with_another_key_gets_it_again(case: Case) -> None:
    case.deploy(1)
    case.until([OLD])
    (host,) = [node for node in case.world.nodes if node.runtime.running()]
    before = list(case.running())
    host.cluster.crash()
    host.cluster.sealing = new_sealing_key()
    host.cluster.start()
    case.world.run(10)
    assert list(case.running()) == before
    host.reboot()
    case.until([OLD])


def _box(text: str) -> str:
    return text.partition('"box": "')[2].partition('"')[0]


def _revisions(cluster: ClusterActor) -> str:
    return json.dumps([cluster.documents.find(each) for each in ("links", "desired_revision")], sort_keys=True)
