"""Secrets at a whole node: what waits for them, what keeps them, and what opens them."""

from dataclasses import replace

from edge_common.model.ids import InstanceId
from edge_common.model.lifecycle import State
from edge_common.model.service import ServiceSpec
from edge_common.model.values import Attachment, SealedValue, ValueId, ValueKind, ValueRef, sealing_context
from edge_common.plumbing.sealing import new_sealing_key
from node_engine.core.task import TaskKey
from tests.unit.node.world import World, make_spec

A = InstanceId("a")
PARENT = new_sealing_key()


def ref(version: int) -> ValueRef:
    return ValueRef(ValueKind.SECRET, "password", ValueId("v1"), version)


def spec(version: int = 1) -> ServiceSpec:
    return make_spec(attachments=(Attachment(ref(version), variable="PASSWORD"),))


def sealed(world: World, version: int = 1) -> tuple[SealedValue, ...]:
    value, context = f"value-{version}".encode(), sealing_context(ValueId("v1"), version)
    return (SealedValue(ValueId("v1"), version, PARENT.seal(value, world.node.sealing.public, context)),)


def test_an_instance_is_given_its_values() -> None:
    world = World()
    world.parent.want(spec(), ["a"], sealed=sealed(world))
    world.settle()
    assert world.runtime.given == {TaskKey(A, 1): (b"value-1",)}
    assert world.parent.reports[0].node is not None
    assert world.parent.reports[0].node.sealing_key == world.node.sealing.public


def test_it_waits_for_what_has_not_come() -> None:
    world = World()
    world.parent.want(spec(), ["a"])
    world.pass_time(60)
    assert world.runtime.tasks() == []
    heard = world.parent.observations[A]
    assert heard.state is State.CREATING
    assert heard.detail == "waiting for the secret password, which has not come yet"
    world.parent.want(spec(), ["a"], sealed=sealed(world))
    world.settle()
    assert world.runtime.given == {TaskKey(A, 1): (b"value-1",)}


def test_it_restarts_with_what_it_began_with() -> None:
    world = World()
    world.parent.want(spec(1), ["a"], sealed=sealed(world, 1))
    world.settle()
    world.parent.want(spec(2), ["a", "b"], spec_revision=2, sealed=sealed(world, 2))
    world.settle()
    world.runtime.exit(A, 1)
    world.pass_time(5)
    given = world.runtime.given
    assert (given[TaskKey(A, 2)], given[TaskKey(InstanceId("b"), 1)]) == ((b"value-1",), (b"value-2",))


def test_it_starts_after_a_reboot_without_a_network() -> None:
    world = World()
    world.parent.want(spec(), ["a"], sealed=sealed(world))
    world.settle()
    world.node.kill()
    world.broker.stop()
    world.runtime.reboot()
    world.node.boot()
    world.settle()
    assert world.runtime.given[TaskKey(A, 2)] == (b"value-1",)


def test_a_value_for_another_key_is_waited_for_and_taken() -> None:
    """As when the file with the node's key was lost: nothing is FAILED for it."""
    world = World()
    mine, world.node.sealing = world.node.sealing, new_sealing_key()
    world.parent.want(spec(), ["a"], sealed=sealed(world))
    world.node.sealing = mine
    world.pass_time(20)
    heard = world.parent.observations[A]
    assert heard.state is State.CREATING and "sealed for another key" in heard.detail
    world.parent.want(spec(), ["a"], sealed=sealed(world))
    world.pass_time(60)
    assert world.parent.state("a") == State.RUNNING


def test_nothing_that_is_kept_or_said_has_it() -> None:
    world = World()
    world.parent.want(replace(spec(), command=("run",)), ["a"], sealed=sealed(world))
    world.settle()
    kept = [world.node.documents.find(each) for each in ("instances", "desired")]
    assert "value-1" not in repr(kept) + repr(world.parent.reports) + repr(world.record("a"))
