"""Secrets in a whole system: what an instance sees, what a rotation does, and that no disk has them in the clear."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from hedgerow.machine.programs import CONTAINERD, NODE
from tests.e2e.test_autonomy import answered, cut_the_power, layout_of, only
from tests.parts.stack import Stack, sla
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

OLD, NEW = "first-secret-8fd3a1", "second-secret-77b0c2"
SERVICE: dict[str, Any] = {
    "secrets": [{"name": "key", "env": "KEY"}, {"name": "key", "path": "/run/secrets/key"}],
    "configs": [{"name": "site", "path": "/etc/site.conf"}],
}
COMMAND = ("/bin/busybox", "sleep", "1000000")
COUNT = 2
BOOT_S = 20.0


def put(stack: Stack, kind: str, command: str, name: str, value: str) -> str:
    file = stack.home / "value"
    file.write_text(value)
    try:
        return stack.cli(kind, command, name, "--from-file", str(file)).stdout
    finally:
        file.unlink()


def seen(stack: Stack) -> list[tuple[str, str, str]]:
    """The variable, the secret file and the configuration file, as each container has them; [] while one ends."""
    try:
        return sorted(
            (variable(pid), inside(pid, "run/secrets/key"), inside(pid, "etc/site.conf"))
            for pid in answered(stack).values()
        )
    except (FileNotFoundError, ProcessLookupError):
        return []


def variable(pid: int) -> str:
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next((entry.removeprefix(b"KEY=").decode() for entry in entries if entry.startswith(b"KEY=")), "")


def inside(pid: int, path: str) -> str:
    return Path(f"/proc/{pid}/root/{path}").read_text()


def on_disk(stack: Stack, text: str) -> list[str]:
    """Files with the text, in our directories and where containerd's helpers keep theirs; not those in memory."""
    places = [str(stack.home), "/run/containerd/runc/hedgerow"]
    command = ["grep", "-rlaF", "--devices=skip", text, *places]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout.splitlines()
    in_memory = str(layout_of(stack).run / "secrets")
    return [path for path in found if not path.startswith(in_memory)]


@pytest.fixture
def holding(system: Stack) -> Stack:
    """With two instances that have a secret and a configuration object."""
    for kind, name, value in (("secret", "key", OLD), ("config", "site", "a = 1\n")):
        put(system, kind, "create", name, value)
    system.apply(sla("vault", COUNT, COMMAND, **SERVICE))
    system.wait_running(COUNT)
    return system


def test_a_secret_from_its_making_to_its_end(holding: Stack) -> None:
    expected = [(OLD, OLD, "a = 1\n")] * COUNT
    eventually(lambda: seen(holding) == expected, message="the values in the containers")
    assert on_disk(holding, OLD) == []

    assert "replacing the instances of vault.test.vault.test" in put(holding, "secret", "update", "key", NEW)
    expected = [(NEW, NEW, "a = 1\n")] * COUNT
    eventually(lambda: seen(holding) == expected, timeout_s=60, message="the new value in all containers")
    holding.wait_running(COUNT)
    assert on_disk(holding, NEW) == [] and on_disk(holding, OLD) == []

    refused = holding.cli("secret", "rm", "key", "--yes", check=False)
    assert refused.returncode and "is used by vault.test.vault.test" in refused.stderr

    cut_the_power(holding)
    assert on_disk(holding, NEW) == []
    with only(holding, CONTAINERD, NODE):
        eventually(lambda: len(answered(holding)) == COUNT, timeout_s=BOOT_S, message="what it ran before")
        eventually(lambda: seen(holding) == expected, message="the values without any network")
        assert on_disk(holding, NEW) == []
    holding.up()
    holding.login()
    holding.wait_running(COUNT)
    assert seen(holding) == expected

    for application in holding.api.request("GET", "/api/applications"):
        holding.api.request("DELETE", f"/api/application/{application['applicationID']}")
    in_memory = layout_of(holding).run / "secrets"
    eventually(lambda: not list(in_memory.glob("*/*")), timeout_s=30, message="nothing left in memory")
    for kind, name in (("secret", "key"), ("config", "site")):
        holding.cli(kind, "rm", name, "--yes")
    assert on_disk(holding, NEW) == [] and on_disk(holding, OLD) == []
