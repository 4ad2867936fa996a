"""The whole of Hedgerow on this machine, in a home of its own, brought up and taken down by the operator's command."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_common.model.errors import Unauthenticated
from edge_common.plumbing.http_client import HttpClient
from edge_common.plumbing.tls import TlsFiles
from tests.support import eventually, free_port

UP_TIMEOUT_S = 120.0
ADMIN_PASSWORD = "Admin"  # what oak-cli logs in with


@dataclass(slots=True)
class Stack:
    home: Path
    ports: dict[str, int]
    environment: dict[str, str] = field(default_factory=dict)
    has_tls: bool = False
    _client: HttpClient | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.has_tls else 'http'}://127.0.0.1:{self.ports['api']}"

    def up(self, *options: str) -> None:
        ports = [f"--{name}-port={port}" for name, port in self.ports.items()]
        self.cli("up", *ports, *options, timeout_s=UP_TIMEOUT_S)

    def down(self) -> None:
        self.cli("down", timeout_s=UP_TIMEOUT_S)

    def cli(self, *arguments: str, timeout_s: float = 60.0, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command `hedgerow`; raises with what it said when it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "hedgerow", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode:
            raise AssertionError(f"hedgerow {' '.join(arguments)} -> {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    @property
    def api(self) -> HttpClient:
        if self._client is None:
            tls = TlsFiles(self.home / "data" / "root" / "ca" / "ca.crt") if self.has_tls else None
            self._client = HttpClient(self.url, 30.0, tls=tls)
        return self._client

    def login(self) -> None:
        """Once, as long as it holds: a user has at most a hundred sessions, and the command has one of them, too."""
        if self.api.token is not None:
            with suppress(Unauthenticated):
                self.api.request("GET", "/api/user/Admin")
                return
        body = {"username": "Admin", "password": ADMIN_PASSWORD}
        self.api.token = self.api.request("POST", "/api/auth/login", json=body)["token"]

    def apply(self, document: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What became of each service: microserviceID, outcome ..."""
        applications = self.api.request("PUT", "/api/apply", json=document)["applications"]
        return [service for application in applications for service in application["services"]]

    def services(self, application_id: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.request("GET", f"/api/services/{application_id}")
        return found

    def instances(self) -> list[dict[str, Any]]:
        return [instance for service in self.services() for instance in service["instance_list"]]

    def wait_running(self, count: int, timeout_s: float = 60.0) -> None:
        """Exactly `count` instances, all RUNNING."""

        def is_so() -> bool:
            states = [instance["status"] for instance in self.instances()]
            return len(states) == count and set(states) <= {"RUNNING"}

        eventually(is_so, timeout_s=timeout_s, interval_s=0.1, message=f"{count} RUNNING instances")

    def pids(self) -> dict[str, int]:
        """Of mosquitto, containerd, root, cluster and node, those that run."""
        parts = json.loads(self.cli("status", "-o", "json", check=False).stdout)["parts"]
        return {row["part"]: int(row["pid"]) for row in parts if row["pid"]}

    def ctr(self, *arguments: str) -> list[str]:
        """Lines that containerd's own tool prints about our namespace."""
        socket = self.home / "run" / "containerd.sock"
        command = ["ctr", "-a", str(socket), "-n", "hedgerow", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout.split("\n")[:-1]

    def tasks(self) -> dict[str, int]:
        """Container -> pid of what runs in it."""
        lines = [line.split() for line in self.ctr("tasks", "list")[1:]]
        return {name: int(pid) for name, pid, state in lines if state == "RUNNING"}

    def containers(self) -> list[str]:
        return self.ctr("containers", "list", "-q")


def sla(
    name: str,
    replicas: int = 1,
    command: Sequence[str] = ("/bin/busybox", "sleep", "1000000"),
    image: str = "hedgerow.local/examples/hello:1",
    **fields: Any,
) -> dict[str, Any]:
    service = {
        "microserviceID": "",
        "microservice_name": name,
        "microservice_namespace": "test",
        "virtualization": "container",
        "code": image,
        "cmd": list(command),
        "memory": 16,
        "vcpus": 0.01,
        "replicas": replicas,
        "stop_grace": 1,
        **fields,
    }
    application = {
        "applicationID": "",
        "application_name": name,
        "application_namespace": "test",
        "application_desc": "",
        "microservices": [service],
    }
    return {"sla_version": "v2.0", "customerID": "Admin", "applications": [application]}


@contextmanager
def stack(settings: Mapping[str, str] | None = None, *, has_tls: bool = False) -> Iterator[Stack]:
    """Up, with the hello image imported and somebody logged in; afterwards down, with nothing left."""
    home = Path(tempfile.mkdtemp(prefix="hr"))
    ports = {name: free_port() for name in ("api", "cluster", "mqtt", "cluster-mqtt")}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HEDGEROW_HOME": str(home),
        "HEDGEROW_ADMIN_PASSWORD": ADMIN_PASSWORD,
    }
    chosen = [option for name, value in (settings or {}).items() for option in ("--set", f"{name}={value}")]
    chosen += ["--tls"] if has_tls else []
    running = Stack(home, ports, environment, has_tls)
    try:
        running.up(*chosen)
        archive = home / "hello.tar"
        builder = Path(__file__).parents[2] / "examples" / "hello" / "build.py"
        subprocess.run([sys.executable, str(builder), str(archive)], check=True, timeout=60)
        running.cli("image", "import", str(archive))
        running.login()
        yield running
    finally:
        running.cli("down", timeout_s=UP_TIMEOUT_S, check=False)
        shutil.rmtree(home, ignore_errors=True)
