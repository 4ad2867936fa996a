"""Serves a WSGI application from a bounded number of threads."""

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from edge_common.model.errors import Broken
from edge_common.plumbing.addresses import is_loopback
from edge_common.plumbing.tls import ServerTls
from edge_common.plumbing.tls_door import TlsConnection, TlsDoor
from edge_common.plumbing.unix_server import GuardedServer

logger = logging.getLogger(__name__)

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]
_BODY_MARGIN = 4
"""The application refuses a body that is too large with a sentence; the server only cuts off what is far beyond."""


_MOST_SILENT = 500
"""New connections that wait for their client's first word; they hold a descriptor and no thread. With those that a
thread or the queue has, they must leave something of the 1,024 descriptors that a process may usually have."""


class _LoggingServer(GuardedServer):
    """Tells the log what cheroot would write to stderr, and gives a thread only to who has something to say."""

    def process_conn(self, conn: Any) -> None:
        waiting = self._connections  # type: ignore[attr-defined]
        if conn.last_used is None and waiting._num_connections < _MOST_SILENT:
            waiting.put(conn)
        else:
            super().process_conn(conn)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        logger.log(level, "server: %s", msg, exc_info=traceback)


class HttpServer:
    """`waiting` connections are held while all threads are busy; more are turned away.

    With `path` it listens on a unix socket there, which its owner alone may open, and on no port. With `tls` it speaks
    TLS; with `takes_plain_on_loopback` also plain HTTP to who connects to a loopback address. Raises Broken when the
    files of `tls` are not fit, and when it would speak plain HTTP to other machines.
    """

    def __init__(
        self,
        app: WsgiApp,
        host: str,
        port: int,
        *,
        threads: int = 8,
        waiting: int = 128,
        idle_timeout_s: int = 10,
        max_body_bytes: int = 1 << 20,
        path: Path | None = None,
        tls: ServerTls | None = None,
        takes_plain_on_loopback: bool = False,
    ) -> None:
        if path is None and tls is None and not is_loopback(host):
            raise Broken(f"The HTTP server would listen on {host}:{port} without TLS; give it a certificate.")
        self._port = port
        self._where = str(path) if path else f"{host}:{port}"
        self._server = _LoggingServer(
            str(path) if path else (host, port),
            app,
            numthreads=threads,
            max=threads,
            request_queue_size=waiting,
            accepted_queue_size=waiting,
            accepted_queue_timeout=1,
            timeout=idle_timeout_s,
            shutdown_timeout=5,
            server_name="hedgerow",
        )
        self._server.max_request_header_size = 64 * 1024
        self._server.max_request_body_size = max_body_bytes * _BODY_MARGIN
        if tls is not None:
            door = TlsDoor(tls, takes_plain_on_loopback=takes_plain_on_loopback)
            self._server.ConnectionClass = partial(TlsConnection, door)
        self._thread = threading.Thread(target=self._server.serve, name=f"http-{port}", daemon=True)

    @property
    def port(self) -> int:
        """The real one, also when 0 was asked for; known once started."""
        return self._port

    def start(self) -> None:
        """Returns when it listens. Raises Broken when it cannot."""
        try:
            self._server.prepare()
        except OSError as error:
            raise Broken(f"Cannot listen on {self._where} ({error}); stop what uses it or set another one.") from error
        if not isinstance(self._server.bind_addr, str):
            host, self._port = self._server.bind_addr[:2]
            self._where = f"{host}:{self._port}"
        self._thread.start()
        logger.info("event=listening where=%s", self._where)

    def stop(self) -> None:
        """Requests that are being answered get a few seconds to end."""
        if not self._thread.is_alive():
            return
        self._server.stop()
        self._thread.join(10)
