"""Updates with real containers: what is good takes over, what is not is taken back, and a plan tells before."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parts.stack import Stack, sla
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

NAME = "web"
REFUSED, CHANGES = 1, 2
POLICY = {"min_healthy": 1}


def command(version: str) -> tuple[str, ...]:
    return ("/bin/busybox", "sh", "-c", f"echo {version}; exec sleep 1000000")


class Updates:
    def __init__(self, stack: Stack, directory: Path) -> None:
        self.stack, self._file = stack, directory / "web.json"

    def file(self, **fields: Any) -> str:
        self._file.write_text(json.dumps(sla(NAME, **{"replicas": 2, "update": POLICY, **fields})))
        return str(self._file)

    def deploy(self, code: int = 0, **fields: Any) -> str:
        done = self.stack.cli("deploy", self.file(**fields), check=False, timeout_s=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def service(self) -> dict[str, Any]:
        (found,) = self.stack.services()
        return found

    def state(self) -> str:
        return str(self.service["rollout"]["state"])

    def running(self) -> list[tuple[int, int]]:
        return sorted(
            (each["instance_number"], each["spec_revision"])
            for each in self.service["instance_list"]
            if each["status"] == "RUNNING" and each["desired"] == "RUNNING"
        )


@pytest.fixture
def updates(system: Stack, tmp_path: Path) -> Updates:
    found = Updates(system, tmp_path)
    found.deploy(command=command("one"))
    eventually(lambda: found.state() == "done", timeout_s=30, message="the first version is well")
    return found


def test_a_good_version_takes_over_without_a_gap(updates: Updates) -> None:
    before = set(updates.stack.containers())
    updates.stack.cli("deploy", "--no-wait", updates.file(command=command("two")))
    fewest = 2

    def is_done() -> bool:
        nonlocal fewest
        fewest = min(fewest, len({number for number, _ in updates.running()}))
        return updates.state() == "done" and updates.running() == [(0, 2), (1, 2)]

    eventually(is_done, timeout_s=60, interval_s=0.05, message="the second version runs")
    assert fewest == 2
    assert not before & set(updates.stack.containers())


def test_a_version_that_cannot_start_is_taken_back_by_itself(updates: Updates) -> None:
    before = set(updates.stack.containers())
    said = updates.deploy(code=1, command=("/no/such/program",))
    assert "no/such/program" in said
    eventually(lambda: updates.state() == "rolled_back", timeout_s=60, message="it went back")
    assert updates.service["rollout"]["reason"].startswith("Back to revision 1: Instance 0 failed")
    eventually(lambda: set(updates.stack.containers()) == before, timeout_s=30, message="only the old ones")
    assert updates.running() == [(0, 1), (1, 1)]
    history = json.loads(updates.stack.cli("service", "history", "-o", "json", NAME).stdout)
    assert [each["spec_revision"] for each in history] == [3, 2, 1]


def test_a_canary_is_promoted_and_rolled_back_by_hand(updates: Updates) -> None:
    said = updates.deploy(command=command("two"), update={**POLICY, "strategy": "canary"})
    assert "hedgerow service promote" in said
    assert updates.running() == [(0, 2), (1, 1)]
    updates.stack.cli("service", "promote", NAME)
    assert updates.running() == [(0, 2), (1, 2)]
    updates.stack.cli("service", "rollback", NAME, "1")
    eventually(lambda: updates.running() == [(0, 3), (1, 3)] or updates.state() == "waiting", timeout_s=30)
    assert updates.state() == "rolled_back"


def test_a_plan_tells_what_would_change_and_what_would_be_refused(updates: Updates) -> None:
    def plan(**fields: Any) -> tuple[int, str]:
        done = updates.stack.cli("plan", updates.file(**fields), check=False)
        return done.returncode, done.stdout + done.stderr

    assert plan(command=command("one"))[0] == 0
    code, said = plan(command=command("two"), memory=17)
    assert (code, "resources.memory_mb: 16 -> 17" in said) == (CHANGES, True), said
    code, said = plan(command=command("one"), replicas=3, memory=90_000_000)
    assert (code, "would be refused" in said) == (REFUSED, True), said
    assert updates.running() == [(0, 1), (1, 1)]
