"""What an operator types for a cluster, as the URL of its join endpoint."""

import ipaddress
import socket
import ssl
from urllib.parse import urlsplit

from edge_common.model.errors import InvalidInput
from edge_common.plumbing.addresses import is_loopback

DEFAULT_PORT = 10100
PROBE_TIMEOUT_S = 3.0
_MAX_PORT = 65535
_SCHEMES = ("", "http", "https")


def cluster_url(text: str, port: int = DEFAULT_PORT) -> str:
    """A URL keeps its scheme; an address or a name, with or without a port, becomes `https://` of it.

    On loopback, where a cluster may speak either, the scheme stays open: `//127.0.0.1:10100`, see `dialled_url`.
    Raises InvalidInput for what names no host.
    """
    text = text.strip()
    if _is_ipv6(text):
        text = f"[{text}]"
    try:
        parts = urlsplit(text if "//" in text else f"//{text}")
        host, given_port = parts.hostname or "", parts.port
    except ValueError:
        raise _refused(text) from None
    has_more = bool(parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None)
    if not host or has_more or parts.scheme not in _SCHEMES or not all(c.isprintable() and c != " " for c in host):
        raise _refused(text)
    chosen = port if given_port is None else given_port
    if not 1 <= chosen <= _MAX_PORT:
        raise InvalidInput(f"The port {chosen} is none; a port is a number from 1 to {_MAX_PORT}.", "port")
    scheme = parts.scheme or ("" if is_loopback(host) else "https")
    return f"{scheme and scheme + ':'}//{f'[{host}]' if ':' in host else host}:{chosen}"


def dialled_url(url: str, timeout_s: float = PROBE_TIMEOUT_S) -> str:
    """With the scheme that the cluster speaks there, if `url` leaves it open; only one on loopback is asked."""
    parts = urlsplit(url)
    if parts.scheme:
        return url
    host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    if is_loopback(host) and not _speaks_tls(host, port, timeout_s):
        return f"http:{url}"
    return f"https:{url}"


def shown(url: str) -> str:
    """For people: without what only says that the scheme is open."""
    return url.removeprefix("//")


def _speaks_tls(host: str, port: int, timeout_s: float) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), timeout_s) as connection, context.wrap_socket(connection):
            return True
    except OSError:
        return False


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def _refused(text: str) -> InvalidInput:
    return InvalidInput(
        f"{text!r} is not the address of a cluster; write it as https://HOST:10100, HOST:PORT or HOST.", "url"
    )
