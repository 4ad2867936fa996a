"""NetManager's door: who may ask, what it takes, what it answers."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.memory import MemoryDocuments
from net_manager.adapters.api import create_api
from net_manager.adapters.place_store import DocumentPlaceStore
from net_manager.core.config_file import NodeConfig
from net_manager.core.links import Names
from net_manager.service import NetParts, NetService
from tests.fakes.kernel import FakeKernel

NAMES = Names("tst")
SUBNETS = {"subnets": [{"v4": "10.16.0.0/26", "v6": "fc00::/120"}]}


@pytest.fixture
def client() -> FlaskClient:
    return make()


def make(token: str = "") -> FlaskClient:
    store = DocumentPlaceStore(MemoryDocuments())
    service = NetService(NetParts(NAMES, FakeKernel(), store, FakeClock(), lambda uplink: uplink - 70))
    service.tick()
    return create_api(service, lambda fn: fn(), NAMES, NodeConfig("192.0.2.1", 50103), token).test_client()


def test_an_instance_comes_and_goes(client: FlaskClient) -> None:
    assert client.put("/api/net/instances/i1", json={}).status_code == 503
    assert client.put("/api/net/subnets", json=SUBNETS).status_code == 200
    place: dict[str, Any] = client.put("/api/net/instances/i1", json={}).get_json()
    assert place == {
        "v": 1,
        "instance_id": "i1",
        "namespace": "/run/netns/tst-i1",
        "ip": "10.16.0.2",
        "ip_v6": "fc00::2",
    }
    assert client.put("/api/net/instances/i1", json={}).get_json() == place
    assert [each["instance_id"] for each in client.get("/api/net/instances").get_json()["instances"]] == ["i1"]
    for _ in range(2):
        assert client.delete("/api/net/instances/i1").status_code == 204
    assert client.get("/api/net/instances").get_json()["instances"] == []


def test_health_says_what_is_offered(client: FlaskClient) -> None:
    client.put("/api/net/subnets", json=SUBNETS)
    said = client.get("/api/health").get_json()
    assert said["is_ready"] is True
    assert said["mtu"] == 1430
    assert said["subnets"] == SUBNETS["subnets"]
    assert (said["subnets_wanted"], said["instance_count"]) == (1, 0)
    assert (said["public_address"], said["public_port"]) == ("192.0.2.1", 50103)


@pytest.mark.parametrize(
    "subnet",
    [
        {"v4": "192.168.0.0/24", "v6": "fc00::/120"},
        {"v4": "10.30.0.0/26", "v6": "fc00::/120"},
        {"v4": "10.16.0.1/26", "v6": "fc00::/120"},
        {"v4": "10.16.0.0/26", "v6": "2001:db8::/120"},
        {"v4": "x"},
    ],
)
def test_subnets_outside_the_plan_are_refused(client: FlaskClient, subnet: dict[str, str]) -> None:
    assert client.put("/api/net/subnets", json={"subnets": [subnet]}).status_code == 400


def test_names_that_are_no_ids_are_refused(client: FlaskClient) -> None:
    assert client.put("/api/net/instances/UPPER", json={}).status_code == 400
    assert client.delete("/api/net/instances/..").status_code == 400


def test_a_port_asks_for_the_token() -> None:
    client = make("secret")
    assert client.get("/api/health").status_code == 401
    assert client.get("/api/health", headers={"Authorization": "Bearer other"}).status_code == 401
    assert client.get("/api/health", headers={"Authorization": "Bearer secret"}).status_code == 200
