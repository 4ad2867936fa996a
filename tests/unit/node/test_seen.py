"""How far what a runtime told can be trusted."""

from edge_common.model.ids import InstanceId
from edge_common.model.resources import Resources
from node_engine.core.capacity import Machine, capacity, go_architecture
from node_engine.core.operations import RemoveTask, StopTask
from node_engine.core.seen import Seen
from node_engine.core.strays import GRACE_S, removal
from node_engine.core.task import Task, TaskKey, TaskState

A, B = InstanceId("a"), InstanceId("b")
CREATED, UP, EXITED = TaskState.CREATED, TaskState.RUNNING, TaskState.EXITED


def task(instance_id: InstanceId, state: TaskState = UP, attempt: int = 1, exit_code: int | None = None) -> Task:
    return Task(TaskKey(instance_id, attempt), state, exit_code=exit_code)


def test_an_observation_replaces_what_was_known() -> None:
    seen = Seen()
    assert not seen.is_sure(A, "container")
    assert seen.observed("container", seen.mark(), [task(A), task(B)], ()) == {A, B}
    assert seen.is_sure(A, "container") and seen.tasks_of(A) == {1: task(A)}
    assert seen.observed("container", seen.mark(), [task(A)], ()) == {B}
    assert not seen.tasks_of(B)


def test_one_that_began_before_an_operation_says_nothing_of_its_instance() -> None:
    seen = Seen()
    mark = seen.mark()
    seen.touch(A)
    seen.note("container", task(A))
    assert seen.observed("container", mark, [task(B)], ()) == {B}
    assert seen.tasks_of(A) == {1: task(A)}
    assert seen.observed("container", seen.mark(), [task(B)], ()) == {A}


def test_nor_of_one_that_is_busy() -> None:
    seen = Seen()
    seen.observed("container", seen.mark(), [], {A})
    seen.note("container", task(A, CREATED))
    assert seen.observed("container", seen.mark(), [], {A}) == set()
    assert seen.tasks_of(A)


def test_what_has_exited_does_not_run_again() -> None:
    seen = Seen()
    seen.note("container", task(A, EXITED, exit_code=3))
    seen.note("container", task(A, UP))
    assert seen.tasks_of(A)[1].exit_code == 3
    seen.observed("container", seen.mark(), [task(A, UP)], ())
    assert seen.tasks_of(A)[1].exit_code == 3


def test_a_doubt_lasts_until_the_next_observation_of_that_runtime() -> None:
    seen = Seen()
    seen.observed("container", seen.mark(), [], ())
    seen.doubt(A, "container")
    assert seen.has_doubts("container") and not seen.is_sure(A, "container") and seen.is_sure(B, "container")
    seen.observed("wasm", seen.mark(), [], ())
    assert not seen.is_sure(A, "container")
    assert seen.observed("container", seen.mark(), [], ()) == {A}
    assert seen.is_sure(A, "container")


def test_runtimes_speak_for_their_own_tasks_only() -> None:
    seen = Seen()
    seen.observed("container", seen.mark(), [task(A)], ())
    assert seen.observed("wasm", seen.mark(), [task(B)], ()) == {B}
    assert seen.tasks_of(A) and seen.runtime_of(B) == "wasm"


def test_what_was_taken_away_is_gone() -> None:
    seen = Seen()
    seen.observed("container", seen.mark(), [task(A), task(A, EXITED, 2, 0)], ())
    seen.gone(TaskKey(A, 1))
    assert list(seen.tasks_of(A)) == [2]
    seen.gone(TaskKey(A, 2))
    seen.gone(TaskKey(A, 2))
    assert list(seen.instances()) == []


def test_strays_go_one_by_one_the_oldest_first() -> None:
    assert removal({}, "container") is None
    assert removal({2: task(A, UP, 2), 1: task(A)}, "x") == StopTask(TaskKey(A, 1), "x", GRACE_S)
    assert removal({2: task(A, CREATED, 2)}, "x") == RemoveTask(TaskKey(A, 2), "x")


def test_capacity_leaves_a_reserve() -> None:
    small = Machine("pi", "arm64", 4, 1000, 10_000)
    large = Machine("srv", "amd64", 64, 256_000, 2_000_000)
    assert capacity(small) == Resources(4000, 900, 9000)
    assert capacity(large) == Resources(64_000, 255_488, 1_997_952)
    assert capacity(small, reserved_memory_mb=0).memory_mb == 1000
    assert capacity(small, reserved_memory_mb=5000).memory_mb == 0


def test_architectures_have_gos_names() -> None:
    assert [go_architecture(each) for each in ("x86_64", "aarch64", "riscv64")] == ["amd64", "arm64", "riscv64"]
