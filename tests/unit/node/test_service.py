"""A whole node on a memory link: what its parent hears and what its runtime does."""

from dataclasses import replace

import pytest

from edge_common.model.ids import InstanceId
from edge_common.model.lifecycle import Health, Reason, State
from edge_common.model.network import PortMapping
from edge_common.model.probes import Probe, ProbeKind, Probes
from edge_common.model.service import RestartMode, RestartPolicy
from node_engine.adapters.record_store import DocumentRecordStore
from node_engine.core.task import TaskKey, TaskState
from node_engine.ports import TaskFailure
from tests.unit.node.world import NODE, World, make_spec

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


def test_the_first_report_that_acknowledges_an_instance_speaks_of_it() -> None:
    world = World(has_manual_pools=True)
    world.parent.want(SPEC, ["a"])
    world.settle()
    acking = next(report for report in world.parent.reports if report.acked_revision == 1)
    assert [each.instance_id for each in acking.observations] == [A]
    assert acking.observations[0].state is State.CREATING


def test_nothing_starts_before_the_runtime_told_what_it_has() -> None:
    world = World(has_manual_pools=True)
    world.parent.want(SPEC, ["a"])
    world.settle()
    assert world.pool.jobs == []
    world.chores.finish()
    world.settle()
    assert len(world.pool.jobs) == 1


def test_records_are_on_disk_before_an_operation_begins() -> None:
    world = World(has_manual_pools=True)
    world.finish_work()
    world.parent.want(SPEC, ["a"])
    world.settle()
    assert world.runtime.started == []
    kept = DocumentRecordStore(world.node.documents).load()
    assert [(record.attempt, record.task_attempt) for record in kept] == [(1, 1)]


def test_an_engine_killed_between_writing_and_starting_starts_it_once() -> None:
    world = World(has_manual_pools=True)
    world.finish_work()
    world.parent.want(SPEC, ["a", "b"])
    world.settle()
    world.pool.run()  # a was made, and its engine dies before it hears so
    world.restart()
    world.finish_work()
    assert world.running() == ["a-1", "b-1"]
    assert len(world.runtime.started) == 2


def test_starts_leave_room_for_stops() -> None:
    world = World(has_manual_pools=True, capacity=16)
    world.finish_work()
    world.parent.want(SPEC, ["a"])
    world.finish_work()
    world.parent.want(make_spec("s2"), [f"b{number}" for number in range(20)])
    world.settle()
    assert len(world.pool.jobs) == 6
    world.parent.drop(SPEC.service_id)
    world.settle()
    assert len(world.pool.jobs) == 7
    world.pool.run(6)
    assert world.runtime.stopped == [TaskKey(A, 1)]
    world.finish_work()
    assert len(world.runtime.running()) == 20


def test_what_does_not_fit_into_the_pool_waits() -> None:
    world = World(has_manual_pools=True, capacity=3)
    world.finish_work()
    world.parent.want(SPEC, [f"b{number}" for number in range(7)])
    world.settle()
    assert len(world.pool.jobs) == 3
    assert len(world.parent.observations) == 7
    world.finish_work()
    assert len(world.runtime.running()) == 7


def test_what_nobody_wants_is_left_alone_until_a_parent_spoke(world: World) -> None:
    world.runtime.add(TaskKey(InstanceId("stray"), 2), TaskState.RUNNING)
    world.pass_time(31)
    assert world.running() == ["stray-2"]
    world.parent.want(SPEC, ["a"])
    world.settle()
    assert world.running() == ["a-1"]


def test_a_wanted_task_without_a_record_is_adopted() -> None:
    world = World(has_manual_pools=True)
    world.runtime.add(TaskKey(A, 3), TaskState.RUNNING)
    world.parent.want(SPEC, ["a"])
    world.finish_work()
    assert world.running() == ["a-3"]
    assert (world.runtime.started, world.runtime.stopped) == ([], [])
    assert world.parent.observations[A].attempt == 3


def test_after_a_reboot_what_ran_starts_at_once_and_a_one_shot_too(world: World) -> None:
    world.parent.want(SPEC, ["a"])
    world.parent.want(make_spec("s2", is_one_shot=True, restart=RestartPolicy(RestartMode.NEVER)), ["b"])
    world.settle()
    world.node.kill()
    world.runtime.reboot()
    world.node.boot()
    world.settle()
    assert world.running() == ["a-2", "b-2"]
    assert world.clock.monotonic_s() == 0.0


def test_an_exit_while_the_engine_was_away_counts(world: World) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    world.node.kill()
    world.runtime.exit(A, 7)
    world.node.boot()
    world.settle()
    heard = world.parent.observations[A]
    assert (heard.reason, heard.exit_code, heard.attempt) == (Reason.BACKING_OFF, 7, 2)


def test_a_known_instance_keeps_its_spec(world: World) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    world.parent.want(replace(SPEC, image="docker.io/library/web:2"), ["a", "b"], spec_revision=2)
    world.settle()
    assert world.runtime.started == [TaskKey(A, 1), TaskKey(InstanceId("b"), 1)]
    assert world.record("a").spec_revision == 1
    assert world.record("b").spec.image.endswith(":2")


def test_a_port_is_waited_for_until_its_holder_is_stopped() -> None:
    world = World(has_manual_pools=True)
    world.finish_work()
    spec = make_spec(ports=(PortMapping(80, 80),))
    world.parent.want(spec, ["a"])
    world.finish_work()
    world.parent.want(spec, ["b"])
    world.settle()
    assert world.parent.observations[InstanceId("b")].detail.startswith("waits for port 80/tcp")
    assert len(world.pool.jobs) == 1
    world.finish_work()
    assert world.running() == ["b-1"]


def test_a_lost_event_is_found_by_the_sweep(world: World) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    world.runtime.does_tell = False
    world.runtime.exit(A, 1)
    world.pass_time(32)
    assert world.running() == ["a-2"]


def test_a_runtime_that_is_away_is_not_offered_and_comes_back(world: World) -> None:
    world.runtime.is_reachable = False
    world.parent.want(SPEC, ["a"])
    world.pass_time(5)
    said = [report.node for report in world.parent.reports if report.node is not None]
    assert said[-1].runtimes == ()
    assert "does not answer" in world.parent.observations[A].detail
    world.runtime.is_reachable = True
    world.pass_time(70)
    said = [report.node for report in world.parent.reports if report.node is not None]
    assert said[-1].runtimes == ("container",)
    assert world.running() == ["a-1"]


def test_an_image_that_does_not_exist_fails_and_is_not_tried_again(world: World) -> None:
    failure = TaskFailure("The registry has no image web:1.", Reason.IMAGE_NOT_FOUND, is_permanent=True)
    world.runtime.fail_always(A, failure)
    world.parent.want(SPEC, ["a"])
    world.pass_time(120)
    heard = world.parent.observations[A]
    assert (heard.state, heard.reason, heard.attempt) == (State.FAILED, Reason.IMAGE_NOT_FOUND, 1)
    assert world.runtime.tasks() == []


def test_a_registry_that_is_away_is_asked_again_for_ever(world: World) -> None:
    world.runtime.fail_always(A, TaskFailure("The registry is away.", Reason.IMAGE_UNREACHABLE))
    world.parent.want(make_spec(restart=RestartPolicy(RestartMode.NEVER)), ["a"])
    world.pass_time(300)
    assert world.parent.observations[A].reason is Reason.IMAGE_UNREACHABLE
    world.runtime.fail_always(A, None)
    world.pass_time(61)
    assert world.parent.state("a") == State.RUNNING


def test_a_runtime_that_a_spec_names_may_be_missing(world: World) -> None:
    world.parent.want(replace(SPEC, runtime="wasm"), ["a"])
    world.settle()
    heard = world.parent.observations[A]
    assert (heard.state, heard.reason) == (State.FAILED, Reason.RUNTIME_MISSING)
    assert "wasm" in heard.detail and "container" in heard.detail
    world.parent.drop(SPEC.service_id)
    world.settle()
    assert world.parent.state("a") == State.UNDEPLOYED


def test_progress_is_reported_and_not_written() -> None:
    world = World(has_manual_pools=True)
    world.finish_work()
    world.parent.want(SPEC, ["a"])
    world.settle()
    world.pool.run()
    world.settle()
    assert world.parent.observations[A].detail == "unpacking the image"
    assert DocumentRecordStore(world.node.documents).load()[0].detail == ""


def test_logs_go_with_the_instance(world: World) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    world.node.logs.texts[A] = b"one\ntwo\n"
    world.parent.ask("logs", {"instance_id": "a", "tail": 1})
    world.settle()
    assert world.parent.responses[-1].body["text"] == "two\n"
    world.parent.ask("logs", {"instance_id": "a", "cursor": 4})
    world.settle()
    assert world.parent.responses[-1].body["text"] == "two\n"
    world.parent.drop(SPEC.service_id)
    world.settle()
    assert world.node.logs.texts == {}


@pytest.mark.parametrize(
    ("kind", "body", "error", "words"),
    [
        ("logs", {"instance_id": "nobody"}, "NotFound", "no instance 'nobody'"),
        ("logs", {"instance_id": "a", "tail": -1}, "InvalidInput", "tail"),
        ("logs", {"instance_id": "a", "cursor": "x"}, "InvalidInput", "cursor"),
        ("exec", {"instance_id": "a"}, "InvalidInput", "command"),
        ("exec", {"instance_id": "a", "command": ["ls"], "timeout_s": 1e9}, "InvalidInput", "timeout_s"),
        ("dance", {}, "InvalidInput", "dance"),
    ],
)
def test_questions_that_are_refused(world: World, kind: str, body: dict[str, object], error: str, words: str) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    world.parent.ask(kind, body)
    world.settle()
    answer = world.parent.responses[-1]
    assert answer.error == error and words in answer.message


def test_a_command_runs_in_a_running_instance_only(world: World) -> None:
    world.parent.want(SPEC, ["a"])
    world.settle()
    world.parent.ask("exec", {"instance_id": "a", "command": ["echo", "hi"]})
    world.settle()
    assert world.parent.responses[-1].body == {"exit_code": 0, "output": "echo hi", "is_cut": False}
    world.runtime.exit(A, 1)
    world.settle()
    world.parent.ask("exec", {"instance_id": "a", "command": ["echo"]})
    world.settle()
    assert world.parent.responses[-1].error == "Conflict"


def test_too_many_questions_at_once_are_turned_away() -> None:
    world = World(has_manual_pools=True)
    world.finish_work()
    world.parent.want(SPEC, ["a"])
    world.finish_work()
    for _ in range(4):
        world.parent.ask("logs", {"instance_id": "a"})
    world.settle()
    assert [response.error for response in world.parent.responses] == ["Overloaded"]
    world.finish_work()
    assert len(world.parent.responses) == 4


def test_the_node_says_who_it_is_once_and_how_busy_it_is_each_time(world: World) -> None:
    world.pass_time(40)
    infos = [report.node for report in world.parent.reports if report.node is not None]
    assert infos[-1].address == "192.0.2.1" and infos[-1].name == "host"
    assert infos[-1].capacity.cpu_millis == 4000
    assert len(infos) <= 2
    assert all(report.usage is not None for report in world.parent.reports[-3:])
    assert world.node.logs.trims == 4


def test_while_cut_off_it_goes_on_and_tells_later(world: World) -> None:
    world.parent.want(SPEC, ["a", "b"])
    world.settle()
    world.broker.isolate(NODE)
    world.runtime.exit(A, 2)
    world.pass_time(2)
    assert world.running() == ["a-2", "b-1"]
    world.broker.heal(NODE)
    world.settle()
    assert world.parent.observations[A].attempt == 2


PROBES = Probes(
    readiness=Probe(ProbeKind.TCP, 80, interval_s=2.0), liveness=Probe(ProbeKind.TCP, 81, interval_s=2.0, failures=2)
)


class TestHealth:
    def test_is_starting_until_a_probe_says_well(self, world: World) -> None:
        world.node.prober.unwell[InstanceId("i1")] = "nothing listens on port 80"
        world.parent.want(make_spec(probes=Probes(readiness=PROBES.readiness)), ["i1"])
        world.pass_time(0.25)
        heard = world.parent.observations[InstanceId("i1")]
        assert (heard.state, heard.health) == (State.RUNNING, Health.STARTING)
        assert heard.detail == "nothing listens on port 80"
        world.node.prober.unwell.clear()
        world.pass_time(2.5)
        heard = world.parent.observations[InstanceId("i1")]
        assert (heard.health, heard.detail) == (Health.HEALTHY, "")

    def test_liveness_restarts_it_with_back_off_and_says_why(self, world: World) -> None:
        world.parent.want(make_spec(probes=PROBES), ["i1"])
        world.pass_time(5.0)
        assert world.parent.observations[InstanceId("i1")].health is Health.HEALTHY
        world.node.prober.unwell[InstanceId("i1")] = "no answer"
        world.pass_time(4.5)
        waits = [each for each in world.parent.history if each.reason is Reason.BACKING_OFF]
        assert [(each.state, each.attempt) for each in waits] == [(State.CREATING, 2)]
        assert waits[0].detail.startswith("its liveness probe failed 2 times in a row (no answer); starting again in")
        world.node.prober.unwell.clear()
        world.pass_time(3.0)
        heard = world.parent.observations[InstanceId("i1")]
        assert (heard.state, heard.health, heard.attempt) == (State.RUNNING, Health.HEALTHY, 2)
        assert world.runtime.most_at_once[InstanceId("i1")] == 1

    def test_a_policy_without_restarts_ends_it(self, world: World) -> None:
        spec = make_spec(probes=PROBES, restart=RestartPolicy(mode=RestartMode.NEVER))
        world.parent.want(spec, ["i1"])
        world.pass_time(5.0)
        world.node.prober.unwell[InstanceId("i1")] = "no answer"
        world.pass_time(8.0)
        heard = world.parent.observations[InstanceId("i1")]
        assert (heard.state, heard.reason) == (State.FAILED, Reason.UNHEALTHY)
        assert world.running() == []

    def test_one_that_is_being_stopped_is_left_to_end(self) -> None:
        """Who shuts down answers no probe, and that is no failure."""
        world = World(has_manual_pools=True)
        world.parent.want(make_spec(probes=PROBES, restart=RestartPolicy(mode=RestartMode.NEVER)), ["i1"])
        world.finish_work()
        world.pass_time(5.0)
        assert world.parent.observations[InstanceId("i1")].health is Health.HEALTHY
        world.parent.drop(SPEC.service_id)
        world.node.prober.unwell[InstanceId("i1")] = "no answer"
        world.pass_time(9.0)
        assert {each.reason for each in world.parent.history} == {Reason.NONE}
        assert {each.state for each in world.parent.history} == {State.CREATING, State.RUNNING}
        world.finish_work()
        assert world.parent.observations[InstanceId("i1")].state is State.UNDEPLOYED

    def test_an_engine_that_restarts_keeps_what_it_knew(self, world: World) -> None:
        world.parent.want(make_spec(probes=PROBES), ["i1"])
        world.pass_time(5.0)
        asked = len(world.node.prober.asked)
        world.restart()
        assert world.parent.observations[InstanceId("i1")].health is Health.HEALTHY
        world.pass_time(5.0)
        assert len(world.node.prober.asked) > asked
        assert world.parent.observations[InstanceId("i1")].attempt == 1

    def test_without_probes_nobody_asks(self, world: World) -> None:
        world.parent.want(make_spec(), ["i1"])
        world.pass_time(10.0)
        assert world.parent.observations[InstanceId("i1")].health is Health.HEALTHY
        assert world.node.prober.asked == []
