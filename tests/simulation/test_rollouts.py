"""A changed spec on its way through all tiers: it takes over while it is well, and is taken back when it is not."""

from collections import Counter
from typing import Any

import pytest

from edge_common.model.ids import InstanceId
from edge_common.wire.sla import parse_sla
from root_orchestrator.core.records import ServiceIntent
from root_orchestrator.core.rollout_orders import RolloutOrder
from root_orchestrator.core.updates import Phase
from tests.simulation.runtime import CRASHING_IMAGE, NO_IMAGE
from tests.simulation.users import ADMIN, sla
from tests.simulation.world import Shape, World

OLD, NEW = "web:1", "web:2"
NEVER_READY = {"probes": {"readiness": {"type": "exec", "command": ["false"]}}}


class Case:
    def __init__(self, clusters: int = 2, **changes: Any) -> None:
        self.world = World(1, Shape(clusters=clusters, nodes_per_cluster=3))
        self.world.run(3.0)
        self.changes = changes
        self.lowest = self.most = self.most_new = 0
        self.deploy(OLD)
        self.until(lambda: self.service.rollout.phase is Phase.DONE)
        assert self.running() == {OLD: 3}
        self.lowest = self.most = 3

    def deploy(self, image: str, **changes: Any) -> None:
        document = sla("web", 3, 16, 0.1, "x", "spread")
        document["applications"][0]["microservices"][0] |= {"code": image, **self.changes, **changes}
        root = self.world.root
        assert root.tier is not None and root.life is not None
        root.tier.manager.apply(ADMIN, parse_sla(document))
        root.life.mailbox.pump()

    @property
    def service(self) -> ServiceIntent:
        assert self.world.root.tier is not None
        (service,) = self.world.root.tier.intents.services()
        return service

    def running(self) -> Counter[str]:
        return Counter(node.runtime.images[each] for node in self.world.nodes for each in node.runtime.running())

    def ids(self, image: str) -> set[InstanceId]:
        return {
            each for node in self.world.nodes for each in node.runtime.running() if node.runtime.images[each] == image
        }

    def until(self, is_so: Any, seconds: float = 120.0) -> None:
        end_s = self.world.clock.monotonic_s() + seconds
        while not is_so():
            assert self.world.clock.monotonic_s() < end_s, (self.service.rollout, self.running())
            self.world.step()
            running = self.running()
            self.lowest = min(self.lowest, sum(running.values()))
            self.most = max(self.most, sum(running.values()))

    def ended(self) -> bool:
        return self.service.rollout.phase is Phase.DONE


@pytest.mark.parametrize(("port", "lowest", "most"), [("", 3, 4), ("8080", 2, 3)])
def test_a_good_version_takes_over_within_its_bounds(port: str, lowest: int, most: int) -> None:
    case = Case(port=port)
    case.deploy(NEW)
    case.until(case.ended)
    assert case.running() == {NEW: 3}
    assert case.lowest >= lowest
    assert case.most <= most


@pytest.mark.parametrize("image", [NO_IMAGE, CRASHING_IMAGE])
@pytest.mark.parametrize(("port", "lowest"), [("", 3), ("8080", 2)])
def test_a_bad_version_is_taken_back_by_itself(image: str, port: str, lowest: int) -> None:
    case = Case(port=port)
    before = case.ids(OLD)
    case.deploy(image)
    case.until(lambda: case.ended() and case.running() == {OLD: 3})
    assert case.service.rollout.is_rollback
    assert case.service.spec.image == OLD
    assert "Instance 0" in case.service.rollout.reason
    assert case.lowest >= lowest
    assert len(before & case.ids(OLD)) >= lowest, "what runs well is left alone"


def test_a_version_that_never_becomes_ready_is_taken_back_at_the_deadline() -> None:
    case = Case(update={"deadline": 20})
    before = case.ids(OLD)
    case.deploy(NEW, **NEVER_READY)
    case.until(case.ended)
    assert "No new instance became healthy in 20 s." in case.service.rollout.reason
    case.until(lambda: case.running() == {OLD: 3})
    assert case.ids(OLD) == before
    assert case.lowest == 3


def test_a_canary_waits_for_its_promotion() -> None:
    case = Case(update={"strategy": "canary"})
    case.deploy(NEW)
    case.until(lambda: case.service.rollout.phase is Phase.WAITING)
    case.until(lambda: case.running() == {OLD: 2, NEW: 1})
    case.world.run(30.0)
    assert case.running() == {OLD: 2, NEW: 1}
    tier = case.world.root.tier
    assert tier is not None
    tier.manager.order_rollout(ADMIN, case.service.service_id, RolloutOrder.PROMOTE)
    case.until(case.ended)
    assert case.running() == {NEW: 3}
    assert case.lowest >= 3


def test_blue_green_starts_all_beside_the_old_and_switches() -> None:
    case = Case(update={"strategy": "blue_green", "promote_after": 10})
    case.deploy(NEW)
    case.until(lambda: case.running() == {OLD: 3, NEW: 3})
    case.until(lambda: case.running() == {NEW: 3})
    assert (case.lowest, case.most) == (3, 6)


def test_a_lost_node_does_not_spread_a_version_that_is_being_tried() -> None:
    case = Case(clusters=1, update={"strategy": "canary"})
    case.deploy(NEW)
    case.until(lambda: case.service.rollout.phase is Phase.WAITING and case.running() == {OLD: 2, NEW: 1})
    victim = next(node for node in case.world.nodes if OLD in map(node.runtime.images.get, node.runtime.running()))
    had = len(victim.runtime.running())
    victim.reboot()
    case.until(lambda: case.running() == {OLD: 2, NEW: 1})
    assert had


def test_a_root_that_dies_in_the_middle_goes_on() -> None:
    case = Case(port="8080")
    case.deploy(NEW)
    case.until(lambda: case.running()[NEW] == 1)
    case.world.root.crash()
    case.world.run(5.0)
    case.world.root.start()
    case.until(case.ended)
    assert case.running() == {NEW: 3}
    assert case.lowest >= 2
