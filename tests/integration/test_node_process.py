"""`python -m node_engine` as a process of its own, on a machine whose network is away."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_common.link.desired_store import DocumentDesiredStore
from edge_common.link.identity import IdentityFiles
from edge_common.model.ids import ApplicationId, ChildId, InstanceId, ServiceId
from edge_common.model.service import ServiceSpec
from edge_common.plumbing.documents.sqlite import SqliteDocuments
from edge_common.plumbing.pki import open_authority
from edge_common.wire.join_messages import MqttAccess
from edge_common.wire.messages import AssignedInstance, DesiredService
from node_engine.core.task import TaskKey, TaskState
from tests.integration.containerd_rig import IMAGE, Rig, import_busybox, make_rig
from tests.parts.containerd import private_containerd
from tests.support import eventually, free_port

pytestmark = pytest.mark.real

COMMAND = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with private_containerd() as containerd, make_rig(containerd, tmp_path) as made:
        import_busybox(made.runtime, tmp_path)
        yield made


def keep_identity(data_dir: Path, mqtt: MqttAccess) -> None:
    """As the last join left it; the parent is gone."""
    authority = open_authority(data_dir.with_name(f"{data_dir.name}-ca"), "cluster", time.time())
    files = IdentityFiles(data_dir)
    files.keep_ca(authority.certificate_pem)
    certificate = authority.issue_child(files.key().make_csr(), mqtt.username, time.time(), 86_400)
    files.keep(ChildId(mqtt.username), "cluster", mqtt, certificate)


def prepare(data_dir: Path, count: int) -> None:
    """What a node has on disk that joined once and was told to run `count` instances."""
    data_dir.mkdir(mode=0o700)
    mqtt = MqttAccess("127.0.0.1", free_port(), "node-1", "secret")
    keep_identity(data_dir, mqtt)
    spec = ServiceSpec(
        ServiceId("s1"), ApplicationId("app"), "app.ns.web.ns", "container", IMAGE, command=COMMAND, stop_grace_s=1.0
    )
    instances = tuple(AssignedInstance(InstanceId(f"i{number}"), number) for number in range(count))
    documents = SqliteDocuments(data_dir / "node.db")
    DocumentDesiredStore(documents).save(1, [DesiredService(spec.service_id, 1, 1, spec, instances)], ())
    documents.close()


def settings_of(rig: Rig, data_dir: Path) -> Mapping[str, str]:
    given = {
        "DATA_DIR": str(data_dir),
        "CONTAINERD_ADDRESS": str(rig.containerd.address),
        "CONTAINERD_NAMESPACE": rig.containerd.namespace,
        "CGROUP_PARENT": rig.containerd.cgroup_parent,
        "PARENT_URL": f"http://127.0.0.1:{free_port()}",
    }
    return {"PATH": os.environ["PATH"], **{f"HEDGEROW_NODE_{key}": value for key, value in given.items()}}


@contextmanager
def engine(environment: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("ab") as file:
        process = subprocess.Popen([sys.executable, "-m", "node_engine"], env=environment, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)


def pids(rig: Rig) -> dict[TaskKey, int]:
    return {task.key: task.pid for task in rig.runtime.observe() if task.state is TaskState.RUNNING}


def test_it_runs_what_it_was_told_last_and_dies_without_harm(rig: Rig, tmp_path: Path) -> None:
    prepare(tmp_path / "node", 3)
    environment, log = settings_of(rig, tmp_path / "node"), tmp_path / "log"
    with engine(environment, log) as process:
        first = eventually(lambda: found if len(found := pids(rig)) == 3 else None, 15.0, message="three instances")
        process.kill()
        process.wait(timeout=10)
        killed = sorted(first or {})[0]
        os.kill((first or {})[killed], signal.SIGKILL)
    with engine(environment, log) as process:
        eventually(lambda: len(pids(rig)) == 3, 15.0, message="a restart of what died meanwhile")
        now = pids(rig)
        assert {key: pid for key, pid in (first or {}).items() if key != killed}.items() <= now.items()
        assert TaskKey(killed.instance_id, 2) in now
        process.terminate()
        assert process.wait(timeout=10) == 0
    assert pids(rig) == now


def test_status_reads_what_the_engine_keeps(rig: Rig, tmp_path: Path) -> None:
    prepare(tmp_path / "node", 1)
    environment = settings_of(rig, tmp_path / "node")

    def status(*options: str) -> str:
        command = [sys.executable, "-m", "node_engine", "status", *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True).stdout

    with engine(environment, tmp_path / "log") as process:
        line = "  i0 app.ns.web.ns #0 attempt=1 RUNNING"
        eventually(lambda: status().splitlines()[-1] == line, 15.0, 0.2, message="RUNNING")
        told = json.loads(status("-o", "json"))
        assert (told["is_joined"], told["parent_name"], told["engine_pid"]) == (True, "cluster", process.pid)
        assert told["link"]["is_connected"] is False
        assert [each["state"] for each in told["instances"]] == ["RUNNING"]
    assert "does not run" in status() and "link:" not in status()


def test_a_second_engine_does_not_start_beside_the_first(rig: Rig, tmp_path: Path) -> None:
    prepare(tmp_path / "node", 0)
    environment = settings_of(rig, tmp_path / "node")
    with engine(environment, tmp_path / "log") as first:
        eventually(lambda: "event=serving" in (tmp_path / "log").read_text(), message="an engine")
        second = subprocess.run(
            [sys.executable, "-m", "node_engine"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert second.returncode == 1 and f"(pid {first.pid})" in second.stderr
        stop = [sys.executable, "-m", "node_engine", "stop"]
        done = subprocess.run(stop, env=environment, capture_output=True, text=True, timeout=30, check=True)
        assert "has ended" in done.stdout and first.wait(timeout=5) == 0
