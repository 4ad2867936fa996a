"""A hundred instances with one command: all run, within their limits, and nothing is left when they are gone."""

import json
from pathlib import Path

import pytest

from tests.parts.stack import Stack, sla
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

COUNT = 100
CPU_CORES = 0.01
MEMORY_MB = 16
PIDS = 32
CGROUPS = Path("/sys/fs/cgroup")


def test_a_hundred_instances_come_and_go(system: Stack, tmp_path: Path) -> None:
    snapshots = system.ctr("snapshots", "list")
    file = tmp_path / "hundred.json"
    file.write_text(json.dumps(sla("hundred", COUNT, vcpus=CPU_CORES, memory=MEMORY_MB, pids=PIDS)))
    said = system.cli("deploy", str(file), timeout_s=150).stdout
    assert f"hundred.hundred: {COUNT} of {COUNT} ready" in said

    instances = system.instances()
    assert [instance["status"] for instance in instances] == ["RUNNING"] * COUNT
    assert {instance["attempt"] for instance in instances} == {1}
    tasks = system.tasks()
    assert set(tasks) == {f"hedgerow-{instance['instance_id']}-1" for instance in instances}
    assert len(set(tasks.values())) == COUNT
    for container, pid in tasks.items():
        assert limits(container) == (CPU_CORES * 100_000, MEMORY_MB << 20, PIDS)
        assert Path(f"/proc/{pid}/comm").read_text() == "busybox\n"

    system.cli("service", "undeploy", "hundred")
    eventually(lambda: not system.instances() and not system.containers(), timeout_s=90, message="all are gone")
    assert system.tasks() == {}
    eventually(lambda: system.ctr("snapshots", "list") == snapshots, message="only snapshots of images are left")
    assert [group for container in tasks for group in groups(container)] == []
    eventually(lambda: not list((system.home / "logs" / "instances").iterdir()), message="no output is left")


def limits(container: str) -> tuple[float, int, int]:
    """Processor time (microseconds in 100 ms), memory (bytes) and pids, as the kernel has them; cgroup v1 or v2."""
    unified = CGROUPS / "hedgerow" / container
    if (unified / "memory.max").exists():
        quota, period = (unified / "cpu.max").read_text().split()
        values = (unified / "memory.max").read_text(), (unified / "pids.max").read_text()
    else:
        directory = {name: CGROUPS / name / "hedgerow" / container for name in ("cpu", "memory", "pids")}
        quota = (directory["cpu"] / "cpu.cfs_quota_us").read_text()
        period = (directory["cpu"] / "cpu.cfs_period_us").read_text()
        values = (
            (directory["memory"] / "memory.limit_in_bytes").read_text(),
            (directory["pids"] / "pids.max").read_text(),
        )
    return int(quota) * 100_000 / int(period), int(values[0]), int(values[1])


def groups(container: str) -> list[Path]:
    return [*CGROUPS.glob(f"hedgerow/{container}"), *CGROUPS.glob(f"*/hedgerow/{container}")]
