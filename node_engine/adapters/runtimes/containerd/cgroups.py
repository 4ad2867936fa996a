"""What the kernel counted for each container, read from its cgroup: v1 and v2, without asking containerd."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class CgroupUsage:
    cpu_s: float
    memory_bytes: int


class Cgroups:
    """The groups under `parent`, one a container. Memory is what cannot simply be dropped: without idle file pages."""

    def __init__(self, parent: str, root: Path = ROOT) -> None:
        self._is_v2 = (root / "cgroup.controllers").exists()
        self._cpu = root / parent.strip("/") if self._is_v2 else root / "cpuacct" / parent.strip("/")
        self._memory = root / parent.strip("/") if self._is_v2 else root / "memory" / parent.strip("/")
        self.has_swap_limit = self._is_v2 or (root / "memory" / "memory.memsw.limit_in_bytes").exists()

    def usage(self) -> Iterator[tuple[str, CgroupUsage]]:
        try:
            names = [entry.name for entry in os.scandir(self._memory) if entry.is_dir()]
        except FileNotFoundError:
            return
        for name in names:
            try:
                yield name, self._usage_of(name)
            except (OSError, ValueError, KeyError):
                continue

    def is_out_of_memory(self, name: str) -> bool:
        """Whether the kernel ever killed one of its processes for want of memory."""
        counters = "memory.events" if self._is_v2 else "memory.oom_control"
        try:
            return _table(self._memory / name / counters).get("oom_kill", 0) > 0
        except (OSError, ValueError):
            return False

    def _usage_of(self, name: str) -> CgroupUsage:
        statistics = _table(self._memory / name / "memory.stat")
        if self._is_v2:
            cpu_s = _table(self._cpu / name / "cpu.stat")["usage_usec"] / 1e6
            held = int((self._memory / name / "memory.current").read_text())
            idle = statistics["inactive_file"]
        else:
            cpu_s = int((self._cpu / name / "cpuacct.usage").read_text()) / 1e9
            held = int((self._memory / name / "memory.usage_in_bytes").read_text())
            idle = statistics["total_inactive_file"]
        return CgroupUsage(cpu_s, max(held - idle, 0))


def _table(path: Path) -> dict[str, int]:
    return {key: int(value) for key, _, value in (line.partition(" ") for line in path.read_text().splitlines())}
