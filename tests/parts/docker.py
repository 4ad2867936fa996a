"""A Docker engine of a test's own, on a host of its own: what it does to links, filters and mounts ends with it."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.support import eventually

START_S = 30.0
_POOL = "198.19.0.0/16"
"""From the range for tests of networks, which nobody routes."""


@dataclass
class DockerHost:
    """`address` is where this machine reaches it, `gateway` where it reaches this machine."""

    directory: Path
    address: str
    gateway: str
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def environment(self) -> dict[str, str]:
        """For commands that speak to this engine."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "DOCKER_HOST": f"unix://{self.directory / 'docker.sock'}",
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_HTTP_TIMEOUT": "120",
        }

    def start(self) -> None:
        """In namespaces for processes and mounts, so that nothing outlives its first process."""
        for program in ("dockerd", "docker-compose", "unshare", "ip"):
            if shutil.which(program) is None:
                raise FileNotFoundError(
                    f"{program} is not installed: apt-get install docker.io docker-compose iproute2"
                )
        # Not `ip netns exec`: that hides the control groups.
        network = ("nsenter", f"--net=/run/netns/{self.name}")
        inside = (*network, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        engine = (
            "dockerd",
            f"--host=unix://{self.directory / 'docker.sock'}",
            f"--data-root={self.directory / 'data'}",
            f"--exec-root={self.directory / 'run'}",
            f"--pidfile={self.directory / 'docker.pid'}",
            f"--config-file={self.directory / 'daemon.json'}",
            "--storage-driver=overlay2",
            f"--default-address-pool=base={_POOL},size=24",
            f"--cgroup-parent=/{self.name}",
            "--containerd=",
        )
        (self.directory / "daemon.json").write_text("{}")  # not what this machine's own engine is told
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*inside, *engine], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        eventually(self._answers, START_S, message="dockerd")

    def run(
        self, *command: str, timeout_s: float = 120.0, environment: Mapping[str, str] | None = None, check: bool = True
    ) -> str:
        """What it printed; raises with that when it fails."""
        done = subprocess.run(
            command,
            env=self.environment | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} -> {done.returncode}\n{done.stdout[-6000:]}")
        return done.stdout

    def log_tail(self) -> str:
        return "\n".join((self.directory / "log").read_text(errors="replace").splitlines()[-40:])

    def end(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=30)
        for group in self.cgroups():
            eventually(partial(_is_removed, group), message=f"the end of {group}")

    def cgroups(self) -> list[Path]:
        """Innermost first."""
        roots = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]
        tops = [root / self.name for root in roots if root.is_dir() and not root.is_symlink()]
        return [Path(folder) for top in tops for folder, _, _ in os.walk(top, topdown=False)]

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"dockerd ended: {self.log_tail()}")
        return (
            subprocess.run(["docker", "version"], env=self.environment, capture_output=True, check=False).returncode
            == 0
        )


def _is_removed(group: Path) -> bool:
    with suppress(OSError):
        group.rmdir()
    return not group.exists()


@contextmanager
def docker_host() -> Iterator[DockerHost]:
    mark = secrets.token_hex(3)
    octet = secrets.randbelow(250) + 1
    directory = Path(tempfile.gettempdir()) / f"hedgerow-docker-{mark}"
    host = DockerHost(directory, f"198.18.{octet}.2", f"198.18.{octet}.1")
    directory.mkdir(mode=0o755)
    link = f"hd{mark}"
    try:
        _ip("netns", "add", host.name)
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", host.name)
        _ip("address", "add", f"{host.gateway}/30", "dev", link)
        _ip("link", "set", link, "up")
        for command in (("link", "set", "lo", "up"), ("link", "set", "eth0", "up")):
            _ip("-n", host.name, *command)
        _ip("-n", host.name, "address", "add", f"{host.address}/30", "dev", "eth0")
        _ip("-n", host.name, "route", "add", "default", "via", host.gateway)
        host.start()
        yield host
    finally:
        host.end()
        _ip("netns", "delete", host.name, check=False)
        _ip("link", "delete", link, check=False)
        shutil.rmtree(directory, ignore_errors=True)


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=True, timeout=10)
