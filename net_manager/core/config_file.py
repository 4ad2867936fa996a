"""Oakestra's `netcfg.json`: what of it means something here, and a plain word about what does not fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from edge_common.model.errors import InvalidInput

ANYWHERE = "0.0.0.0"
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """`public_address` "" leaves the choice to NetManager. The cluster is the engine's to talk to, so its address is
    only checked.
    """

    public_address: str = ""
    public_port: int = 0
    cluster_url: str = ""
    cluster_mqtt_port: int = 0


def read(document: Any, file: str) -> NodeConfig:
    """Unknown fields are left alone. Raises InvalidInput that names the file and the field."""
    if not isinstance(document, Mapping):
        raise InvalidInput(f"{file} must hold one JSON object.")
    return NodeConfig(
        _address(document, file),
        _port(document, "NodePublicPort", file),
        _text(document, "ClusterUrl", file),
        _port(document, "ClusterMqttPort", file),
    )


def _text(document: Mapping[str, Any], field: str, file: str) -> str:
    value = document.get(field, "")
    if not isinstance(value, str):
        raise InvalidInput(f"{field} in {file} is {value!r}; it must be a text.", field)
    return value.strip()


def _address(document: Mapping[str, Any], file: str) -> str:
    field = "NodePublicAddress"
    text = _text(document, field, file)
    if text in {"", ANYWHERE}:
        return ""
    try:
        return str(ip_address(text))
    except ValueError:
        raise InvalidInput(
            f"{field} in {file} is {text!r}; it must be the IP address where other nodes reach this one.",
            field,
        ) from None


def _port(document: Mapping[str, Any], field: str, file: str) -> int:
    """Oakestra writes it as a text."""
    value = document.get(field, 0)
    if value == "":
        return 0
    text = str(value)
    is_number = isinstance(value, int | str) and not isinstance(value, bool) and text.isdecimal() and text.isascii()
    if not is_number or int(text) > MAX_PORT:
        raise InvalidInput(f"{field} in {file} is {value!r}; it must be a port from 1 to {MAX_PORT}.", field)
    return int(text)
