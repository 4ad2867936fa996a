"""The steps by which a container comes and goes. Each may be repeated, whatever an earlier try left."""

import json
import logging
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from edge_common.model.errors import Conflict, NotFound, Unreachable
from edge_common.model.lifecycle import Reason
from node_engine.adapters.runtimes.containerd import client as c
from node_engine.adapters.runtimes.containerd.proto import containerd_pb2 as pb
from node_engine.adapters.runtimes.containerd.unpack import SNAPSHOTTER, remove_snapshot
from node_engine.core.container_spec import OciSpec
from node_engine.ports import TaskFailure

logger = logging.getLogger(__name__)

RUNTIME_NAME = "io.containerd.runc.v2"
SPEC_URL = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
RESOURCES_URL = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
KILL_TIMEOUT_S = 10.0
"""SIGKILL works at once unless the process hangs in the kernel."""

_ALREADY = ("cannot start a running process", "cannot start a stopped process", "process already started")
_PERMANENT = ("executable file not found", "no such file or directory", "permission denied", "not a directory")


class Tasks:
    def __init__(self, client: c.Client) -> None:
        self._client = client

    def put_container(self, name: str, image: str, spec: OciSpec, labels: Mapping[str, str]) -> None:
        """The record comes before its snapshot: what it names is not collected as garbage."""
        container = pb.Container(id=name, labels=labels, image=image, snapshotter=SNAPSHOTTER, snapshot_key=name)
        container.runtime.name = RUNTIME_NAME
        container.spec.type_url = SPEC_URL
        container.spec.value = json.dumps(spec, separators=(",", ":")).encode()
        holder = pb.ContainerHolder(container=container)
        try:
            self._client.call(c.CREATE_CONTAINER, holder)
        except Conflict:
            if self.state(name) is None:
                self._client.call(c.DELETE_CONTAINER, pb.ContainerId(id=name))
                self._client.call(c.CREATE_CONTAINER, holder)

    def prepare_root(self, name: str, chain_id: str) -> Sequence[pb.Mount]:
        """Raises NotFound when the image's own snapshot is gone."""
        request = pb.PrepareSnapshotRequest(snapshotter=SNAPSHOTTER, key=name, parent=chain_id)
        try:
            return self._client.call(c.PREPARE_SNAPSHOT, request).mounts
        except Conflict:
            return self._client.call(c.SNAPSHOT_MOUNTS, pb.SnapshotKey(snapshotter=SNAPSHOTTER, key=name)).mounts

    def create(self, name: str, mounts: Sequence[pb.Mount], log: Path) -> None:
        """Output goes to `log`. Both streams are named: containerd 1.6's shim dies of a file beside nothing."""
        output = f"file://{log}"
        request = pb.CreateTaskRequest(container_id=name, rootfs=mounts, stdout=output, stderr=output)
        with suppress(Conflict):
            self._client.call(c.CREATE_TASK, request)

    def limit_cpu(self, name: str, cpu: Mapping[str, int]) -> None:
        request = pb.UpdateTaskRequest(container_id=name)
        request.resources.type_url = RESOURCES_URL
        request.resources.value = json.dumps({"cpu": cpu}).encode()
        self._client.call(c.UPDATE_TASK, request)

    def start(self, name: str) -> None:
        try:
            self._client.call(c.START_TASK, pb.ProcessId(container_id=name))
        except NotFound as error:
            raise TaskFailure(f"The container {name} was never made, or is gone.", Reason.START_FAILED) from error
        except (c.Refused, Conflict) as error:
            if any(words in str(error) for words in _ALREADY):
                return
            raise start_failure(name, error) from error

    def state(self, name: str) -> pb.Process | None:
        try:
            return self._client.call(c.GET_TASK, pb.ProcessId(container_id=name)).process
        except NotFound:
            return None

    def list(self) -> Sequence[pb.Process]:
        return self._client.call(c.LIST_TASKS, pb.ListTasksRequest()).tasks

    def list_containers(self) -> Iterator[str]:
        try:
            for listed in self._client.stream(c.LIST_CONTAINERS, pb.ListContainersRequest()):
                yield listed.container.id
        except NotFound:
            return

    def end(self, name: str, grace_s: float) -> None:
        """SIGTERM and, when that is not enough or nothing runs in it yet, SIGKILL."""
        process = self.state(name)
        if process is None or process.status == pb.STOPPED:
            return
        if process.status == pb.RUNNING and grace_s > 0:
            self.kill(name, signal.SIGTERM)
            if self._has_ended(name, grace_s):
                return
            logger.info("ignored SIGTERM container=%s grace_s=%s", name, grace_s)
        self.kill(name, signal.SIGKILL)
        if not self._has_ended(name, KILL_TIMEOUT_S):
            raise Unreachable(f"The container {name} did not end within {KILL_TIMEOUT_S:g} s of SIGKILL.")

    def kill(self, name: str, number: signal.Signals) -> None:
        with suppress(NotFound):
            try:
                self._client.call(c.KILL_TASK, pb.KillRequest(container_id=name, signal=number))
            except c.Refused as error:
                if "already finished" not in str(error):
                    raise

    def clear(self, name: str) -> None:
        """Whatever there is of one that has ended, or never began: task, record, snapshot.

        One that was made and never started has to be killed first: deleting it as it is takes runc two seconds.
        """
        with suppress(NotFound):
            self._client.call(c.DELETE_TASK, pb.ProcessId(container_id=name))
        with suppress(NotFound):
            self._client.call(c.DELETE_CONTAINER, pb.ContainerId(id=name))
        remove_snapshot(self._client, name)

    def _has_ended(self, name: str, timeout_s: float) -> bool:
        try:
            self._client.call(c.WAIT_TASK, pb.ProcessId(container_id=name), timeout_s=timeout_s)
        except NotFound:
            return True
        except Unreachable:
            process = self.state(name)
            return process is None or process.status == pb.STOPPED
        return True


def start_failure(name: str, error: Exception) -> TaskFailure:
    """runc's last words say what was wrong; what stands before them is only who told whom."""
    said = str(error).removesuffix(": unknown")
    for noise in (
        "runc create failed: ",
        "runc did not terminate successfully: exit status 1: ",
        "starting container process caused: ",
    ):
        said = said.rpartition(noise)[2]
    is_permanent = any(words in said for words in _PERMANENT)
    return TaskFailure(
        f"The container {name} cannot start: {said[:400]}.", Reason.START_FAILED, is_permanent=is_permanent
    )
