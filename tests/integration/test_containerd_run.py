"""Containers as the engine runs them: limits, rights, user, environment, ending, exec."""

import os
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from edge_common.model.errors import Unreachable
from edge_common.model.lifecycle import Reason
from edge_common.model.resources import Resources
from edge_common.model.service import Device, Ulimit
from node_engine.core.task import Task, TaskKey, TaskState
from node_engine.ports import TaskFailure
from tests.integration.containerd_rig import Rig, import_busybox, make_rig
from tests.parts.containerd import private_containerd
from tests.support import eventually

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    directory = tmp_path_factory.mktemp("rig")
    with private_containerd() as containerd, make_rig(containerd, directory) as made:
        import_busybox(made.runtime, directory)
        yield made


def status_of(rig: Rig, **spec: object) -> dict[str, str]:
    lines = rig.output_of("cat /proc/self/status", **spec).splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def cgroup_value(rig: Rig, key: TaskKey, controller: str, v1: str, v2: str) -> str:
    group = f"{rig.containerd.cgroup_parent.strip('/')}/hedgerow-{key}"
    root = Path("/sys/fs/cgroup")
    path = root / group / v2 if (root / "cgroup.controllers").exists() else root / controller / group / v1
    return path.read_text().strip()


class TestLife:
    def test_it_is_made_started_seen_and_stopped_without_a_trace(self, rig: Rig) -> None:
        plan = rig.plan("sleep", "1000")
        rig.runtime.create(plan, lambda _: None)
        created = rig.find(plan)
        assert created is not None and created.state is TaskState.CREATED
        rig.runtime.start(plan.key)
        running = rig.find(plan)
        assert running is not None and running.state is TaskState.RUNNING and running.pid > 0
        rig.runtime.stop(plan.key, 0)
        assert rig.find(plan) is None
        assert rig.containerd.mounts() == []
        assert not any(str(plan.key) in str(group) for group in rig.containerd.cgroups())
        eventually(lambda: rig.containerd.shims() == [])

    def test_an_exit_code_is_kept_until_it_is_removed(self, rig: Rig) -> None:
        plan = rig.run("sh", "-c", "exit 7")
        assert rig.ended(plan).exit_code == 7
        assert rig.ended(plan).exit_code == 7
        rig.runtime.remove(plan.key)
        assert rig.find(plan) is None

    def test_every_step_may_be_repeated(self, rig: Rig) -> None:
        plan = rig.plan("sleep", "1000")
        for _ in range(2):
            rig.runtime.create(plan, lambda _: None)
        for _ in range(2):
            rig.runtime.start(plan.key)
        rig.runtime.create(plan, lambda _: None)
        running = rig.find(plan)
        assert running is not None and running.state is TaskState.RUNNING
        for _ in range(2):
            rig.runtime.stop(plan.key, 0)
        rig.runtime.remove(plan.key)

    def test_starting_one_that_has_ended_is_no_error(self, rig: Rig) -> None:
        plan = rig.run("true")
        rig.ended(plan)
        rig.runtime.start(plan.key)
        assert rig.ended(plan).exit_code == 0
        rig.runtime.remove(plan.key)

    def test_one_that_was_made_but_never_started_is_stopped_at_once(self, rig: Rig) -> None:
        plan = rig.plan("sleep", "1000")
        rig.runtime.create(plan, lambda _: None)
        began_s = time.monotonic()
        rig.runtime.stop(plan.key, 30)
        assert time.monotonic() - began_s < 5
        assert rig.find(plan) is None

    def test_term_is_enough_for_one_that_listens(self, rig: Rig) -> None:
        plan = rig.run("sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done")
        eventually(lambda: b"up" in rig.logs.read(plan.key.instance_id).data)
        began_s = time.monotonic()
        rig.runtime.stop(plan.key, 20)
        assert time.monotonic() - began_s < 5
        assert b"bye" in rig.logs.read(plan.key.instance_id).data

    def test_kill_comes_after_the_grace_for_one_that_does_not(self, rig: Rig) -> None:
        plan = rig.run("sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
        began_s = time.monotonic()
        rig.runtime.stop(plan.key, 0.5)
        assert 0.5 <= time.monotonic() - began_s < 5
        assert rig.find(plan) is None

    def test_exits_are_told_as_they_happen(self, rig: Rig, tmp_path: Path) -> None:
        heard: list[Task | None] = []
        listening = threading.Event()

        def on_change(task: Task | None) -> None:
            heard.append(task)
            listening.set()

        with make_rig(rig.containerd, tmp_path) as other:
            other.runtime.watch(on_change)
            assert listening.wait(10)
            assert heard == [None]
            plan = rig.run("sh", "-c", "exit 5")
            eventually(lambda: len(heard) == 2)
            assert heard[1] == Task(plan.key, TaskState.EXITED, exit_code=5)
            rig.runtime.remove(plan.key)


class TestLimits:
    def test_processor_memory_and_processes(self, rig: Rig) -> None:
        plan = rig.run("sleep", "1000", resources=Resources(250, 32), pids_limit=17)
        quota = cgroup_value(rig, plan.key, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0]
        memory = cgroup_value(rig, plan.key, "memory", "memory.limit_in_bytes", "memory.max")
        pids = cgroup_value(rig, plan.key, "pids", "pids.max", "pids.max")
        assert (quota, memory, pids) == ("25000", str(32 * 1024**2), "17")
        used = next(usage for usage in rig.runtime.usage() if usage.key == plan.key)
        assert 0 < used.memory_bytes < 32 * 1024**2
        assert 0 <= used.cpu_s < 5
        rig.runtime.stop(plan.key, 0)

    def test_a_default_keeps_fork_bombs_small(self, rig: Rig) -> None:
        plan = rig.run("sleep", "1000")
        assert cgroup_value(rig, plan.key, "pids", "pids.max", "pids.max") == "4096"
        rig.runtime.stop(plan.key, 0)

    def test_running_out_of_memory_is_seen(self, rig: Rig) -> None:
        plan = rig.run("sh", "-c", "exec tail /dev/zero", resources=Resources(0, 16))
        task = rig.ended(plan)
        assert task.is_out_of_memory and task.exit_code == 137
        rig.runtime.remove(plan.key)

    def test_ulimits(self, rig: Rig) -> None:
        limits = (Ulimit("nofile", 77, 99), Ulimit("core", 0, 0))
        assert rig.output_of("ulimit -Sn; ulimit -Hn; ulimit -c", ulimits=limits).split() == ["77", "99", "0"]


class TestRights:
    def test_an_ordinary_one_is_confined(self, rig: Rig) -> None:
        status = status_of(rig)
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        assert int(status["CapEff"], 16) & ~0xA80425FB == 0
        assert int(status["CapEff"], 16) & 1

    def test_what_acts_on_the_machine_is_refused(self, rig: Rig) -> None:
        output = rig.output_of(
            "mount -t tmpfs x /tmp || echo no-mount; unshare -m true || echo no-unshare;"
            "echo 1 > /proc/sys/vm/drop_caches || echo no-sysctl; mkdir /sys/fs/x || echo no-sys"
        )
        for refusal in ("no-mount", "no-unshare", "no-sysctl", "no-sys"):
            assert refusal in output

    def test_a_privileged_one_may_all_that_root_may(self, rig: Rig) -> None:
        own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd"))
        status = status_of(rig, is_privileged=True)
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("0", "0")
        assert status["CapEff"] == own.split()[1]
        output = rig.output_of("mkdir /m && mount -t tmpfs x /m && echo mounted; ls /dev", is_privileged=True)
        assert ("mounted" in output and "loop-control" in output) or "kmsg" in output

    @pytest.mark.parametrize(
        ("user", "expected"),
        [
            ("", "uid=0(root) gid=0(root)"),
            ("alice", "uid=1000(alice) gid=1000(alice) groups=50(staff)"),
            ("1000", "uid=1000(alice) gid=1000(alice) groups=50(staff)"),
            ("alice:staff", "uid=1000(alice) gid=50(staff)"),
            ("12345:678", "uid=12345 gid=678"),
        ],
    )
    def test_users(self, rig: Rig, user: str, expected: str) -> None:
        assert rig.output_of("id", user=user).strip().startswith(expected)

    def test_an_unknown_user_is_refused_for_good(self, rig: Rig) -> None:
        plan = rig.plan("id", user="mallory")
        with pytest.raises(TaskFailure, match="mallory") as caught:
            rig.runtime.create(plan, lambda _: None)
        assert caught.value.is_permanent and caught.value.reason is Reason.START_FAILED

    def test_a_read_only_root(self, rig: Rig) -> None:
        script = "touch /x || echo read-only; touch /dev/shm/y && echo shm"
        assert {"read-only", "shm"} <= set(rig.output_of(script, is_root_read_only=True).splitlines())

    def test_a_device_of_the_node(self, rig: Rig, tmp_path: Path) -> None:
        node = tmp_path / "meter0"
        os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        devices = (Device(str(node), "/dev/meter", "rw"),)
        script = "head -c 4 /dev/meter | od -An -tx1; mknod /tmp/full c 10 1; cat /tmp/full || echo other-refused"
        output = rig.output_of(script, devices=devices)
        assert "00 00 00 00" in output and "other-refused" in output

    def test_a_missing_device_is_refused_for_good(self, rig: Rig) -> None:
        plan = rig.plan("true", devices=(Device("/dev/no-such-thing", "/dev/x"),))
        with pytest.raises(TaskFailure, match="no-such-thing") as caught:
            rig.runtime.create(plan, lambda _: None)
        assert caught.value.is_permanent


class TestProcess:
    def test_environment_of_image_engine_and_service(self, rig: Rig) -> None:
        entries = rig.output_of("env", environment=("SIZE=large", "EMPTY="), number=4).splitlines()
        assert {"COLOUR=green", "SIZE=large", "EMPTY=", "HOSTNAME=web-4", "HEDGEROW_INSTANCE_NUMBER=4"} <= set(entries)
        assert "HEDGEROW_SERVICE=shop.default.web.default" in entries

    def test_working_directory(self, rig: Rig) -> None:
        assert rig.output_of("pwd", working_directory="/tmp").strip() == "/tmp"

    def test_host_network_sees_the_hosts_names(self, rig: Rig) -> None:
        own = sorted(entry.name for entry in Path("/sys/class/net").iterdir())
        assert sorted(rig.output_of("ls /sys/class/net").split()) == own
        assert rig.output_of("cat /etc/hosts") == Path("/etc/hosts").read_text()
        assert "read-only" in rig.output_of("echo x >> /etc/hosts || echo read-only")

    def test_a_network_of_its_own(self, rig: Rig) -> None:
        name = f"hedgerow-{uuid4().hex[:8]}"
        subprocess.run(["ip", "netns", "add", name], check=True, timeout=10)
        try:
            plan = rig.run("ls", "/sys/class/net", network_namespace=f"/run/netns/{name}")
            assert rig.output(plan) == "lo\n"
        finally:
            subprocess.run(["ip", "netns", "delete", name], check=True, timeout=10)

    def test_a_command_that_the_image_lacks(self, rig: Rig) -> None:
        plan = rig.plan("/no/such/program")
        with pytest.raises(TaskFailure, match="no/such/program") as caught:
            rig.runtime.create(plan, lambda _: None)
            rig.runtime.start(plan.key)
        assert caught.value.is_permanent and caught.value.reason is Reason.START_FAILED
        rig.runtime.remove(plan.key)
        assert rig.find(plan) is None

    def test_exec(self, rig: Rig) -> None:
        plan = rig.run("sleep", "1000", user="alice")
        result = rig.runtime.exec(plan.key, ["sh", "-c", "id -un; echo oops >&2; exit 3"], 10)
        assert result.exit_code == 3
        assert sorted(result.output.split()) == [b"alice", b"oops"]
        large = rig.runtime.exec(plan.key, ["sh", "-c", "head -c 3000000 /dev/zero"], 20)
        assert (large.exit_code, len(large.output)) == (0, 1024 * 1024)
        slow = rig.runtime.exec(plan.key, ["sh", "-c", "echo first; sleep 1000"], 0.5)
        assert (slow.exit_code, slow.output) == (124, b"first\n")
        with pytest.raises(TaskFailure):
            rig.runtime.exec(plan.key, ["/no/such"], 5)
        rig.runtime.stop(plan.key, 0)
        with pytest.raises(TaskFailure):
            rig.runtime.exec(plan.key, ["true"], 5)


def test_nobody_at_the_address(tmp_path: Path, rig: Rig) -> None:
    absent = replace(rig.containerd, directory=tmp_path, address=tmp_path / "none.sock")
    with make_rig(absent, tmp_path) as alone, pytest.raises(Unreachable, match=r"none\.sock"):
        alone.runtime.observe()
