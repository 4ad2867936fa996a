"""The commands of the README, given as a user gives them: up, deploy, status, down, and up again."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from hedgerow.machine.layout import find_layout
from hedgerow.machine.processes import ours
from tests.support import eventually, free_port

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

HELLO = Path("examples/hello")
PARTS = ("mosquitto", "containerd", "root", "cluster", "node")


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of its own below one directory."""

    environ: dict[str, str]

    def hedgerow(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "hedgerow", *arguments]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + (done.stderr if code else "")

    def json(self, *arguments: str) -> Any:
        return json.loads(self.hedgerow(*arguments, "--output", "json"))

    def status(self) -> Any:
        """Also of a machine on which something is wrong, which `status` says with its exit code."""
        command = [sys.executable, "-m", "hedgerow", "status", "--output", "json"]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60, check=False)
        return json.loads(done.stdout)

    def pids(self) -> dict[str, int | None]:
        return {part["part"]: part["pid"] for part in self.status()["parts"]}


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="hg-") as home:
        Path(home).chmod(0o755)
        environ = {"PATH": os.environ["PATH"], "HEDGEROW_HOME": home, "HOME": home}
        made = Host(environ)
        ports = [f"--{name}-port={free_port()}" for name in ("api", "cluster", "mqtt")]
        try:
            made.hedgerow("up", *ports, "--set", "HEDGEROW_NODE_ADDRESS=127.0.0.1")
            yield made
        finally:
            made.hedgerow("down")


@pytest.fixture(scope="module")
def web(host: Host, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """An SLA that runs the hello image on a free port, and that port. The image is imported."""
    directory = tmp_path_factory.mktemp("web")
    subprocess.run([sys.executable, HELLO / "build.py", directory / "hello.tar"], check=True, timeout=30)
    host.hedgerow("image", "import", str(directory / "hello.tar"))
    port = free_port()
    sla = json.loads((HELLO / "hello.json").read_text())
    service = sla["applications"][0]["microservices"][0]
    service |= {"cmd": ["/bin/busybox", "httpd", "-f", "-p", str(port), "-h", "/www"], "port": f"{port}:{port}"}
    file = directory / "web.json"
    file.write_text(json.dumps(sla))
    return file, port


def test_a_second_up_changes_nothing(host: Host) -> None:
    before = host.pids()
    assert "everything ran already" in host.hedgerow("up")
    assert host.pids() == before


def test_a_changed_setting_restarts_its_service_only(host: Host) -> None:
    before = host.pids()
    host.hedgerow("up", "--set", "HEDGEROW_CLUSTER_LOCATION=48.1,11.6")
    after = host.pids()
    assert {part for part in PARTS if before[part] != after[part]} == {"cluster"}
    eventually(lambda: host.json("cluster", "show", "local")["cluster_location"] == "48.1,11.6")


def test_deploy_serves_a_page_and_is_declarative(host: Host, web: tuple[Path, int]) -> None:
    file, port = web
    assert "created: hello.demo.web.demo" in host.hedgerow("deploy", str(file))
    assert "Hello from the hedgerow" in _page(port)
    assert "unchanged: hello.demo.web.demo" in host.hedgerow("deploy", str(file))
    host.hedgerow("status")


@pytest.mark.parametrize("part", PARTS)
def test_what_is_killed_comes_back_and_the_container_stays(host: Host, web: tuple[Path, int], part: str) -> None:
    file, port = web
    host.hedgerow("deploy", str(file))
    before, container = host.pids()[part], _listener(port)
    assert before is not None
    psutil.Process(before).kill()
    eventually(lambda: host.pids()[part] not in (None, before), timeout_s=10)
    eventually(lambda: host.status()["ok"], timeout_s=30)
    assert _listener(port) == container
    assert "Hello" in _page(port)


def test_a_killed_supervisor_costs_no_container(host: Host, web: tuple[Path, int]) -> None:
    file, port = web
    host.hedgerow("deploy", str(file))
    container = _listener(port)
    psutil.Process(int((find_layout(host.environ).run / "supervisord.pid").read_text())).kill()
    eventually(lambda: not any(host.pids().values()))
    host.hedgerow("up")
    host.hedgerow("status")
    assert _listener(port) == container


def test_a_truncated_archive_is_one_sentence(host: Host, tmp_path: Path) -> None:
    archive = tmp_path / "broken.tar"
    archive.write_bytes(b"no archive" * 100)
    said = host.hedgerow("image", "import", str(archive), code=1)
    assert said.count("\n") == 1
    assert "Traceback" not in said


def test_down_leaves_nothing_and_up_brings_all_back(host: Host, web: tuple[Path, int]) -> None:
    file, port = web
    host.hedgerow("deploy", str(file))
    layout = find_layout(host.environ)
    host.hedgerow("down")
    assert ours(layout) == []
    assert _listener(port) is None
    assert host.environ["HEDGEROW_HOME"] not in Path("/proc/self/mountinfo").read_text()
    host.hedgerow("status", code=1)
    host.hedgerow("up")
    host.hedgerow("deploy", str(file))
    assert "Hello" in _page(port)


def test_what_cannot_run_says_why(host: Host, web: tuple[Path, int], tmp_path: Path) -> None:
    sla = json.loads(web[0].read_text())
    sla["applications"][0]["application_name"] = "greedy"
    sla["applications"][0]["microservices"][0] |= {"memory": 4_000_000, "port": ""}
    file = tmp_path / "greedy.json"
    file.write_text(json.dumps(sla))
    said = host.hedgerow("deploy", "--timeout", "3", str(file), code=1)
    assert "memory" in said
    host.hedgerow("app", "rm", "greedy", "--yes")


def _page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        return str(answer.read().decode())


def _listener(port: int) -> int | None:
    listening = (c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr)
    found = (c.pid for c in listening if c.laddr and c.laddr.port == port)
    return next(found, None)
