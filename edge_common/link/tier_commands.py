"""What `python -m root_orchestrator` and `python -m cluster_orchestrator` understand."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from edge_common.link import tier_setup
from edge_common.model.errors import HedgerowError
from edge_common.plumbing.addresses import is_loopback
from edge_common.plumbing.http_client import HttpClient
from edge_common.plumbing.process import Runnable, run
from edge_common.plumbing.settings import load
from edge_common.plumbing.tier_tls import TlsMode
from edge_common.plumbing.tls import TlsFiles
from edge_common.wire import routes

HEALTH_TIMEOUT_S = 5.0
_LOOPBACK_OF = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Of the addresses that stand for all of a machine."""


class Settings(tier_setup.TierSettings, Protocol):
    @property
    def http_host(self) -> str: ...
    @property
    def http_port(self) -> int: ...
    @property
    def tls(self) -> str: ...
    @property
    def log_level(self) -> str: ...


S = TypeVar("S", bound=Settings)


def main(
    tier: str, settings_type: type[S], prefix: str, build: Callable[[S], Runnable], arguments: Sequence[str]
) -> int:
    """The exit status. `build` is called only to run the tier."""
    if not arguments:
        return run(tier, settings_type, prefix, build)
    command, *rest = arguments
    if command not in {"setup", "health"} or (command == "health" and rest):
        sys.stderr.write(f"{tier}: say nothing to run it, `setup` to set it up, or `health` to ask how it is.\n")
        return 2
    try:
        settings = load(settings_type, os.environ, prefix)
        if command == "setup":
            return tier_setup.main(tier, settings, rest, os.environ)
        check_health(settings)
    except HedgerowError as error:
        sys.stderr.write(f"{tier}: {error}\n")
        return 1
    return 0


def check_health(settings: Settings) -> None:
    """Raises an error of the tree when the tier on this machine does not answer, or says that it is not well."""
    url = own_url(settings.http_host, settings.http_port, settings.tls)
    tls = TlsFiles(settings.data_dir / "ca" / "ca.crt") if url.startswith("https://") else None
    client = HttpClient(url, HEALTH_TIMEOUT_S, tls=tls)
    try:
        client.request("GET", routes.HEALTH)
    finally:
        client.close()


def own_url(bind_host: str, port: int, tls: str) -> str:
    """Where a tier that listens on `bind_host` is, as seen from its own machine."""
    scheme = "http" if is_loopback(bind_host) and tls != TlsMode.ON else "https"
    host = _LOOPBACK_OF.get(bind_host, bind_host)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
