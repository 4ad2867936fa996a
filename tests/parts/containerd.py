"""A containerd of a test's own: started in a directory of its own, ended with all that runs in it."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge_common.model.errors import Unreachable
from net_manager.adapters import namespaces
from node_engine.adapters.runtimes.containerd.client import VERSION, Client
from node_engine.adapters.runtimes.containerd.proto import containerd_pb2 as pb
from tests.support import eventually

_CONFIG = """
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
]

[grpc]
  address = "{address}"
"""

_RUNC_STATE = Path("/run/containerd/runc")


@dataclass
class Containerd:
    """`cgroup_parent` and `namespace` are meant for the runtime under test, so that tests share nothing.

    `network`: the network namespace that it and its containers are in; None is the test's own.
    """

    directory: Path
    address: Path
    network: Path | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def cgroup_parent(self) -> str:
        return f"/{self.directory.name}"

    @property
    def namespace(self) -> str:
        """Also of its own: runc keeps its state by namespace, in one place for all containerds of a machine."""
        return self.directory.name

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("This containerd does not run.")
        return self._process.pid

    def start(self) -> None:
        binary = shutil.which("containerd")
        if binary is None:
            raise FileNotFoundError("containerd is not installed: apt-get install containerd runc")
        log = (self.directory / "log").open("ab")
        with log:
            self._process = namespaces.within(
                self.network,
                lambda: subprocess.Popen(
                    [binary, "--config", str(self.directory / "config.toml")],
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                ),
            )
        client = Client(str(self.address), "hedgerow")
        try:
            eventually(lambda: _answers(client), message="containerd's answer")
        finally:
            client.close()

    def kill(self) -> None:
        """As a crash would: containers and shims go on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None
            self.address.unlink(missing_ok=True)

    def shims(self) -> list[int]:
        """The shims that belong to this containerd, and nobody else's."""
        return [pid for pid, command in _processes() if "containerd-shim" in command and str(self.address) in command]

    def mounts(self) -> list[str]:
        """What is mounted under its directories, innermost first."""
        points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        return [point for point in reversed(points) if point.startswith(f"{self.directory}/")]

    def cgroups(self) -> list[Path]:
        """Every cgroup under our parent, innermost first."""
        roots = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]
        tops = [root / self.directory.name for root in roots if root.is_dir() and not root.is_symlink()]
        return [Path(folder) for top in tops for folder, _, _ in os.walk(top, topdown=False)]

    def end(self) -> None:
        self.kill()
        shims = self.shims()
        tasks = [pid for shim in shims for pid in _descendants(shim)]
        for pid in (*shims, *tasks):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not any(_is_alive(pid) for pid in (*shims, *tasks)), message="the end of its shims")
        for point in self.mounts():
            subprocess.run(["umount", "-l", point], check=False, timeout=10)
        for group in self.cgroups():
            with suppress(OSError):
                group.rmdir()
        shutil.rmtree(_RUNC_STATE / self.namespace, ignore_errors=True)
        shutil.rmtree(self.directory, ignore_errors=True)


def prepare_containerd(directory: Path, network: Path | None = None) -> Containerd:
    """In a new directory, whose name no other containerd's has; `start` and `end` are the caller's."""
    directory.mkdir(mode=0o700)
    containerd = Containerd(directory, directory / "containerd.sock", network)
    text = _CONFIG.format(directory=directory, address=containerd.address)
    (directory / "config.toml").write_text(text)
    return containerd


@contextmanager
def private_containerd() -> Iterator[Containerd]:
    containerd = prepare_containerd(Path(tempfile.gettempdir()) / f"hedgerow-containerd-{secrets.token_hex(4)}")
    try:
        containerd.start()
        yield containerd
    finally:
        containerd.end()


def _answers(client: Client) -> bool:
    try:
        client.call(VERSION, pb.Nothing(), timeout_s=1.0)
    except Unreachable:
        return False
    return True


def _processes() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")


def _descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _is_alive(pid: int) -> bool:
    """A zombie is dead, whoever should have reaped it."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
