"""Oakestra's netcfg.json: taken as it is, and explained when it is wrong."""

from pathlib import Path
from typing import Any

import pytest

from edge_common.model.errors import InvalidInput
from net_manager.app import read_config
from net_manager.core.config_file import NodeConfig, read
from net_manager.settings import Settings

OAKESTRAS = {
    "NodePublicAddress": "0.0.0.0",
    "NodePublicPort": "50103",
    "ClusterUrl": "0.0.0.0",
    "ClusterMqttPort": "10003",
    "DefaultInterface": "eth0",
    "Debug": False,
}


def test_oakestras_own_file_is_taken() -> None:
    assert read(OAKESTRAS, "f") == NodeConfig("", 50103, "0.0.0.0", 10003)


@pytest.mark.parametrize(
    ("document", "meant"),
    [
        ({}, NodeConfig()),
        ({"NodePublicAddress": " 192.0.2.7 ", "NodePublicPort": 6000}, NodeConfig("192.0.2.7", 6000)),
        ({"NodePublicAddress": "2001:db8::1", "NodePublicPort": ""}, NodeConfig("2001:db8::1")),
    ],
)
def test_numbers_may_be_texts_and_fields_may_be_missing(document: Any, meant: NodeConfig) -> None:
    assert read(document, "f") == meant


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "f must hold one JSON object"),
        ({"NodePublicAddress": "shed"}, "NodePublicAddress in f is 'shed'; it must be the IP address"),
        ({"NodePublicAddress": 7}, "NodePublicAddress in f is 7; it must be a text"),
        ({"NodePublicPort": "70000"}, "NodePublicPort in f is '70000'; it must be a port"),
        ({"ClusterMqttPort": -1}, "ClusterMqttPort in f is -1"),
        ({"ClusterMqttPort": True}, "ClusterMqttPort in f is True"),
        ({"ClusterUrl": None}, "ClusterUrl in f is None"),
    ],
)
def test_what_is_wrong_is_named(document: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(document, "f")


def test_a_file_that_is_not_there_is_no_mistake_and_a_broken_one_is(tmp_path: Path) -> None:
    assert read_config(tmp_path / "none.json") == NodeConfig()
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"bad\.json is not JSON"):
        read_config(tmp_path / "bad.json")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_config(tmp_path)


@pytest.mark.parametrize("settings", [Settings(prefix="to-long"), Settings(port=70_000), Settings(mtu=500)])
def test_settings_that_cannot_be_are_refused(settings: Settings) -> None:
    with pytest.raises(InvalidInput):
        settings.check()
