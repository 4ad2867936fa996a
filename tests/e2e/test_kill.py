"""kill -9 of every part, one at a time and two at a time, while somebody deploys and undeploys."""

import itertools
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import psutil
import pytest

from edge_common.model.errors import HedgerowError
from edge_common.plumbing.http_client import HttpClient
from tests.e2e.conftest import remove_all
from tests.e2e.store import Running
from tests.parts.stack import Stack, sla
from tests.support import eventually

PARTS = ("root", "cluster", "node", "mosquitto", "containerd")
STORE = "store"
STEADY = 3
CHANGING = 3
CHANGES = 4
"""Acknowledged before the kill, and again after it."""
SETTLE_S = 60.0

pytestmark = [pytest.mark.real, pytest.mark.timeout(200)]

_ALL = [*((part,) for part in PARTS), *itertools.combinations(PARTS, 2)]
_BROKER, _OTHER = [c for c in _ALL if "mosquitto" in c], [c for c in _ALL if "mosquitto" not in c]
CASES = [case for index, one in enumerate(_BROKER) for case in (one, *_OTHER[2 * index : 2 * index + 2])]
"""Spread, as a broker that dies again within seconds is met with longer and longer pauses."""
STORE_CASES = [(STORE,), *((STORE, part) for part in PARTS)]


class Stream:
    """Somebody who scales services up and down, and remembers what was acknowledged."""

    def __init__(self, stack: Stack, service_ids: Sequence[str], random: Random) -> None:
        self._client = HttpClient(stack.url, 15.0, stack.api.token)
        self._service_ids = service_ids
        self._random = random
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.acknowledged: dict[str, int] = {}
        self.count = 0

    @contextmanager
    def flowing(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join(30)
            assert not self._thread.is_alive()
            self._client.close()

    def wait_for_more(self) -> None:
        enough = self.count + CHANGES
        eventually(lambda: self.count >= enough, timeout_s=60, message=f"{CHANGES} more acknowledgements")

    def _run(self) -> None:
        """An answer that was lost may have taken effect, so a wish is repeated until it is acknowledged."""
        while not self._stop.is_set() or len(self.acknowledged) < len(self._service_ids):
            service_id = self._random.choice(self._service_ids)
            replicas = self._random.randrange(4)
            eventually(lambda: self._is_acknowledged(service_id, replicas), timeout_s=60, interval_s=0.1)  # noqa: B023
            self.acknowledged[service_id] = replicas
            self.count += 1
            self._stop.wait(0.05)

    def _is_acknowledged(self, service_id: str, replicas: int) -> bool:
        try:
            self._client.request("PUT", f"/api/service/{service_id}/replicas", json={"replicas": replicas})
        except HedgerowError:
            return False
        return True


@pytest.fixture(scope="module")
def target(running: Running) -> Iterator["Target"]:
    running.stack.login()
    remove_all(running.stack)
    found = Target(running)
    yield found
    running.stack.login()
    remove_all(running.stack)


class Target:
    """A system with services that nobody touches, and others that somebody scales all the time."""

    def __init__(self, running: Running) -> None:
        self.stack, self.server = running.stack, running.server
        (self.steady_id,) = self._deployed("steady", STEADY)
        self.changing_ids = [self._deployed(f"changing{number}", 1)[0] for number in range(CHANGING)]
        self.stack.wait_running(STEADY + CHANGING)

    def _deployed(self, name: str, replicas: int) -> list[str]:
        return [made["microserviceID"] for made in self.stack.apply(sla(name, replicas))]

    def steady(self) -> Mapping[str, float]:
        """Container -> when its process began; that of a restarted one began later."""
        ids = [each["instance_id"] for each in self.services()[self.steady_id]["instance_list"]]
        running = self.stack.tasks()
        return {name: psutil.Process(pid).create_time() for name, pid in running.items() if any(i in name for i in ids)}

    def services(self) -> dict[str, dict[str, Any]]:
        return {service["microserviceID"]: service for service in self.stack.services()}

    def kill(self, names: Sequence[str], pids: Mapping[str, int]) -> None:
        for name in names:
            os.kill(pids[name], signal.SIGKILL)
        if STORE in names and self.server is not None:
            self.server.start()

    def pids(self) -> dict[str, int]:
        pids = self.stack.pids()
        return pids | {STORE: self.server.pid} if self.server else pids

    def difference(self, acknowledged: Mapping[str, int]) -> str:
        """Between what was acknowledged and what the API and containerd show; "" when there is none."""
        try:
            services = self.services()
            containers = self.stack.tasks()
        except (HedgerowError, subprocess.CalledProcessError) as error:
            return f"{type(error).__name__}: {error}"
        wanted = {self.steady_id: STEADY, **acknowledged}
        lists = {service_id: services[service_id]["instance_list"] for service_id in wanted}
        shown = {service_id: [i["status"] for i in instances] for service_id, instances in lists.items()}
        if shown != {service_id: ["RUNNING"] * count for service_id, count in wanted.items()}:
            return f"wanted {wanted}, shown {shown}"
        expected = {f"hedgerow-{i['instance_id']}-{i['attempt']}" for instances in lists.values() for i in instances}
        return "" if set(containers) == expected else f"expected {expected}, in containerd {containers}"


@pytest.mark.parametrize("names", CASES, ids="+".join)
def test_what_runs_is_what_was_acknowledged(target: Target, names: tuple[str, ...]) -> None:
    check(target, names)


@pytest.mark.parametrize("running", ["mongo"], indirect=True, scope="session")
@pytest.mark.parametrize("names", STORE_CASES, ids="+".join)
def test_a_killed_store_loses_nothing(target: Target, names: tuple[str, ...]) -> None:
    """SQLite lives in the processes that the other cases kill: there is no more to it."""
    assert target.server is not None
    check(target, names)


def check(target: Target, names: tuple[str, ...]) -> None:
    target.stack.login()
    before, pids = target.steady(), target.pids()
    assert len(before) == STEADY
    stream = Stream(target.stack, target.changing_ids, Random("+".join(names)))
    with stream.flowing():
        stream.wait_for_more()
        target.kill(names, pids)
        stream.wait_for_more()
    try:
        eventually(lambda: not target.difference(stream.acknowledged), timeout_s=SETTLE_S, interval_s=0.1)
    except AssertionError:
        pytest.fail(target.difference(stream.acknowledged))
    assert target.steady() == before
