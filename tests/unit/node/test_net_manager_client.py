"""The engine's end of the wire to NetManager, against NetManager's own door."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_common.model.errors import Conflict, InvalidInput, Unauthenticated, Unreachable
from edge_common.model.ids import InstanceId
from edge_common.model.network import PortMapping, Subnet, Transport
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.plumbing.http_server import HttpServer
from net_manager.adapters.api import create_api
from net_manager.adapters.place_store import DocumentPlaceStore
from net_manager.core.config_file import NodeConfig
from net_manager.core.links import Names
from net_manager.service import NetParts, NetService
from node_engine.adapters.networks import open_network
from node_engine.core.network import NetworkView, Place
from node_engine.networks import HostNetwork
from node_engine.ports import Network
from tests.fakes.kernel import FakeKernel

A, B = InstanceId("a"), InstanceId("b")
SUBNET = Subnet("10.16.0.0/26", "fc00::/120")
PORT = PortMapping(8080, 80, Transport.UDP)
NAMES = Names("tst")


def make_server(path: Path | None, token: str = "") -> HttpServer:
    store = DocumentPlaceStore(MemoryDocuments())
    service = NetService(NetParts(NAMES, FakeKernel(), store, FakeClock(), lambda uplink: uplink - 70))
    service.tick()
    api = create_api(service, lambda fn: fn(), NAMES, NodeConfig(), token)
    return HttpServer(api, "127.0.0.1", 0, threads=2, path=path)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    server = make_server(tmp_path / "net.sock")
    server.start()
    yield open_network(f"unix://{tmp_path}/net.sock", tmp_path / "token")
    server.stop()


def test_what_is_asked_for_is_what_comes_back(network: Network) -> None:
    assert network.look() == NetworkView(subnets_wanted=1)
    network.grant([SUBNET])
    place = network.attach(A, (PORT,))
    assert place == Place(A, "/run/netns/tst-a", "10.16.0.2", "fc00::2")
    assert network.look() == NetworkView("", (SUBNET,), 1, (place,))
    with pytest.raises(Conflict, match="Port 8080/udp"):
        network.attach(B, (PORT,))
    network.detach(A)
    network.detach(A)
    assert network.look().places == ()


def test_a_token_that_comes_later_or_anew_is_used(tmp_path: Path) -> None:
    server = make_server(None, "secret")
    server.start()
    network = open_network(f"http://127.0.0.1:{server.port}", tmp_path / "token")
    with pytest.raises(Unreachable, match="token cannot be read"):
        network.look()
    (tmp_path / "token").write_text("of another life\n")
    with pytest.raises(Unauthenticated):
        network.look()
    (tmp_path / "token").write_text("secret\n")
    assert network.look().subnets_wanted == 1
    server.stop()


def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="did not answer"):
        open_network(f"unix://{tmp_path}/net.sock", tmp_path / "token").look()


def test_without_an_address_it_is_the_hosts_network(tmp_path: Path) -> None:
    assert isinstance(open_network("", tmp_path), HostNetwork)


@pytest.mark.parametrize("url", ["http://192.0.2.1:6000", "https://127.0.0.1:6000", "unix:relative", "6000"])
def test_addresses_beyond_the_machine_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="network manager is"):
        open_network(url, tmp_path)
