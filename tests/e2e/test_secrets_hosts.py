"""A secret between hosts: with the worker that runs an instance, with no other, and moved while the root is away."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.many_hosts import IMAGE, ManyHosts, many_hosts
from tests.parts.stack import sla
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

VALUE = "between-hosts-5d02e9"
MOVE_S = 60.0
SERVICE: dict[str, Any] = {"secrets": [{"name": "key", "env": "KEY"}, {"name": "key", "path": "/key"}]}


@pytest.fixture
def secrets_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for mounted in tmp_path.iterdir():
        subprocess.run(["umount", "--lazy", str(mounted)], check=False, timeout=20, capture_output=True)


@pytest.fixture
def hosts(secrets_dir: Path) -> Iterator[ManyHosts]:
    settings = {"HEDGEROW_NODE_SECRETS_DIR": str(secrets_dir)}
    with many_hosts({"cluster1": ("worker1", "worker2")}, settings) as found:
        yield found


def seen(hosts: ManyHosts) -> list[tuple[str, str, str]]:
    """Worker, variable and file of each instance that runs; [] while one ends."""
    try:
        return [
            (each.slot.worker, _variable(each.pid), Path(f"/proc/{each.pid}/root/key").read_text())
            for each in hosts.running()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


def holders(hosts: ManyHosts, text: str) -> set[str]:
    """The hosts that have the text in any of their files, or in what their programs wrote."""
    found = set()
    for host in hosts.hosts:
        command = ["grep", "-rlaF", "--devices=skip", text, str(host.directory)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        found |= {host.name} if done.stdout else set()
    return found


def test_a_secret_goes_where_its_instance_goes(hosts: ManyHosts) -> None:
    body = {"name": "key", "value_base64": base64.b64encode(VALUE.encode()).decode()}
    value_id = hosts.request("POST", "/api/secrets", body)["id"]
    hosts.apply(sla("guarded", image=IMAGE, **SERVICE))
    hosts.wait_converged(1, MOVE_S)
    eventually(lambda: len(seen(hosts)) == 1, message="the instance")
    ((worker, *values),) = seen(hosts)
    other = ({"worker1", "worker2"} - {worker}).pop()
    assert values == [VALUE, VALUE]
    assert holders(hosts, VALUE) == set()
    assert holders(hosts, value_id) == {"root", "cluster1", worker}

    hosts.cut("root", "cluster1")
    hosts.cut("cluster1", worker)
    eventually(lambda: (other, VALUE, VALUE) in seen(hosts), MOVE_S, message="its successor on the other worker")
    assert holders(hosts, VALUE) == set()
    hosts.switch.heal_all()
    hosts.wait_converged(1, MOVE_S)
    assert seen(hosts) == [(other, VALUE, VALUE)]


def _variable(pid: int) -> str:
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next((entry.removeprefix(b"KEY=").decode() for entry in entries if entry.startswith(b"KEY=")), "")
