"""HTTP over a unix socket, for parts of one machine."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edge_common.plumbing.http_client import HttpClient

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool, PoolManager

SCHEME = "unix://"
_POOLED_CONNECTIONS = 4


class UnixHttpClient(HttpClient):
    """Like HttpClient, for a server that listens at `path`."""

    def __init__(self, path: Path, timeout_s: float = 10.0) -> None:
        super().__init__(f"{SCHEME}{path}", timeout_s)
        self._path = path

    def _connections(self) -> "PoolManager":
        if self._pool is None:
            self._pool = cast("PoolManager", _Pool(self._path, self.base_url, self._timeout_s))
        return self._pool


class _Pool:
    """As much of a PoolManager as HttpClient needs."""

    def __init__(self, path: Path, base_url: str, timeout_s: float) -> None:
        self._base_url = base_url
        self._pool = _pool_of(path, timeout_s)

    def request(self, method: str, url: str, **options: Any) -> "BaseHTTPResponse":
        return self._pool.request(method, url.removeprefix(self._base_url), **options)

    def clear(self) -> None:
        self._pool.close()


def _pool_of(path: Path, timeout_s: float) -> "HTTPConnectionPool":
    from urllib3 import HTTPConnectionPool, Timeout
    from urllib3.connection import HTTPConnection
    from urllib3.exceptions import ProtocolError

    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.settimeout(timeout_s)
            try:
                made.connect(str(path))
            except OSError as error:
                made.close()
                raise ProtocolError(error.strerror or str(error)) from error
            return made

    class Connections(HTTPConnectionPool):
        ConnectionCls = Connection

    return Connections("localhost", maxsize=_POOLED_CONNECTIONS, retries=False, timeout=Timeout(total=timeout_s))
