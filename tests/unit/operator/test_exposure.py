"""Who can reach the parts of one machine, and how."""

import json
from pathlib import Path

import pytest

from edge_common.link.broker_files import MqttListener, mosquitto_conf
from edge_common.model.errors import Broken, InvalidInput
from edge_common.plumbing.tls import ServerTls
from hedgerow.machine.files import write_if_changed
from hedgerow.machine.layout import Exposure, Layout, exposed, exposure_file, find_layout
from hedgerow.machine.programs import CLUSTER, NODE, ROOT, Facts, service_environment

FACTS = Facts(Path("python"), Path("mosquitto"), Path("containerd"), "pi", "build")
TLS = ServerTls(Path("/x/server.crt"), Path("/x/server.key"), Path("/x/ca.crt"))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return find_layout({"HEDGEROW_HOME": str(tmp_path)})


def told(layout: Layout, part: str) -> dict[str, str]:
    prefix = f"HEDGEROW_{part.upper()}_"
    return {name.removeprefix(prefix): value for name, value in service_environment(part, layout, FACTS).items()}


@pytest.mark.parametrize(
    ("is_tls", "listen", "scheme", "listener", "cluster_mqtt"),
    [
        (False, "", "http", "127.0.0.1", "10003"),
        (True, "", "https", "127.0.0.1", "10103"),
        (False, "10.0.0.1", "http", "10.0.0.1", "10103"),
        (True, "10.0.0.1", "https", "10.0.0.1", "10103"),
        (False, "fd00::1", "http", "fd00::1", "10103"),
    ],
)
def test_what_the_parts_are_told(
    layout: Layout, is_tls: bool, listen: str, scheme: str, listener: str, cluster_mqtt: str
) -> None:
    layout = exposed(layout, is_tls, listen or None)
    assert layout.api_url == f"{scheme}://127.0.0.1:10000"
    assert (layout.tls_of(ROOT) is not None) == is_tls
    root, cluster, node = told(layout, ROOT), told(layout, CLUSTER), told(layout, NODE)
    assert root["HTTP_HOST"] == root["MQTT_HOST"] == cluster["HTTP_HOST"] == cluster["MQTT_HOST"] == listener
    assert (root["MQTT_PORT"], cluster["MQTT_PORT"]) == ("10003", cluster_mqtt)
    assert root.get("TLS", "auto") == ("on" if is_tls else "auto")
    assert root.get("HTTP_LOOPBACK", "false") == ("true" if listen else "false")
    assert (cluster["PARENT_URL"], node["PARENT_URL"]) == (layout.api_url, f"{scheme}://127.0.0.1:10100")


def test_it_is_remembered_and_changed_piece_by_piece(layout: Layout) -> None:
    write_if_changed(exposure_file(layout), json.dumps({"is_tls": True, "listen": "10.0.0.1", "mqtt": 1}))
    again = find_layout({"HEDGEROW_HOME": str(layout.config.parent)})
    assert again.exposure == Exposure(True, "10.0.0.1")
    assert exposed(again, None, None) == again
    assert exposed(again, False, None).exposure == Exposure(False, "10.0.0.1")
    assert exposed(again, None, "127.0.0.1").exposure == Exposure(True, "")


@pytest.mark.parametrize("text", ["{}", "[]", "rubbish"])
def test_a_damaged_file_says_what_to_do(layout: Layout, text: str) -> None:
    write_if_changed(exposure_file(layout), text)
    with pytest.raises(Broken, match="delete it"):
        find_layout({"HEDGEROW_HOME": str(layout.config.parent)})


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "edge.example", "", "10.0.0"])
def test_what_is_no_address_of_one_machine(layout: Layout, address: str) -> None:
    with pytest.raises(InvalidInput):
        exposed(layout, None, address)


def test_the_second_door_of_the_broker_needs_its_port_only_with_tls(layout: Layout) -> None:
    environ = {"HEDGEROW_HOME": str(layout.config.parent)}
    shared = find_layout(environ, cluster_mqtt=10003)
    assert "cluster_mqtt" not in shared.used_ports
    with pytest.raises(InvalidInput, match="10003; choose two"):
        exposed(shared, True, None)


def test_a_broker_has_no_plain_door_for_others(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="without TLS"):
        mosquitto_conf([MqttListener(1, "0.0.0.0")], tmp_path, Path("plugin"))
    conf = mosquitto_conf([MqttListener(1, "127.0.0.1"), MqttListener(2, "0.0.0.0", TLS)], tmp_path, Path("plugin"))
    assert conf.splitlines()[:7] == [
        "listener 1 127.0.0.1",
        "listener 2 0.0.0.0",
        "cafile /x/ca.crt",
        "certfile /x/server.crt",
        "keyfile /x/server.key",
        "require_certificate true",
        "tls_version tlsv1.2",
    ]
