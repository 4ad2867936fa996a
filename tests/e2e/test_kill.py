"""kill -9 of every part, one at a time and two at a time, while somebody deploys and undeploys."""

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import psutil
import pytest

from edge_common.model.errors import HedgerowError
from edge_common.plumbing.http_client import HttpClient
from tests.parts.mongo import MongoServer
from tests.parts.stack import Stack, sla
from tests.support import eventually

PARTS = ("root", "cluster", "node", "mosquitto", "containerd")
STEADY = 3
CHANGES = 6

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


@dataclass
class Stream:
    """Somebody who scales services up and down, and remembers what was acknowledged."""

    stack: Stack
    service_ids: list[str]
    random: Random
    acknowledged: dict[str, int] = field(default_factory=dict)
    failures: int = 0

    def run(self) -> None:
        client = HttpClient(self.stack.url, 15.0, self.stack.api.token)
        for _ in range(CHANGES):
            service_id = self.random.choice(self.service_ids)
            replicas = self.random.choice((0, 1, 2, 3))
            if self._asked(client, service_id, replicas):
                self.acknowledged[service_id] = replicas
        client.close()

    def _asked(self, client: HttpClient, service_id: str, replicas: int) -> bool:
        """Until it is acknowledged: an answer that was lost may have taken effect, so it is said again."""

        def is_acknowledged() -> bool:
            try:
                client.request("PUT", f"/api/service/{service_id}/replicas", json={"replicas": replicas})
            except HedgerowError:
                self.failures += 1
                return False
            return True

        eventually(is_acknowledged, timeout_s=60, interval_s=0.1, message="an acknowledgement")
        return True


@pytest.fixture(scope="module", params=["sqlite", "mongo"])
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Stack, MongoServer | None]]:
    from tests.e2e.store import stack_on

    with stack_on(request.param) as found:
        found[0].apply(sla("steady", STEADY))
        found[0].wait_running(STEADY)
        yield found


def victims(stack: Stack, names: tuple[str, ...], store: MongoServer | None) -> list[int]:
    return [store.pid if name == "store" and store else stack.pid(name) for name in names]


def tasks(stack: Stack) -> dict[str, int]:
    """Container -> pid of what runs in it."""
    lines = [line.split() for line in stack.ctr("tasks", "list")[1:]]
    return {name: int(pid) for name, pid, state in lines if state == "RUNNING"}


def steady_tasks(stack: Stack) -> dict[str, float]:
    """Container -> when its process began; a restarted one began later."""
    ids = {each["instance_id"] for each in stack.services()[0]["instance_list"]}
    return {
        name: psutil.Process(pid).create_time() for name, pid in tasks(stack).items() if any(i in name for i in ids)
    }


CASES = [(part,) for part in PARTS] + list(itertools.combinations(PARTS, 2))


@pytest.mark.parametrize("names", CASES, ids="+".join)
def test_what_runs_is_what_was_acknowledged(running: tuple[Stack, MongoServer | None], names: tuple[str, ...]) -> None:
    stack, store = running
    check(stack, store, names)


def test_store_is_killed(running: tuple[Stack, MongoServer | None]) -> None:
    """SQLite lives in the processes that the other cases kill; a MongoDB server is a process of its own."""
    stack, store = running
    if store is None:
        return
    check(stack, store, ("store",))
    for part in PARTS:
        check(stack, store, ("store", part))


def check(stack: Stack, store: MongoServer | None, names: tuple[str, ...]) -> None:
    random = Random("+".join(names))
    stack.login()
    service_ids = []
    for number in range(3):
        name = f"k{'x'.join(names)}{number}"[:24]
        (made,) = stack.apply(sla(name, 1))
        service_ids.append(made["service_id"])
    stack.wait_running(STEADY + 3)
    before = steady_tasks(stack)
    assert len(before) == STEADY
    stream = Stream(stack, service_ids, random, dict.fromkeys(service_ids, 1))
    thread = threading.Thread(target=stream.run)
    thread.start()
    for pid in victims(stack, names, store):
        os.kill(pid, signal.SIGKILL)
    if store is not None and "store" in names:
        store.start()
    thread.join(120)
    assert not thread.is_alive()
    stack.login()
    stack.wait_running(STEADY + sum(stream.acknowledged.values()), timeout_s=90)
    eventually(
        lambda: len(tasks(stack)) == STEADY + sum(stream.acknowledged.values()),
        timeout_s=60,
        message="as many containers as were acknowledged",
    )
    assert steady_tasks(stack) == before
    for application in stack.api.request("GET", "/api/applications"):
        if application["application_name"] != "steady":
            stack.api.request("DELETE", f"/api/application/{application['applicationID']}")
    eventually(lambda: len(stack.containers()) == STEADY, timeout_s=60, message="only the steady ones are left")
