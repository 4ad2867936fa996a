"""`python -m net_manager` as a process of its own: what it makes outlives it, and nothing else does."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from edge_common.model.errors import Broken, Unauthenticated
from edge_common.model.ids import InstanceId
from edge_common.plumbing.http_client import HttpClient
from net_manager.core import commands as do
from tests.parts import netns
from tests.parts.net_manager import NetManagerProcess
from tests.parts.netns import Host
from tests.support import eventually, free_port

pytestmark = pytest.mark.real

SUBNET = ("10.16.0.0/26", "fc00::/120")
KILLS = 4


@pytest.fixture
def host() -> Iterator[Host]:
    with netns.host() as one:
        yield one


@pytest.fixture
def net(host: Host, tmp_path: Path) -> Iterator[NetManagerProcess]:
    process = NetManagerProcess(host, tmp_path)
    process.start()
    process.grant(*SUBNET)
    yield process
    process.kill()


def links_of(host: Host) -> dict[str, object]:
    return {name: seen for name, seen in host.view.observe().host.links.items() if name != "lo"}


def test_a_stream_outlives_a_killed_net_manager_and_its_successor(net: NetManagerProcess, host: Host) -> None:
    first, second = net.attach("a"), net.attach("b")
    assert netns.pings(Path(first["namespace"]), second["ip"])
    assert netns.pings(Path(first["namespace"]), second["ip_v6"])
    server = netns.listener(Path(second["namespace"]), second["ip"], 80)
    client = netns.connected(Path(first["namespace"]), second["ip"], 80)
    with closing(server), closing(client), closing(server.accept()[0]) as accepted:
        before = links_of(host)
        net.kill()
        client.sendall(b"without")
        assert accepted.recv(16) == b"without"
        net.start()
        assert net.attach("a") == first
        assert links_of(host) == before
        client.sendall(b"with")
        assert accepted.recv(16) == b"with"
    net.detach("a")
    net.detach("b")
    assert host.leftovers() == set()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_of_the_node_leads_to_an_instance_from_everywhere(
    net: NetManagerProcess, host: Host, kind: socket.SocketKind
) -> None:
    how = "tcp" if kind == socket.SOCK_STREAM else "udp"
    serving, other = net.attach("a", (8080, 80, how)), net.attach("b")
    inside = Path(serving["namespace"])
    with netns.host() as outside:
        netns.cable(host, outside, ("192.0.2.1/30", "192.0.2.2/30"), ("2001:db8::1/126", "2001:db8::2/126"))
        for own, callers in (
            (serving["ip"], [(outside.path, "192.0.2.1"), (host.path, "192.0.2.1"), (host.path, "127.0.0.1")]),
            (serving["ip_v6"], [(outside.path, "2001:db8::1"), (host.path, "2001:db8::1")]),
        ):
            neighbours = [(Path(other["namespace"]), callers[0][1]), (inside, callers[0][1])]
            with netns.listener(inside, own, 80, kind) as server:
                for path, address in (*callers, *neighbours):
                    assert answers(server, path, address, kind), (path, address)
        net.detach("a")
        with pytest.raises(OSError, match="refused"), netns.connected(outside.path, "192.0.2.1", 8080, kind) as late:
            late.send(b"?")
            late.recv(1)


def answers(server: socket.socket, path: Path, address: str, kind: socket.SocketKind) -> bool:
    with netns.connected(path, address, 8080, kind) as client:
        client.send(b"?")
        if kind == socket.SOCK_STREAM:
            with server.accept()[0] as accepted:
                accepted.sendall(accepted.recv(1))
        else:
            question, peer = server.recvfrom(1)
            server.sendto(question, peer)
        return client.recv(1) == b"?"


def test_an_instance_does_not_reach_what_listens_on_the_nodes_loopback(net: NetManagerProcess, host: Host) -> None:
    place = net.attach("a")
    route = do.AddRoute(ip_network("127.0.0.2/32"), ip_address("10.16.0.1"), "eth0", Path(place["namespace"]).name)
    sysctl = do.SetSysctl("net/ipv4/conf/all/route_localnet", "1", Path(place["namespace"]).name)
    host.netlink.execute([sysctl])
    with contextlib.suppress(Broken):
        host.netlink.execute([route])
    with netns.listener(host.path, "127.0.0.2", 80), pytest.raises(OSError, match=r"timed out|refused|nreachable"):
        netns.connected(Path(place["namespace"]), "127.0.0.2", 80, timeout_s=1.0)


def test_after_kills_at_any_moment_nothing_stays_that_is_not_wanted(net: NetManagerProcess, host: Host) -> None:
    net.attach("kept")
    wanted = {host.names.namespace(InstanceId("kept")), host.names.link(InstanceId("kept"))}
    for number in range(KILLS):
        with subprocess.Popen([sys.executable, "-c", CHURN, str(net.socket)]) as churning:
            eventually(lambda: host.leftovers() - wanted, interval_s=0.001, message="a network")
            for _ in range(number):
                host.leftovers()
            net.kill()
            churning.wait(20)
        net.start()
        net.detach("churned")
        assert host.leftovers() == wanted
        assert [each["instance_id"] for each in net.request("GET", "/api/net/instances")["instances"]] == ["kept"]


CHURN = """
import sys
from pathlib import Path
from edge_common.model.errors import HedgerowError
from edge_common.plumbing.unix_client import UnixHttpClient
client = UnixHttpClient(Path(sys.argv[1]))
try:
    while True:
        client.request("PUT", "/api/net/instances/churned", json={"ports": []})
        client.request("DELETE", "/api/net/instances/churned")
except HedgerowError:
    pass
"""


def test_a_port_of_loopback_asks_for_the_token(host: Host, tmp_path: Path) -> None:
    port = free_port()
    process = NetManagerProcess(host, tmp_path, port)
    try:
        process.start()
        url = f"http://127.0.0.1:{port}"
        with pytest.raises(Unauthenticated, match="no token"):
            process.request("GET", "/api/health", client=HttpClient(url))
        with pytest.raises(Unauthenticated, match="TOKEN_FILE"):
            process.request("GET", "/api/health", client=HttpClient(url, token="other"))
        assert process.token_file.stat().st_mode & 0o777 == 0o600
        assert not process.socket.exists()
        assert process.stop() == 0
    finally:
        process.kill()


def test_a_second_one_and_a_wrong_file_are_explained(net: NetManagerProcess, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "net_manager"]
    second = subprocess.run(command, env=net.environment, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert "serves" in second.stderr
    assert "already" in second.stderr
    (tmp_path / "netcfg.json").write_text('{"NodePublicPort": "many"}')
    wrong = subprocess.run(command, env=net.environment, capture_output=True, text=True, timeout=30, check=False)
    assert wrong.returncode == 1
    assert wrong.stderr == (
        f"net: NodePublicPort in {tmp_path}/netcfg.json is 'many'; it must be a port from 1 to 65535.\n"
    )
