"""Where a tier speaks TLS, and with which files of its authority."""

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge_common.model.errors import InvalidInput
from edge_common.plumbing.addresses import is_loopback
from edge_common.plumbing.http_server import HttpServer
from edge_common.plumbing.pki import PARENT_NAME, Authority
from edge_common.plumbing.server_certificate import keep_own_certificate, keep_server_certificate
from edge_common.plumbing.tls import ServerTls, TlsFiles

LOOPBACK = "127.0.0.1"
LOCAL_NAMES = ("localhost", LOOPBACK, "::1")


class TlsMode(StrEnum):
    """AUTO: plain only where the address is a loopback one. ON: TLS everywhere. There is no way to say OFF."""

    AUTO = "auto"
    ON = "on"


@dataclass(frozen=True, slots=True)
class Listeners:
    """`also_loopback`: besides `http_host` the API listens on 127.0.0.1. `names`: further host names and addresses for
    the server's certificate; our own parts check `PARENT_NAME` and need none."""

    mode: str
    http_host: str
    http_port: int
    mqtt_host: str
    names: Sequence[str] = ()
    also_loopback: bool = False


@dataclass(frozen=True, slots=True)
class TierTls:
    """`broker` is what the tier shows to its broker; None where that is plain."""

    listeners: Listeners
    server: ServerTls
    broker: TlsFiles | None

    def serve(self, make: Callable[..., HttpServer]) -> list[HttpServer]:
        """`make` is given host, port and what is to be told to the server about TLS."""
        return [make(host, self.listeners.http_port, **self._options(host)) for host in self._hosts()]

    def _hosts(self) -> Iterator[str]:
        yield self.listeners.http_host
        if self.listeners.also_loopback and not _covers_loopback(self.listeners.http_host):
            yield LOOPBACK

    def _options(self, host: str) -> dict[str, object]:
        is_on = self.listeners.mode == TlsMode.ON
        if is_loopback(host) and not is_on:
            return {}
        return {"tls": self.server, "takes_plain_on_loopback": not is_on}


def open_tier_tls(listeners: Listeners, authority: Authority, directory: Path, now_s: float) -> TierTls:
    """`directory` is the authority's. Raises InvalidInput for a mode that does not exist."""
    if listeners.mode not in set(TlsMode):
        raise InvalidInput(f"tls is {listeners.mode!r}; it must be one of {', '.join(TlsMode)}.", "tls")
    own = (listeners.http_host,) if _is_a_name(listeners.http_host) else ()
    hosts = tuple(dict.fromkeys((*LOCAL_NAMES, *own, *listeners.names)))
    server = keep_server_certificate(authority, directory, hosts, now_s)
    is_plain = listeners.mode != TlsMode.ON and is_loopback(listeners.mqtt_host)
    broker = None if is_plain else keep_own_certificate(authority, directory, PARENT_NAME, now_s)
    return TierTls(listeners, server, broker)


def _covers_loopback(host: str) -> bool:
    return is_loopback(host) or not _is_a_name(host)


def _is_a_name(host: str) -> bool:
    """Not one that stands for every address of the machine."""
    try:
        return not ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return bool(host)
