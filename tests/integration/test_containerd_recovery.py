"""What is left of containers when the engine or containerd dies in the middle, and how it goes on."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from edge_common.model.errors import HedgerowError, Unreachable
from node_engine.adapters.runtimes.containerd.naming import container_id, labels
from node_engine.adapters.runtimes.containerd.tasks import Tasks
from node_engine.core.task import Task, TaskPlan, TaskState
from tests.integration.containerd_rig import Rig, import_busybox, make_rig
from tests.parts.containerd import Containerd, private_containerd
from tests.support import eventually

pytestmark = pytest.mark.real


@pytest.fixture
def containerd() -> Iterator[Containerd]:
    with private_containerd() as made:
        yield made


@pytest.fixture
def rig(containerd: Containerd, tmp_path: Path) -> Iterator[Rig]:
    with make_rig(containerd, tmp_path) as made:
        import_busybox(made.runtime, tmp_path)
        yield made


def tasks_of(rig: Rig) -> Tasks:
    return rig.runtime._tasks


def leave_half_made(rig: Rig, plan: TaskPlan, steps: int) -> None:
    """The first `steps` steps of create(), as an engine leaves them that dies then."""
    image = rig.runtime._images.ensure(plan.spec.image, plan.spec.pull_policy, lambda _: None)
    name = container_id(plan.key)
    spec = rig.runtime._spec(plan, name, image)
    if steps >= 1:
        tasks_of(rig).put_container(name, image.name, spec, labels(plan))
    if steps >= 2:
        tasks_of(rig).prepare_root(name, image.config.chain_id)


class TestEngineDies:
    @pytest.mark.parametrize("steps", [1, 2])
    def test_a_half_made_one_is_completed(self, rig: Rig, tmp_path: Path, steps: int) -> None:
        plan = rig.plan("sh", "-c", "exit 4")
        leave_half_made(rig, plan, steps)
        with make_rig(rig.containerd, tmp_path) as later:
            left = later.find(plan)
            assert left is not None and left.ended_unseen
            later.runtime.create(plan, lambda _: None)
            later.runtime.start(plan.key)
            assert later.ended(plan).exit_code == 4
            later.runtime.remove(plan.key)
            assert later.runtime.observe() == []

    @pytest.mark.parametrize("steps", [1, 2])
    def test_a_half_made_one_is_removed(self, rig: Rig, steps: int) -> None:
        plan = rig.plan("true")
        leave_half_made(rig, plan, steps)
        rig.runtime.remove(plan.key)
        assert rig.runtime.observe() == []
        assert rig.containerd.mounts() == []

    def test_what_runs_is_adopted(self, rig: Rig, tmp_path: Path) -> None:
        plan = rig.run("sleep", "1000")
        before = rig.find(plan)
        with make_rig(rig.containerd, tmp_path) as later:
            assert later.find(plan) == before
            later.runtime.stop(plan.key, 0)
            assert later.runtime.observe() == []


class TestContainerdDies:
    def test_containers_go_on_and_their_exit_is_delivered(self, rig: Rig) -> None:
        stopper = "while [ ! -e /tmp/end ]; do sleep 0.05; done; exit 6"
        plan = rig.run("sh", "-c", stopper)
        before = rig.find(plan)
        heard: list[Task | None] = []
        rig.runtime.watch(heard.append)
        eventually(lambda: heard == [None])

        rig.containerd.kill()
        with pytest.raises(Unreachable):
            rig.runtime.observe()
        rig.containerd.start()

        assert eventually(lambda: _found(rig, plan)) == before
        eventually(lambda: heard == [None, None], timeout_s=15)
        rig.runtime.exec(plan.key, ["touch", "/tmp/end"], 5)
        eventually(lambda: heard[-1] == Task(plan.key, TaskState.EXITED, exit_code=6))
        assert rig.ended(plan).exit_code == 6
        rig.runtime.remove(plan.key)
        assert rig.runtime.observe() == []

    def test_an_exit_in_its_absence_is_seen_afterwards(self, rig: Rig) -> None:
        plan = rig.run("sh", "-c", "sleep 0.3; exit 9")
        task = rig.find(plan)
        assert task is not None
        rig.containerd.kill()
        eventually(lambda: not _is_running(task.pid))
        rig.containerd.start()
        eventually(lambda: _found(rig, plan))
        assert rig.ended(plan).exit_code == 9
        rig.runtime.remove(plan.key)

    @pytest.mark.parametrize("after_s", [0.0, 0.01, 0.02, 0.03, 0.04, 0.06])
    def test_making_one_goes_on_wherever_it_broke_off(self, rig: Rig, after_s: float) -> None:
        """As the engine does: what cannot be completed is removed, and the next attempt has a name of its own.

        containerd 1.6 keeps the folder of a task that it was just about to make, and then refuses that name.
        """
        warm_up = rig.run("true")
        rig.ended(warm_up)
        plan = rig.plan("sh", "-c", "exit 5")

        def make() -> None:
            with suppress(HedgerowError):
                rig.runtime.create(plan, lambda _: None)

        making = threading.Thread(target=make)
        making.start()
        time.sleep(after_s)
        rig.containerd.kill()
        making.join(timeout=30)
        rig.containerd.start()

        attempts = (replace(plan, key=replace(plan.key, attempt=number)) for number in range(1, 10))

        def made() -> TaskPlan | None:
            attempt = next(attempts)
            try:
                rig.runtime.create(attempt, lambda _: None)
                rig.runtime.start(attempt.key)
            except HedgerowError:
                rig.runtime.remove(attempt.key)
                return None
            return attempt

        eventually(lambda: _found(rig, warm_up))
        attempt = eventually(made, timeout_s=15)
        assert attempt is not None
        assert rig.ended(attempt).exit_code == 5
        rig.runtime.remove(attempt.key)
        rig.runtime.remove(warm_up.key)
        assert rig.runtime.observe() == []
        assert rig.containerd.mounts() == []


def _found(rig: Rig, plan: TaskPlan) -> Task | None:
    try:
        return rig.find(plan)
    except Unreachable:
        return None


def _is_running(pid: int) -> bool:
    """Whether a process with this id is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
