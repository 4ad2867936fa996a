"""Two clusters with a worker each, all hosts of their own, NetManager on both workers: from the SLA to the packet."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from edge_common.model.errors import HedgerowError
from edge_common.plumbing.unix_client import UnixHttpClient
from net_manager.adapters import namespaces
from net_manager.core.links import Names
from tests.parts import netns
from tests.parts.hosts import python
from tests.parts.many_hosts import IMAGE, ManyHosts, many_hosts
from tests.parts.stack import sla
from tests.parts.tiers import NODE, WorkerHost
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

NET = "net"
WORKERS = {"worker1": "cluster1", "worker2": "cluster2"}
ECHO = ("/bin/busybox", "nc", "-ll", "-p", "80", "-e", "/bin/busybox", "cat")
UP_S = 60.0


class NetWorker:
    """A worker host with a NetManager beside its engine."""

    def __init__(self, worker: WorkerHost) -> None:
        self.worker = worker
        self.names = Names(secrets.token_hex(2))
        self.socket = worker.host.directory / "net.sock"
        worker.environment["HEDGEROW_NODE_NET_MANAGER"] = f"unix://{self.socket}"

    def start_manager(self) -> None:
        given = {
            "DATA_DIR": self.worker.host.directory / NET,
            "SOCKET": self.socket,
            "CONFIG_FILE": self.worker.host.directory / "netcfg.json",
            "PREFIX": self.names.prefix,
        }
        environment = {f"HEDGEROW_NET_{name}": str(value) for name, value in given.items()}
        self.worker.host.start(NET, python("net_manager"), environment)

    def kill_and_restart(self, program: str) -> None:
        self.worker.host.kill(program)
        if program == NET:
            self.start_manager()
        else:
            self.worker.start_engine()

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = UnixHttpClient(self.socket).request("GET", "/api/health")
        return found

    def namespaces(self) -> list[str]:
        return [name for name in namespaces.names() if self.names.is_namespace(name)]

    def clear(self) -> None:
        for name in self.namespaces():
            namespaces.remove(name)


@pytest.fixture(scope="module")
def net_workers() -> dict[str, NetWorker]:
    return {}


@pytest.fixture(scope="module")
def hosts(net_workers: dict[str, NetWorker]) -> Iterator[ManyHosts]:
    with many_hosts({"cluster1": (), "cluster2": ()}) as found:
        for name, cluster in WORKERS.items():
            worker = found.prepare_worker(name, cluster, found.new_token(cluster, max_uses=1))
            found.workers[name], found.parents[name] = worker, cluster
            net_workers[name] = NetWorker(worker)
            net_workers[name].start_manager()
            worker.start()
            worker.import_image(found.directory / "image.tar")
        found.wait_ready()
        yield found
    for one in net_workers.values():
        one.clear()


@contextmanager
def called(hosts: ManyHosts, worker: str, port: int) -> Iterator[socket.socket]:
    """A connection from another host, which is answered."""
    caller = hosts.clusters["cluster1"].host.plug.path
    with netns.connected(caller, hosts.workers[worker].host.address, port) as client:
        assert echoes(client)
        yield client


def echoes(client: socket.socket) -> bool:
    client.sendall(b"hello\n")
    return client.recv(64) == b"hello\n"


def test_each_instance_has_an_address_of_its_own_and_is_reached_at_its_port(
    hosts: ManyHosts, net_workers: dict[str, NetWorker]
) -> None:
    hosts.apply(sla("echo", 2, ECHO, IMAGE, port="8080:80", vcpus=0.1))
    hosts.wait_converged(2, UP_S)
    instances = hosts.instances()
    assert {each["node_name"] for each in instances} == set(WORKERS)
    for each in instances:
        subnets = net_workers[each["node_name"]].state()["subnets"]
        assert len(subnets) == 1
        assert ip_address(each["namespace_ip"]) in ip_network(subnets[0]["v4"])
        assert ip_address(each["namespace_ip_v6"]) in ip_network(subnets[0]["v6"])
        with called(hosts, each["node_name"], 8080):
            pass
    blocks = {str(ip_network(each["namespace_ip"]).supernet(new_prefix=20)) for each in instances}
    assert len(blocks) == 2
    nodes = hosts.request("GET", "/api/nodes")["nodes"]
    assert all(node["has_overlay"] and len(node["subnets"]) == 1 for node in nodes)


def test_a_connection_outlives_every_process_of_its_node(hosts: ManyHosts, net_workers: dict[str, NetWorker]) -> None:
    hosts.wait_converged(2, UP_S)
    before = {each.slot: each.pid for each in hosts.running()}
    one = net_workers["worker1"]
    with called(hosts, "worker1", 8080) as client:
        for program in (NET, NODE, NET):
            one.kill_and_restart(program)
            assert echoes(client)
        eventually(lambda: _is_ready(one), UP_S, message="NetManager")
        hosts.wait_converged(2, UP_S)
        assert echoes(client)
    assert {each.slot: each.pid for each in hosts.running()} == before


def _is_ready(one: NetWorker) -> bool:
    try:
        return bool(one.state()["is_ready"])
    except HedgerowError:
        return False


def test_nothing_is_left_of_what_is_removed(hosts: ManyHosts, net_workers: dict[str, NetWorker]) -> None:
    for service in hosts.request("GET", "/api/services/"):
        hosts.request("DELETE", f"/api/service/{service['microserviceID']}")
    for one in net_workers.values():
        eventually(lambda one=one: not one.namespaces(), UP_S, message="the end of all networks")  # type: ignore[misc]
        assert one.state()["instance_count"] == 0
