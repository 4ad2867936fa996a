"""Submit to RUNNING as the API shows it, against create and start of the same container straight over gRPC.

Beside that the same with TLS on every door: a second machine of ours, up at the same time, takes every deployment right
after or before the plain one, so that whatever disturbs the one disturbs the other. Both clients keep their connection,
as programs do: a handshake is no part of a deployment.
"""

import json
import statistics
import time
from pathlib import Path
from typing import Any

from node_engine.adapters.runtimes.containerd import client as c
from node_engine.adapters.runtimes.containerd.proto import containerd_pb2 as pb
from node_engine.adapters.runtimes.containerd.tasks import Tasks
from tests.parts.stack import Stack, sla, stack
from tests.support import eventually

SINGLES = 50
MANY = 100
POLL_S = 0.002


def run() -> dict[str, float]:
    with stack() as plain, stack(has_tls=True) as secured:
        return measure(plain, secured)


def measure(plain: Stack, secured: Stack) -> dict[str, float]:
    """On stacks that are up, with the hello image imported."""
    deploys_ms: dict[bool, list[float]] = {False: [], True: []}
    raw_ms: list[float] = []
    for running in (plain, secured):
        warm_up(running)
    baseline = Baseline(plain)
    for number in range(SINGLES):
        for running in (plain, secured) if number % 2 else (secured, plain):
            deploys_ms[running.has_tls].append(single_deploy_ms(running, f"s{number}"))
            remove_all(running)
        raw_ms.append(baseline.create_and_start_ms(number))
    many_s = many_deploys_s(plain)
    remove_all(plain)
    p50_ms, p99_ms = _p50_and_p99(deploys_ms[False])
    tls_p50_ms, tls_p99_ms = _p50_and_p99(deploys_ms[True])
    raw_p50_ms = statistics.median(raw_ms)
    return {
        "deploy_p50_ms": round(p50_ms, 1),
        "deploy_p99_ms": round(p99_ms, 1),
        "deploy_tls_p50_ms": round(tls_p50_ms, 1),
        "deploy_tls_p99_ms": round(tls_p99_ms, 1),
        "deploy_tls_to_plain_ratio": round(tls_p50_ms / p50_ms, 3),
        "containerd_p50_ms": round(raw_p50_ms, 1),
        "above_containerd_p50_ms": round(p50_ms - raw_p50_ms, 1),
        "deploy_to_containerd_ratio": round(p50_ms / raw_p50_ms, 2),
        "deploy_100_s": round(many_s, 2),
    }


def _p50_and_p99(values: list[float]) -> tuple[float, float]:
    quantiles = statistics.quantiles(values, n=100, method="inclusive")
    return quantiles[49], quantiles[98]


def warm_up(running: Stack) -> None:
    for number in range(3):
        single_deploy_ms(running, f"w{number}")
        remove_all(running)


def single_deploy_ms(running: Stack, name: str) -> float:
    """A registered service gets its first instance: what `oak service deploy` does."""
    document = sla(name, vcpus=0.25)
    del document["applications"][0]["microservices"][0]["replicas"]
    applications = running.api.request("POST", "/api/application", json=document)
    (application,) = [each for each in applications if each["application_name"] == name]
    (service_id,) = application["microservices"]
    began_s = time.perf_counter()
    running.api.request("POST", f"/api/service/{service_id}/instance")
    wait_for(running, application["applicationID"], 1)
    return (time.perf_counter() - began_s) * 1000


def many_deploys_s(running: Stack) -> float:
    began_s = time.perf_counter()
    running.apply(sla("many", MANY))
    wait_for(running, running.services()[0]["applicationID"], MANY, poll_s=0.05)
    return time.perf_counter() - began_s


def wait_for(running: Stack, application_id: str, count: int, poll_s: float = POLL_S) -> None:
    def is_so() -> bool:
        (service,) = running.services(application_id)
        return [each["status"] for each in service["instance_list"]] == ["RUNNING"] * count

    eventually(is_so, timeout_s=120, interval_s=poll_s, message=f"{count} RUNNING")


def remove_all(running: Stack) -> None:
    for application in running.api.request("GET", "/api/applications"):
        running.api.request("DELETE", f"/api/application/{application['applicationID']}")
    eventually(lambda: not running.services() and not running.containers(), timeout_s=120, message="nothing left")


class Baseline:
    """The four calls that nobody can do without, with the spec of a container that the engine made."""

    def __init__(self, running: Stack) -> None:
        self._client = c.Client(f"{running.home}/run/containerd.sock", "hedgerow")
        self._tasks = Tasks(self._client)
        self._log = Path(running.home) / "bench.log"
        self._log.touch()
        name = _model(running)
        self._model: Any = self._client.call(c.GET_CONTAINER, pb.ContainerId(id=name)).container
        info = json.loads("".join(running.ctr("snapshots", "info", name)))
        self._chain_id = str(info["Parent"])

    def create_and_start_ms(self, number: int) -> float:
        name = f"bench-{number}"
        spec = json.loads(self._model.spec.value)
        spec["linux"]["cgroupsPath"] = f"/hedgerow/{name}"
        began_s = time.perf_counter()
        self._tasks.put_container(name, self._model.image, spec, {})
        mounts = self._tasks.prepare_root(name, self._chain_id)
        self._tasks.create(name, mounts, self._log)
        self._tasks.start(name)
        taken_ms = (time.perf_counter() - began_s) * 1000
        self._tasks.end(name, 0)
        self._tasks.clear(name)
        return taken_ms


def _model(running: Stack) -> str:
    """The name of a container of ours to copy."""
    single_deploy_ms(running, "model")
    return running.containers()[0]
