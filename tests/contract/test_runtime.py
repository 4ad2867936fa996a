"""What every runtime must do; the fake that unit tests trust and the real one alike."""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from edge_common.model.errors import HedgerowError
from edge_common.model.ids import ApplicationId, InstanceId, ServiceId
from edge_common.model.service import ServiceSpec
from node_engine.core.task import Task, TaskKey, TaskPlan, TaskState
from node_engine.ports import Runtime
from tests.fakes.runtime import FakeRuntime
from tests.integration.containerd_rig import IMAGE, import_busybox, make_rig
from tests.parts.containerd import private_containerd
from tests.support import eventually

Ender = Callable[[TaskKey, int], object]
SLEEP = ("sh", "-c", "trap 'exit 0' TERM; while [ ! -e /end ]; do sleep 0.05; done; exit $(cat /end)")


class Case:
    """A runtime, and a way to make a task's process end with a code."""

    def __init__(self, runtime: Runtime, end: Ender) -> None:
        self.runtime = runtime
        self.end = end

    def plan(self) -> TaskPlan:
        spec = ServiceSpec(
            ServiceId("s1"), ApplicationId("app"), "app.ns.web.ns", self.runtime.name, IMAGE, command=SLEEP
        )
        return TaskPlan(TaskKey(InstanceId(f"i{uuid4().hex[:10]}"), 1), spec, 0)

    def run(self) -> TaskKey:
        plan = self.plan()
        self.runtime.create(plan, lambda _: None)
        self.runtime.start(plan.key)
        return plan.key

    def find(self, key: TaskKey) -> Task | None:
        return next((task for task in self.runtime.observe() if task.key == key), None)

    def state(self, key: TaskKey) -> TaskState | None:
        task = self.find(key)
        return task.state if task else None


@contextmanager
def fake_case() -> Iterator[Case]:
    runtime = FakeRuntime()
    yield Case(runtime, lambda key, code: runtime.exit(key.instance_id, code))


@contextmanager
def containerd_case(directory: Path) -> Iterator[Case]:
    with private_containerd() as containerd, make_rig(containerd, directory) as rig:
        import_busybox(rig.runtime, directory)

        def end(key: TaskKey, code: int) -> None:
            rig.runtime.exec(key, ("sh", "-c", f"echo {code} > /end"), 10.0)

        yield Case(rig.runtime, end)


@pytest.fixture(scope="module", params=["fake", pytest.param("containerd", marks=pytest.mark.real)])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    made = fake_case() if request.param == "fake" else containerd_case(tmp_path_factory.mktemp("runtime"))
    with made as found:
        yield found


class TestRuntime:
    def test_create_start_stop(self, case: Case) -> None:
        plan = case.plan()
        case.runtime.create(plan, lambda _: None)
        assert case.state(plan.key) is TaskState.CREATED
        case.runtime.start(plan.key)
        assert case.state(plan.key) is TaskState.RUNNING
        case.runtime.stop(plan.key, 5.0)
        assert case.find(plan.key) is None

    def test_each_step_may_be_repeated(self, case: Case) -> None:
        plan = case.plan()
        for _ in range(2):
            case.runtime.create(plan, lambda _: None)
        for _ in range(2):
            case.runtime.start(plan.key)
        first = case.find(plan.key)
        case.runtime.create(plan, lambda _: None)
        case.runtime.start(plan.key)
        assert case.find(plan.key) == first
        for _ in range(2):
            case.runtime.stop(plan.key, 5.0)
        case.runtime.remove(plan.key)
        assert case.find(plan.key) is None

    def test_an_exit_keeps_its_code_until_it_is_removed(self, case: Case) -> None:
        key = case.run()
        case.end(key, 7)
        eventually(lambda: case.state(key) is TaskState.EXITED)
        task = case.find(key)
        assert task is not None and task.exit_code == 7
        case.runtime.remove(key)
        assert case.find(key) is None

    def test_one_that_was_never_started_is_removed(self, case: Case) -> None:
        plan = case.plan()
        case.runtime.create(plan, lambda _: None)
        case.runtime.remove(plan.key)
        assert case.find(plan.key) is None

    def test_what_is_not_there_is_stopped_and_removed_without_a_word(self, case: Case) -> None:
        nobody = TaskKey(InstanceId("nobody"), 1)
        case.runtime.stop(nobody, 1.0)
        case.runtime.remove(nobody)

    def test_what_is_not_there_cannot_start(self, case: Case) -> None:
        with pytest.raises(HedgerowError):
            case.runtime.start(TaskKey(InstanceId("nobody"), 1))

    def test_two_attempts_of_one_instance_are_two_tasks(self, case: Case) -> None:
        plan = case.plan()
        later = TaskPlan(TaskKey(plan.key.instance_id, 2), plan.spec, 0)
        for each in (plan, later):
            case.runtime.create(each, lambda _: None)
        case.runtime.remove(plan.key)
        assert case.find(plan.key) is None and case.state(later.key) is TaskState.CREATED
        case.runtime.remove(later.key)

    def test_exits_are_told(self, case: Case) -> None:
        told: queue.Queue[Task | None] = queue.Queue()
        case.runtime.watch(told.put)
        key = case.run()
        eventually(lambda: not told.empty() or isinstance(case.runtime, FakeRuntime))
        case.end(key, 4)

        def heard() -> Task | None:
            task = told.get(timeout=10.0)
            return task if task is not None and task.key == key else None

        task = eventually(heard)
        assert task is not None and (task.state, task.exit_code) == (TaskState.EXITED, 4)
        case.runtime.remove(key)
