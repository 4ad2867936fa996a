"""What the containerd tests share: a runtime on a private containerd, and plans for a small image in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from edge_common.model.ids import ApplicationId, InstanceId, ServiceId
from edge_common.model.service import ServiceSpec
from node_engine.adapters.log_files import LogFiles
from node_engine.adapters.runtimes.containerd import ContainerdRuntime, RegistrySettings
from node_engine.adapters.value_files import ValueFiles
from node_engine.core.task import Task, TaskKey, TaskPlan, TaskState
from tests.parts.containerd import Containerd
from tests.parts.images import build_oci_archive, busybox_files
from tests.support import eventually

IMAGE = "test.local/busybox:1"


@dataclass
class Rig:
    containerd: Containerd
    runtime: ContainerdRuntime
    logs: LogFiles

    def plan(self, *command: str, number: int = 0, network_namespace: str = "", **spec: Any) -> TaskPlan:
        """A plan of its own for `command` in the small image; further fields go into the spec."""
        fields: dict[str, Any] = {"image": IMAGE, "command": command, **spec}
        made = ServiceSpec(ServiceId("s1"), ApplicationId("a1"), "shop.default.web.default", "container", **fields)
        return TaskPlan(TaskKey(InstanceId(f"i{uuid4().hex[:10]}"), 1), made, number, network_namespace)

    def run(self, *command: str, **spec: Any) -> TaskPlan:
        plan = self.plan(*command, **spec)
        self.runtime.create(plan, lambda _: None)
        self.runtime.start(plan.key)
        return plan

    def output_of(self, script: str, **spec: Any) -> str:
        """What a shell script prints until it ends."""
        plan = self.run("sh", "-c", script, **spec)
        return self.output(plan)

    def output(self, plan: TaskPlan) -> str:
        """All that it prints until it ends; then it is removed."""
        self.ended(plan)
        output = self.logs.read(plan.key.instance_id).data.decode()
        self.runtime.remove(plan.key)
        return output

    def find(self, plan: TaskPlan) -> Task | None:
        return next((task for task in self.runtime.observe() if task.key == plan.key), None)

    def ended(self, plan: TaskPlan) -> Task:
        def exited() -> Task | None:
            task = self.find(plan)
            return task if task is not None and task.state is TaskState.EXITED else None

        task = eventually(exited, message="the end of the container")
        if task is None:
            raise AssertionError("unreachable")
        return task


@contextmanager
def make_rig(
    containerd: Containerd,
    directory: Path,
    registries: RegistrySettings | None = None,
    values: ValueFiles | None = None,
) -> Iterator[Rig]:
    logs = LogFiles(directory / "logs")
    runtime = ContainerdRuntime(
        str(containerd.address),
        logs,
        registries,
        namespace=containerd.namespace,
        cgroup_parent=containerd.cgroup_parent,
        values=values,
    )
    try:
        yield Rig(containerd, runtime, logs)
    finally:
        runtime.close()


def import_busybox(runtime: ContainerdRuntime, directory: Path) -> None:
    archive = directory / "busybox.tar"
    build_oci_archive(archive, busybox_files(), {"Cmd": ["sh"], "Env": ["COLOUR=green", "SIZE=small"]}, IMAGE)
    runtime.import_archive(archive)
