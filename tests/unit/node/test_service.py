"""A whole node on a memory link: what its parent hears and what its runtime does."""

import pytest

from edge_common.model.ids import InstanceId
from edge_common.model.lifecycle import Reason, State
from node_engine.core.task import TaskKey
from tests.unit.node.world import World, make_spec

A = InstanceId("a")
SPEC = make_spec()


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
