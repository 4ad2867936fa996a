"""The installer of workers, on a root directory of its own, with stand-ins for the programs and for systemctl."""

import hashlib
import os
import platform
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from node_engine.core.capacity import go_architecture

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "run-a-cluster" / "install-worker.sh"
SHELL_SCRIPTS = (SCRIPT, ROOT / "scripts" / "binaries", ROOT / "scripts" / "packing" / "head.sh")
ARCHITECTURE = go_architecture(platform.machine())
RECORDER = '#!/bin/sh\necho "${0##*/} $*" >>"$RECORD"\n'


class Machine:
    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.dist = directory / "dist"
        self.record = directory / "record"
        (self.root / "run" / "systemd" / "system").mkdir(parents=True)
        self.dist.mkdir()
        self.record.touch()
        for name in ("NodeEngine", "NetManager"):
            (self.dist / f"{name}_{ARCHITECTURE}").write_text(RECORDER)
        for package, unit in (("node_engine", "hedgerow-node"), ("net_manager", "hedgerow-net")):
            (self.dist / f"{unit}.service").write_bytes((ROOT / package / f"{unit}.service").read_bytes())
        self.sums()
        tools = directory / "tools"
        tools.mkdir()
        for name in ("systemctl", "containerd", "runc"):
            (tools / name).write_text(RECORDER)
            (tools / name).chmod(0o755)
        self.environment = {"PATH": f"{tools}:{os.environ['PATH']}", "RECORD": str(self.record)}

    def sums(self) -> None:
        lines = [
            f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
            for file in sorted(self.dist.iterdir())
            if file.name != "SHA256SUMS"
        ]
        (self.dist / "SHA256SUMS").write_text("".join(lines))

    def install(self, *arguments: str, source: str = "") -> subprocess.CompletedProcess[str]:
        command = ["sh", str(SCRIPT), "--root", str(self.root), "--from", source or str(self.dist), *arguments]
        return subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())

    def ran(self) -> list[str]:
        return self.record.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


INSTALLED = [
    "etc/hedgerow/node.env",
    "etc/systemd/system/hedgerow-net.service",
    "etc/systemd/system/hedgerow-node.service",
    "usr/local/bin/NetManager",
    "usr/local/bin/NodeEngine",
]


def test_it_installs_and_joins_with_the_pasted_line(machine: Machine) -> None:
    done = machine.install("join", "https://192.0.2.7:10100", "--token", "a b", "--label", "x=y")
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.files() == INSTALLED
    assert (machine.root / "usr/local/bin/NodeEngine").stat().st_mode & 0o777 == 0o755
    assert "unix:///run/hedgerow/net.sock" in (machine.root / "etc/hedgerow/node.env").read_text()
    assert machine.ran()[-1] == "NodeEngine join https://192.0.2.7:10100 --token a b --label x=y"
    assert "systemctl restart hedgerow-net.service" in machine.ran()
    assert machine.install().returncode == 0
    assert machine.files() == INSTALLED


def test_without_the_overlay_network_there_is_no_network_manager(machine: Machine) -> None:
    assert machine.install("--no-network").returncode == 0
    assert machine.files() == ["etc/systemd/system/hedgerow-node.service", "usr/local/bin/NodeEngine"]


def test_uninstall_removes_all_of_it(machine: Machine) -> None:
    machine.install("join", "https://192.0.2.7:10100")
    (machine.root / "var/lib/hedgerow/node").mkdir(parents=True)
    done = machine.install("--uninstall")
    assert (done.returncode, done.stderr, machine.files()) == (0, "", [])
    assert "NodeEngine leave --yes" in machine.ran()
    assert not (machine.root / "var/lib/hedgerow").exists()


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (f"NodeEngine_{ARCHITECTURE}", "another checksum"),
        ("hedgerow-net.service", "another checksum"),
        ("SHA256SUMS", "says nothing of"),
    ],
)
def test_what_was_changed_on_the_way_is_not_installed(machine: Machine, broken: str, words: str) -> None:
    (machine.dist / broken).write_text("#!/bin/sh\nevil\n")
    done = machine.install("join", "https://192.0.2.7:10100")
    assert done.returncode == 1 and words in done.stderr and len(done.stderr.splitlines()) == 1
    assert machine.files() == [] and not any(line.startswith("NodeEngine") for line in machine.ran())


def test_the_checksums_themselves_can_be_pinned(machine: Machine) -> None:
    digest = hashlib.sha256((machine.dist / "SHA256SUMS").read_bytes()).hexdigest()
    assert machine.install("--sums", "0" * 64).returncode == 1 and machine.files() == []
    assert machine.install("--sums", digest).returncode == 0


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(machine: Machine) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(machine.dist))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_downloads(machine: Machine, served: str) -> None:
    assert machine.install(source=served).returncode == 0
    assert machine.files() == INSTALLED
    (machine.dist / f"NetManager_{ARCHITECTURE}").unlink()
    assert "could not be downloaded" in machine.install(source=served).stderr


@pytest.mark.parametrize(
    ("arguments", "source", "words"),
    [
        ((), "http://192.0.2.1/dist", "not encrypted"),
        ((), "/no/such/place", "There is no SHA256SUMS"),
        (("--dance",), "", "no option '--dance'"),
        (("--sums",), "", "needs a value"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    machine: Machine, arguments: tuple[str, ...], source: str, words: str
) -> None:
    done = machine.install(*arguments, source=source)
    assert done.returncode == 1 and words in done.stderr and len(done.stderr.splitlines()) == 1
    assert machine.files() == []


def test_a_machine_of_hedgerow_up_is_left_alone(machine: Machine) -> None:
    (machine.root / "etc/hedgerow").mkdir(parents=True)
    (machine.root / "etc/hedgerow/ports.json").write_text("{}")
    assert "hedgerow up" in machine.install("join", "https://192.0.2.7:10100").stderr
    assert "hedgerow up" in machine.install("--uninstall").stderr


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_are_plain_sh(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True, timeout=30)
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
