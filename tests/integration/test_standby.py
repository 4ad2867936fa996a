"""Two roots on one store: one serves, the other stands by and takes over."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_common.model.errors import HedgerowError
from edge_common.plumbing.http_client import HttpClient
from edge_common.wire import routes
from tests.parts.mosquitto import HOST, USERS, Mosquitto, private_mosquitto
from tests.support import eventually, free_port

pytestmark = pytest.mark.real

STORE_LEASE_S = 1.5


@contextmanager
def root(directory: Path, store: Path, port: int, broker: Mosquitto) -> Iterator["subprocess.Popen[str]"]:
    password = store.parent / "password"
    password.write_text(USERS["root"])
    settings = {
        "DATA_DIR": directory,
        "STORE_URL": f"sqlite://{store}",
        "STORE_LEASE_S": STORE_LEASE_S,
        "HTTP_PORT": port,
        "MQTT_PORT": broker.port,
        "MQTT_PASSWORD_FILE": password,
    }
    environment = {f"HEDGEROW_ROOT_{name}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "root_orchestrator"],
        env={"PATH": os.environ["PATH"], **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


def serves(port: int) -> bool:
    try:
        HttpClient(f"http://{HOST}:{port}", 2.0).request("GET", routes.HEALTH)
    except HedgerowError:
        return False
    return True


def first_line_with(process: "subprocess.Popen[str]", text: str) -> str:
    if process.stderr is None:
        raise ValueError("the process has no log")
    return next(line for line in process.stderr if text in line)


def test_a_standby_says_so_and_takes_over(tmp_path: Path) -> None:
    store, ports = tmp_path / "store.db", (free_port(), free_port())
    with private_mosquitto() as broker, root(tmp_path / "a", store, ports[0], broker) as first:
        eventually(lambda: serves(ports[0]))
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        with root(tmp_path / "b", store, ports[1], broker) as second:
            said = first_line_with(second, "event=standby")
            assert f"pid {first.pid} acts on this store" in said
            assert not serves(ports[1])
            first.kill()
            eventually(lambda: serves(ports[1]))


def test_a_standby_that_is_stopped_ends_well(tmp_path: Path) -> None:
    store, ports = tmp_path / "store.db", (free_port(), free_port())
    with private_mosquitto() as broker, root(tmp_path / "a", store, ports[0], broker):
        eventually(lambda: serves(ports[0]))
        with root(tmp_path / "b", store, ports[1], broker) as second:
            first_line_with(second, "event=standby")
            second.terminate()
            assert second.wait(10) == 0
