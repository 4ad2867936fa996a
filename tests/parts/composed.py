"""Tiers in compose files on a Docker engine, and a worker on this machine that joins them by a pasted line."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_common.plumbing.http_client import HttpClient
from edge_common.plumbing.tls import TlsFiles
from tests.parts.containerd import Containerd, private_containerd
from tests.parts.docker import DockerHost
from tests.support import eventually

PROJECT = Path(__file__).parents[2]
ENV_FILE = PROJECT / "run-a-cluster" / "debian-images.env"
HEALTHY_S = 90.0


@dataclass
class Compose:
    """A compose project. `environment` is what its file asks for."""

    host: DockerHost
    name: str
    file: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, timeout_s: float = 240.0) -> str:
        command = ("docker-compose", "-p", self.name, "-f", str(self.file), "--env-file", str(ENV_FILE), *arguments)
        return self.host.run(*command, timeout_s=timeout_s, environment=self.environment)

    def up(self) -> None:
        self("up", "-d")

    def is_healthy(self, *services: str) -> bool:
        states = [self._state(service) for service in services]
        return all(state == "healthy" for state in states)

    def wait_healthy(self, *services: str) -> None:
        eventually(lambda: self.is_healthy(*services), HEALTHY_S, 0.5, message=f"healthy {', '.join(services)}")

    def in_service(self, service: str, *command: str) -> str:
        return self.host.run("docker", "exec", self.container(service), *command)

    def container(self, service: str) -> str:
        return f"{self.name}_{service}_1"

    def details(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.host.run("docker", "inspect", self.container(service)))[0]
        return found

    def _state(self, service: str) -> str:
        return str(self.details(service)["State"].get("Health", {}).get("Status", ""))


@contextmanager
def brought_up(compose: Compose, *services: str) -> Iterator[Compose]:
    """Down again with all its volumes; what its services said is shown when a test fails."""
    try:
        compose.up()
        compose.wait_healthy(*services)
        yield compose
    except BaseException:
        sys.stdout.write(compose("logs", "--no-color", "--tail=60"))
        raise
    finally:
        compose("down", "-v", "-t", "5")


@dataclass
class Root:
    """A root in a container, as an operator elsewhere uses it."""

    compose: Compose
    port: int
    folder: Path
    _client: HttpClient | None = None

    @property
    def api(self) -> HttpClient:
        if self._client is None:
            ca = self.folder / f"{self.compose.name}.ca"
            ca.write_text(self.compose.in_service("root", "cat", "/var/lib/hedgerow/root/ca/ca.crt"))
            url = f"https://{self.compose.host.address}:{self.port}"
            self._client = HttpClient(url, 30.0, tls=TlsFiles(ca))
            password = self.compose.in_service("root", "cat", "/var/lib/hedgerow/root/admin-password").strip()
            body = {"username": "Admin", "password": password}
            self._client.token = self._client.request("POST", "/api/auth/login", json=body)["token"]
        return self._client

    def log_in_anew(self) -> None:
        self._client = None

    def command(self, *arguments: str) -> str:
        """`hedgerow` in the root's container, logged in."""
        script = "hedgerow login --url http://127.0.0.1:10000 < /var/lib/hedgerow/root/admin-password >/dev/null"
        return self.compose.in_service("root", "sh", "-c", f'{script} && exec hedgerow "$@"', "hedgerow", *arguments)

    def join_line(self, *options: str) -> list[str]:
        """What an operator pastes on a worker, with our address in it."""
        printed = self.command("token", "create", *options).splitlines()
        line = next(line for line in printed if line.startswith("NodeEngine join"))
        return line.replace("HOST", self.compose.host.address).split()[1:]

    def instances(self) -> list[dict[str, Any]]:
        services = self.api.request("GET", "/api/services/")
        return [instance for service in services for instance in service["instance_list"]]

    def wait_running(self, count: int) -> None:
        def is_so() -> bool:
            return [instance["status"] for instance in self.instances()] == ["RUNNING"] * count

        eventually(is_so, 60.0, 0.2, message=f"{count} RUNNING instances")

    def ready_clusters(self) -> list[str]:
        clusters = self.api.request("GET", "/api/clusters/")
        return sorted(each["cluster_name"] for each in clusters if each["readiness"] == "ready")


@dataclass
class Worker:
    home: Path
    containerd: Containerd
    environment: dict[str, str]

    def command(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "node_engine", *arguments]
        done = subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, (arguments[:2], done.stdout, done.stderr)
        return done.stdout

    def tasks(self) -> dict[str, int]:
        """Container -> pid of what runs in it."""
        address, namespace = str(self.containerd.address), self.containerd.namespace
        command = ["ctr", "-a", address, "-n", namespace, "tasks", "list"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        rows = [line.split() for line in listed.splitlines()[1:]]
        return {name: int(pid) for name, pid, state in rows if state == "RUNNING"}

    @contextmanager
    def engine(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        with (self.home / "log").open("ab") as log:
            command = [sys.executable, "-m", "node_engine", *arguments]
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=10)


@contextmanager
def worker(join_line: list[str], archive: Path) -> Iterator[Worker]:
    """Joined, with the image of `archive`, its engine running."""
    home = Path(tempfile.mkdtemp(prefix="hw"))
    try:
        with private_containerd() as containerd:
            environment = {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(PROJECT),
                "HEDGEROW_HOME": str(home),
                "HEDGEROW_NODE_CONTAINERD_ADDRESS": str(containerd.address),
                "HEDGEROW_NODE_CONTAINERD_NAMESPACE": containerd.namespace,
                "HEDGEROW_NODE_CGROUP_PARENT": containerd.cgroup_parent,
            }
            one = Worker(home, containerd, environment)
            one.command("image", "import", str(archive))
            with one.engine(*join_line, "--name", "worker", "--foreground"):
                yield one
    finally:
        shutil.rmtree(home, ignore_errors=True)
