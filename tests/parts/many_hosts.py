"""A root host, cluster hosts and worker hosts behind one switch: real processes, and links that can be cut singly."""

import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from edge_common.model.errors import HedgerowError
from edge_common.plumbing.http_client import HttpClient
from net_manager.adapters import namespaces
from tests.parts.hosts import Host
from tests.parts.images import build_oci_archive, busybox_files
from tests.parts.switch import Switch, make_switch
from tests.parts.tiers import (
    ADMIN_PASSWORD,
    ParentHost,
    WorkerHost,
    cluster_host,
    root_host,
    token_file_of,
    worker_host,
)
from tests.support import eventually

IMAGE = "hedgerow.local/tests/busybox:1"
OPERATOR = "operator"
REQUEST_S = 15.0
TOKEN_LIFE_S = 3600
SHAPE: Mapping[str, Sequence[str]] = {"cluster1": ("worker1", "worker2"), "cluster2": ("worker3", "worker4")}


class Slot(NamedTuple):
    """Which of a service's instances, and where it runs."""

    service: str
    number: int
    worker: str


@dataclass(frozen=True, slots=True)
class Running:
    """A container that runs. `began_s`: when its process did; that of a restarted one began later."""

    slot: Slot
    container: str
    pid: int
    began_s: float


@dataclass(slots=True)
class ManyHosts:
    directory: Path
    switch: Switch
    root: ParentHost
    clusters: dict[str, ParentHost] = field(default_factory=dict)
    workers: dict[str, WorkerHost] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    locations: dict[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    _operator: Path | None = None
    _client: HttpClient | None = None

    @property
    def links(self) -> list[tuple[str, str]]:
        """(parent, child) of each link, the root's first."""
        return sorted(((parent, child) for child, parent in self.parents.items()), key=lambda pair: pair[0] != "root")

    @property
    def hosts(self) -> list[Host]:
        parents = [self.root, *self.clusters.values()]
        return [*(each.host for each in parents), *(each.host for each in self.workers.values())]

    def cut(self, parent: str, child: str) -> None:
        """What either says to the other is lost, and nobody is told."""
        self.switch.cut(parent, child)
        self.switch.cut(child, parent)

    def heal(self, parent: str, child: str) -> None:
        self.switch.heal(parent, child)
        self.switch.heal(child, parent)

    @contextmanager
    def cut_for(self, seconds: float, parent: str, child: str) -> Iterator[None]:
        """Healed `seconds` after it was cut, or when the block ends, whichever is later."""
        ends_s = time.monotonic() + seconds
        self.cut(parent, child)
        try:
            yield
            time.sleep(max(0.0, ends_s - time.monotonic()))
        finally:
            self.heal(parent, child)

    def add_cluster(self, name: str, location: str = "") -> ParentHost:
        cluster = cluster_host(self._host(name), self.root, location)
        self.clusters[name], self.parents[name], self.locations[name] = cluster, "root", location
        cluster.prepare(self.settings)
        token_file_of(cluster.host).write_text(self.new_token(max_uses=1))
        cluster.start()
        return cluster

    def add_worker(self, name: str, cluster_name: str) -> WorkerHost:
        worker = self.prepare_worker(name, cluster_name, self.new_token(cluster_name, max_uses=1))
        self.workers[name], self.parents[name] = worker, cluster_name
        worker.start()
        worker.import_image(self.directory / "image.tar")
        return worker

    def prepare_worker(self, name: str, cluster_name: str, token: str) -> WorkerHost:
        """A host with nothing on it but what a worker needs; the caller starts and ends it."""
        worker = worker_host(self._host(name), self.clusters[cluster_name], self.settings)
        token_file_of(worker.host).write_text(token)
        return worker

    def new_token(self, cluster_name: str = "", **wish: Any) -> str:
        """A join token for a cluster of the root, or for a worker of that cluster."""
        of = f"/api/clusters/{cluster_name}" if cluster_name else "/api"
        return str(self.request("POST", f"{of}/join-tokens", {"ttl": TOKEN_LIFE_S, **wish})["token"])

    def request(self, method: str, path: str, json: Any = None) -> Any:
        """Of the root's API, from the operator's host."""
        client = self._client or self._login()
        return self._from_operator(lambda: client.request(method, path, json=json))

    def apply(self, document: Mapping[str, Any]) -> list[dict[str, Any]]:
        applications = self.request("PUT", "/api/apply", document)["applications"]
        return [service for application in applications for service in application["services"]]

    def instances(self) -> list[dict[str, Any]]:
        """Each with the name of its service."""
        return [
            {"service": service["job_name"], **instance}
            for service in self.request("GET", "/api/services/")
            for instance in service["instance_list"]
        ]

    def running(self) -> list[Running]:
        """What really runs, on all workers."""
        found: list[Running] = []
        for name, worker in self.workers.items():
            for container, pid in worker.tasks().items():
                try:
                    process = psutil.Process(pid)
                    environment, began_s = process.environ(), process.create_time()
                except psutil.Error:
                    continue
                if "HEDGEROW_SERVICE" not in environment:
                    continue  # runc has not handed over to the program yet
                slot = Slot(environment["HEDGEROW_SERVICE"], int(environment["HEDGEROW_INSTANCE_NUMBER"]), name)
                found.append(Running(slot, container, pid, began_s))
        return found

    def difference(self, count: int) -> str:
        """Between `count` instances that run, what the API shows and what containerd has; "" when there is none."""
        try:
            instances = self.instances()
        except HedgerowError as error:
            return f"{type(error).__name__}: {error}"
        if [each["status"] for each in instances] != ["RUNNING"] * count:
            return f"shown: {[_shown(each) for each in instances if each['status'] != 'RUNNING']} of {len(instances)}"
        wanted = sorted(Slot(each["service"], each["instance_number"], each["node_name"]) for each in instances)
        real = sorted(each.slot for each in self.running())
        if wanted != real:
            return f"shown and not there: {_less(wanted, real)}, there and not shown: {_less(real, wanted)}"
        kept = sum(len(worker.containers()) for worker in self.workers.values())
        return "" if kept == count else f"{kept} containers are kept for {count} instances"

    def wait_converged(self, count: int, timeout_s: float) -> float:
        """Until everybody is there and there is no difference; returns how long that took."""
        began_s = time.monotonic()
        self.wait_ready(timeout_s)
        try:
            eventually(lambda: not self.difference(count), timeout_s, 0.25)
        except AssertionError:
            raise AssertionError(f"after {timeout_s} s: {self.difference(count)}") from None
        return time.monotonic() - began_s

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Until the root knows every cluster as ready, with all its nodes."""
        wanted = {name: sum(parent == name for parent in self.parents.values()) for name in self.clusters}

        def is_so() -> bool:
            try:
                shown = self.request("GET", "/api/clusters")
            except HedgerowError:
                return False
            return {each["cluster_name"]: each["active_nodes"] for each in shown if each["active"]} == wanted

        eventually(is_so, timeout_s, 0.25, f"nodes: {wanted}")

    def log_tails(self) -> str:
        """What the programs of all hosts wrote last."""
        return "\n".join(host.log_tails() for host in self.hosts)

    def end(self) -> None:
        for worker in self.workers.values():
            worker.end()
        for parent in (*self.clusters.values(), self.root):
            parent.host.end()

    def _host(self, name: str) -> Host:
        return Host(name, self.switch.plug_in(name), self.directory / name)

    def _login(self) -> HttpClient:
        client = HttpClient(self.root.url, REQUEST_S, tls=self.root.trust)
        body = {"username": "Admin", "password": ADMIN_PASSWORD}
        client.token = self._from_operator(lambda: client.request("POST", "/api/auth/login", json=body))["token"]
        self._client = client
        return client

    def _from_operator(self, work: Callable[[], Any]) -> Any:
        if self._operator is None:
            self._operator = self.switch.plug_in(OPERATOR).path
        return namespaces.within(self._operator, work, 2 * REQUEST_S)


@contextmanager
def many_hosts(
    shape: Mapping[str, Sequence[str]] = SHAPE, settings: Mapping[str, str] | None = None
) -> Iterator[ManyHosts]:
    """Up, with an image on every worker; afterwards nothing is left.

    `settings` are variables HEDGEROW_ROOT_*, HEDGEROW_CLUSTER_* and HEDGEROW_NODE_*, for all of that kind.
    """
    token = secrets.token_hex(3)
    directory = Path(tempfile.gettempdir()) / f"hg{token}"
    directory.mkdir(mode=0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        switch = stack.enter_context(make_switch(token))
        root = root_host(Host("root", switch.plug_in("root"), directory / "root"))
        hosts = ManyHosts(directory, switch, root, settings=settings or {})
        stack.callback(hosts.end)
        try:
            _bring_up(hosts, shape)
        except BaseException as error:
            error.add_note(hosts.log_tails())
            raise
        yield hosts


def _bring_up(hosts: ManyHosts, shape: Mapping[str, Sequence[str]]) -> None:
    build_oci_archive(hosts.directory / "image.tar", busybox_files(), {}, IMAGE)
    hosts.root.prepare(hosts.settings)
    hosts.root.start()
    hosts.root.wait_serving()
    for number, name in enumerate(shape):
        hosts.add_cluster(name, f"48.{number},11.{number},100")
    for name in shape:
        hosts.clusters[name].wait_serving()
    hosts.wait_ready()
    for name, workers in shape.items():
        for worker in workers:
            hosts.add_worker(worker, name)
    hosts.wait_ready()


def _shown(instance: Mapping[str, Any]) -> str:
    return f"{instance['service']}.{instance['instance_number']}: {instance['status']} {instance['status_detail']}"


def _less(first: Sequence[Slot], second: Sequence[Slot]) -> list[Slot]:
    left = list(first)
    for each in second:
        if each in left:
            left.remove(each)
    return left
