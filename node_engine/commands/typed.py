"""What was typed, as settings."""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

from edge_common.model.errors import NotFound
from node_engine.adapters.cluster_address import DEFAULT_PORT, cluster_url
from node_engine.settings import PREFIX

_HERE = "localhost"
_MAX_TOKEN_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class JoinLine:
    """`name` "" and no label leave what the settings file says. `is_foreground`: systemd is not to start the engine."""

    url: str
    token: str = field(default="", repr=False)
    name: str = ""
    labels: tuple[str, ...] = ()
    network_port: int | None = None
    is_foreground: bool = False

    def settings(self) -> dict[str, str]:
        """Those that were typed, and only those. Raises InvalidInput."""
        settings = {"PARENT_URL": cluster_url(self.url)}
        if self.name:
            settings["NAME"] = self.name
        if self.labels:
            settings["LABELS"] = ",".join(self.labels)
        return _named(settings, self.network_port)


def join_line(asked: argparse.Namespace) -> JoinLine:
    """Raises NotFound when the file of the token cannot be read."""
    token = asked.token if asked.token_file is None else _token_of(asked.token_file)
    return JoinLine(asked.url, token.strip(), asked.name, tuple(asked.label), asked.join_network, asked.foreground)


def engine_settings(address: str | None, port: int | None, network_port: int | None) -> dict[str, str]:
    """Oakestra's -a, -p and -n. A port without an address is one of this machine; neither leaves the settings alone."""
    if address is None and port is None:
        return _named({}, network_port)
    return _named({"PARENT_URL": cluster_url(address or _HERE, port or DEFAULT_PORT)}, network_port)


def _named(settings: dict[str, str], network_port: int | None) -> dict[str, str]:
    network = {} if network_port is None else {"NETWORK_PORT": str(network_port)}
    return {PREFIX + name: value for name, value in {**settings, **network}.items()}


def _token_of(file: Path) -> str:
    try:
        return sys.stdin.read(_MAX_TOKEN_LENGTH) if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(f"The join token cannot be read from {file}: {error}.") from error
