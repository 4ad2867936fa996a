"""The worker's programs as they are shipped: one file each, joined to a running cluster over TLS."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.parts.binaries import built_binaries, program
from tests.parts.stack import Stack, stack
from tests.support import eventually, free_port

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

MAX_PSS_KB = 50 * 1024
MAX_FILE_BYTES = 40 * 1024 * 1024


@pytest.fixture(scope="module")
def dist() -> Path:
    return built_binaries()


@pytest.fixture(scope="module")
def secured() -> Iterator[Stack]:
    with stack({"HEDGEROW_CLUSTER_WAITING_ROOM": "on"}, has_tls=True) as running:
        yield running


@dataclass
class Worker:
    """A machine of its own, as far as NodeEngine can tell."""

    executable: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.executable, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.command("status", "-o", "json").stdout)
        return found

    def log(self) -> str:
        return (self.home / "log").read_text()

    @contextmanager
    def engine(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        with (self.home / "log").open("wb") as log:
            process = subprocess.Popen([self.executable, *arguments], env=self.environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=10)


@contextmanager
def worker(dist: Path, running: Stack) -> Iterator[Worker]:
    home = Path(tempfile.mkdtemp(prefix="hw"))
    environment = {
        "PATH": os.environ["PATH"],
        "HEDGEROW_HOME": str(home),
        "HEDGEROW_PROGRAMS": str(dist / "programs"),
        "HEDGEROW_NODE_CONTAINERD_ADDRESS": str(running.home / "run" / "containerd.sock"),
        "HEDGEROW_NODE_CONTAINERD_NAMESPACE": home.name,
        "HEDGEROW_NODE_CGROUP_PARENT": f"/{home.name}",
    }
    try:
        yield Worker(program(dist, "NodeEngine"), home, environment)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def pss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def is_ready(running: Stack, name: str) -> bool:
    rows = json.loads(running.cli("node", "ls", "-o", "json").stdout)
    return any(row["node_name"] == name and row["readiness"] == "ready" for row in rows)


def test_a_node_joins_works_and_leaves(dist: Path, secured: Stack) -> None:
    url = f"https://127.0.0.1:{secured.ports['cluster']}"
    token = (secured.home / "data" / "cluster" / "join-token").read_text().strip()
    with worker(dist, secured) as node:
        refused = node.command("join", url, "--token", f"{token[:-4]}0000", check=False)
        assert refused.returncode == 1 and "this is not the parent" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1 and not (node.home / "config" / "node.env").exists()
        joined = node.command("join", url, "--token", token, "--name", "packed", "--label", "room=7").stdout
        assert joined.startswith(f"packed is a node of local at {url}.\n") and "No systemd" in joined
        assert not (node.home / "config" / "secrets").exists()
        with node.engine() as process:
            eventually(lambda: is_ready(secured, "packed"), 30.0, 0.3, message="a ready node")
            told = node.status()
            assert (told["is_joined"], told["engine_pid"], told["link"]["is_connected"]) == (True, process.pid, True)
            assert pss_kb(process.pid) <= MAX_PSS_KB
            assert node.command("image", "ls").stdout == ""
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=10)
        with node.engine() as process:
            eventually(lambda: (node.status()["link"] or {}).get("is_connected"), 30.0, 0.3, message="a link again")
            assert "has ended" in node.command("stop").stdout
            assert process.wait(timeout=10) == 0
        detached = node.command("-d", "-p", "10100", check=False)
        assert detached.returncode == 1 and "no systemd here" in detached.stderr
        unsure = node.command("leave", check=False)
        assert unsure.returncode == 1 and "--yes" in unsure.stderr
        node.command("leave", "--yes")
        assert node.status()["id"] == "" and not (node.home / "config" / "node.env").exists()


def test_oakestras_own_line_works_and_an_operator_admits_the_node(dist: Path, secured: Stack) -> None:
    with worker(dist, secured) as node:
        node.environment["HEDGEROW_NODE_NAME"] = "walked-in"
        line = ("-n", str(free_port()), "-p", str(secured.ports["cluster"]), "-a", "127.0.0.1")
        with node.engine(*line):
            eventually(lambda: "event=join_waiting" in node.log(), 30.0, 0.1, message="a place in the waiting room")
            told = node.status()
            assert told["is_joined"] is False and told["key_fingerprint"] in node.log()
            secured.cli("waiting", "admit", told["id"], "--cluster", "local")
            eventually(lambda: is_ready(secured, "walked-in"), 60.0, 0.3, message="a ready node")


def test_the_files_are_small_and_unpack_once_and_safely(dist: Path, tmp_path: Path) -> None:
    engine, manager = program(dist, "NodeEngine"), program(dist, "NetManager")
    places = tmp_path / "programs"
    environment = {"PATH": os.environ["PATH"], "HEDGEROW_PROGRAMS": str(places)}

    def run(*command: object) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)

    at_once = [subprocess.Popen([engine, "version"], env=environment, stdout=subprocess.PIPE) for _ in range(4)]
    assert {process.communicate(timeout=60)[0].split()[0] for process in at_once} == {b"NodeEngine"}
    assert all(process.returncode == 0 for process in at_once)
    assert len(list(places.iterdir())) == 1
    assert "examples:" in run(engine, "-h").stdout and "usage: NetManager" in run(manager, "-h").stdout
    assert len(list(places.iterdir())) == 2
    assert max(path.stat().st_size for path in (engine, manager)) < MAX_FILE_BYTES

    older = places / "NodeEngine-0123456789abcdef"
    older.mkdir()
    (place,) = [path for path in places.glob("NodeEngine-*") if path != older]
    shutil.rmtree(place)
    assert run(engine, "version").returncode == 0 and not older.exists()

    cut = tmp_path / "cut"
    cut.write_bytes(engine.read_bytes()[:-100_000])
    cut.chmod(0o755)
    shutil.rmtree(place)
    done = run(cut, "version")
    assert done.returncode == 1 and "not whole" in done.stderr and not place.exists()

    assert run(engine, "version").returncode == 0
    places.chmod(0o777)
    assert "can be changed by others" in run(engine, "version").stderr
    places.chmod(0o755)
    os.chown(places, 65534, 65534)
    done = run(engine, "version")
    assert done.returncode == 1 and "belongs to somebody else" in done.stderr
