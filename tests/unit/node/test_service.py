"""A whole node on a memory link: what its parent hears and what its runtime does."""

import pytest

from edge_common.link.memory_broker import MemoryBroker
from edge_common.model.ids import ApplicationId, ChildId, InstanceId, ServiceId
from edge_common.model.lifecycle import Reason, State
from edge_common.model.service import ServiceSpec
from edge_common.plumbing.clock import FakeClock
from node_engine.core.task import TaskKey
from tests.fakes.node import FakeNode
from tests.fakes.parent import FakeParent
from tests.fakes.runtime import FakeRuntime

NODE = ChildId("node-1")
A = InstanceId("a")
SPEC = ServiceSpec(ServiceId("s1"), ApplicationId("app"), "app.ns.web.ns", "container", "docker.io/library/web:1")


class World:
    def __init__(self, *, has_manual_pool: bool = False) -> None:
        self.clock = FakeClock()
        self.broker = MemoryBroker()
        self.parent = FakeParent(self.broker, NODE)
        self.node = FakeNode(self.broker, self.clock, NODE, has_manual_pool=has_manual_pool)
        self.node.boot()
        self.settle()

    @property
    def runtime(self) -> FakeRuntime:
        return self.node.runtime

    def settle(self) -> None:
        for _ in range(20):
            self.node.pump()
            if not self.broker.pump():
                return

    def pass_time(self, seconds: float) -> None:
        until_s = self.clock.monotonic_s() + seconds
        self.settle()
        while (left_s := until_s - self.clock.monotonic_s()) > 1e-9:
            self.clock.advance(min(left_s, 0.25))
            self.settle()

    def restart(self) -> None:
        self.node.kill()
        self.node.boot()
        self.settle()


@pytest.fixture
def world() -> World:
    return World()


def test_wanted_instances_run_and_withdrawn_ones_are_gone(world: World) -> None:
    world.parent.want(SPEC, ["a", "b"])
    world.settle()
    assert [str(key) for key in world.runtime.running()] == ["a-1", "b-1"]
    assert world.parent.state("a") == State.RUNNING
    world.parent.want(SPEC, ["b"])
    world.settle()
    assert [str(key) for key in world.runtime.running()] == ["b-1"]
    assert world.parent.state("a") == State.UNDEPLOYED
    assert world.node.service is not None and A not in world.node.service.instances.records
    world.parent.drop(SPEC.service_id)
    world.settle()
    assert world.runtime.tasks() == []


def test_an_exit_is_restarted_after_a_delay_that_doubles(world: World) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    for restart, delay_s in enumerate((1.0, 2.0, 4.0), start=1):
        world.runtime.exit(A, 3)
        world.settle()
        heard = world.parent.observations[A]
        assert (heard.state, heard.reason, heard.exit_code) == (State.CREATING, Reason.BACKING_OFF, 3)
        assert heard.detail.startswith("exited with code 3; starting again in")
        assert heard.detail.endswith(f"(restart {restart})")
        world.pass_time(delay_s * 0.89)
        assert world.runtime.running() == []
        world.pass_time(delay_s * 0.11 + 0.25)
        assert world.runtime.running() == [TaskKey(A, restart + 1)]
    assert world.parent.state("a") == State.RUNNING


def test_the_engine_comes_back_without_touching_what_runs(world: World) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    world.restart()
    assert world.runtime.started == [TaskKey(A, 1)]
    assert world.runtime.stopped == []
    assert world.parent.state("a") == State.RUNNING


def test_without_a_network_the_last_desired_set_runs(world: World) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    world.node.kill()
    world.broker.stop()
    world.runtime.reboot()
    world.node.boot()
    world.settle()
    assert world.runtime.running() == [TaskKey(A, 2)]
    assert world.clock.monotonic_s() == 0.0
