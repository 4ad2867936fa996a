"""The parts of a machine that are not ours, real: they come up, come back when killed, and leave nothing."""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from edge_common.model.errors import Conflict
from hedgerow.machine import processes
from hedgerow.machine.layout import Layout, find_layout
from hedgerow.machine.machine import Machine
from hedgerow.machine.oci_archive import ArchiveFile, build_oci_archive
from hedgerow.machine.prepare import prepare
from hedgerow.machine.programs import BROKER, CONTAINERD
from hedgerow.machine.readiness import Check, accepts, checks_of, wait_until_ready
from tests.support import eventually, free_port

pytestmark = pytest.mark.real

IMAGE = "hedgerow.local/tests/sleeper:1"
SLEEPER = f"sleeper-{os.getpid()}"
BUSYBOX = Path("/usr/bin/busybox")


class Parts:
    """A machine of which only the broker and containerd are started."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.machine = Machine(layout)
        self.supervisor = self.machine.supervisor

    def up(self) -> tuple[str, ...]:
        changed = prepare(self.layout, {})
        started = self.supervisor.apply(self.machine.programs()[:2], changed)
        wait_until_ready(self.checks, self.supervisor, lambda _: None, deadline_s=float("inf"))
        return started

    @property
    def checks(self) -> tuple[Check, ...]:
        return checks_of(self.layout)[:2]

    def pid(self, name: str) -> int | None:
        state = self.supervisor.states().get(name)
        return state.pid if state and state.is_running else None

    def ctr(self, *arguments: str) -> str:
        command = ["ctr", "--address", str(self.layout.containerd_socket), "--namespace", "hedgerow", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def parts() -> Iterator[Parts]:
    # Not pytest's own directory: sockets need a short path, and mosquitto's user must be able to enter it.
    with tempfile.TemporaryDirectory(prefix="hg-") as home:
        Path(home).chmod(0o755)
        layout = find_layout({"HEDGEROW_HOME": home}, api=free_port(), mqtt=free_port(), cluster=free_port())
        made = Parts(layout)
        try:
            yield made
        finally:
            with contextlib.suppress(Conflict):
                made.machine.stop(lambda _: None)


def test_they_come_up_once_and_adopt_only_what_changed(parts: Parts) -> None:
    assert parts.up() == (BROKER, CONTAINERD)
    pids = {name: parts.pid(name) for name in (BROKER, CONTAINERD)}
    assert parts.up() == ()
    assert {name: parts.pid(name) for name in pids} == pids
    parts.layout = find_layout({"HEDGEROW_HOME": str(parts.layout.config.parent)}, mqtt=free_port())
    assert parts.up() == (BROKER,)
    assert parts.pid(CONTAINERD) == pids[CONTAINERD]


@pytest.mark.parametrize("name", [BROKER, CONTAINERD])
def test_what_is_killed_is_back_at_once(parts: Parts, name: str) -> None:
    parts.up()
    before = parts.pid(name)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    eventually(lambda: parts.pid(name) not in (None, before), timeout_s=3)
    eventually(lambda: all(check.is_ready() for check in parts.checks), timeout_s=3)


def test_a_container_outlives_containerd_and_ends_with_the_machine(parts: Parts, tmp_path: Path) -> None:
    parts.up()
    container = _sleeper(parts, tmp_path)
    before = parts.pid(CONTAINERD)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    eventually(lambda: parts.pid(CONTAINERD) not in (None, before), timeout_s=3)
    eventually(lambda: accepts(parts.layout.containerd_socket), timeout_s=3)
    assert container.is_running()
    assert parts.ctr("tasks", "ls", "--quiet").split() == [SLEEPER]
    parts.machine.stop(lambda _: None)
    assert _is_gone(container)
    assert processes.ours(parts.layout) == []
    assert str(parts.layout.run.parent) not in Path("/proc/self/mountinfo").read_text()
    assert not Path(f"/run/containerd/runc/hedgerow/{SLEEPER}").exists()


def test_what_a_dead_supervisor_left_is_cleared(parts: Parts, tmp_path: Path) -> None:
    parts.up()
    container = _sleeper(parts, tmp_path)
    supervisord = int((parts.layout.run / "supervisord.pid").read_text())
    os.kill(supervisord, signal.SIGKILL)
    eventually(lambda: not parts.supervisor.states())
    parts.machine.stop(lambda _: None)
    assert _is_gone(container)
    assert processes.ours(parts.layout) == []


def test_two_at_once_are_refused(parts: Parts) -> None:
    parts.up()
    with parts.machine._lock(), pytest.raises(Conflict, match="wait for its end"):
        Machine(parts.layout).stop(lambda _: None)


def test_purging_deletes_what_is_stopped_only(parts: Parts) -> None:
    parts.up()
    with pytest.raises(Conflict, match="hedgerow down"):
        parts.machine.purge()
    parts.machine.stop(lambda _: None)
    parts.machine.purge()
    assert list(parts.layout.config.parent.iterdir()) == []


def test_a_taken_port_stops_nothing_and_starts_nothing(parts: Parts) -> None:
    parts.up()
    ports = parts.layout.ports
    other = {"api": ports.mqtt, "mqtt": free_port(), "cluster": ports.cluster}
    with pytest.raises(Conflict, match=r"is taken by mosquitto"):
        processes.check_ports(other, [])
    processes.check_ports(other, (process.pid for process in processes.ours(parts.layout)))


def _sleeper(parts: Parts, directory: Path) -> psutil.Process:
    archive = directory / "sleeper.tar"
    files = [ArchiveFile("bin/busybox", BUSYBOX.read_bytes(), mode=0o755)]
    build_oci_archive(archive, files, {"Entrypoint": ["/bin/busybox", "sleep", "600"]}, IMAGE)
    parts.ctr("images", "import", str(archive))
    parts.ctr("run", "--detach", "--net-host", "--log-uri", f"file://{directory}/log", IMAGE, SLEEPER)
    pid = next(line.split()[1] for line in parts.ctr("tasks", "ls").splitlines() if line.startswith(SLEEPER))
    return psutil.Process(int(pid))


def _is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
