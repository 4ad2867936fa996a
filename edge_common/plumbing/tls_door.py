"""TLS for cheroot, done where it may take its time.

cheroot's own adapters do the handshake in the thread that accepts, so one client that stalls keeps out all others.
Here a worker does each part of it when the client has said something, and never waits. The certificate is taken anew
from its file when that changes.
"""

import logging
import socket
import ssl
import threading
import time
from typing import Any

from cheroot.makefile import MakeFile, StreamReader
from cheroot.server import HTTPConnection

from edge_common.model.errors import Broken
from edge_common.plumbing.addresses import is_loopback
from edge_common.plumbing.tls import ServerTls, server_context

logger = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S = 10.0
_TLS_HANDSHAKE = b"\x16"
_PLAIN_IS_REFUSED = b"This port speaks TLS: use https://\n"
_PLAIN_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
    % (len(_PLAIN_IS_REFUSED), _PLAIN_IS_REFUSED)
)


class TlsDoor:
    """The context of one server. `takes_plain_on_loopback`: what comes from this machine itself may be plain HTTP."""

    def __init__(self, files: ServerTls, *, takes_plain_on_loopback: bool = False) -> None:
        """Raises Broken when the files are not fit."""
        self.takes_plain_on_loopback = takes_plain_on_loopback
        self._files = files
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._context = server_context(files)

    def context(self) -> ssl.SSLContext:
        """Of the files as they are. While they cannot be used, as in the middle of a change, it is the one before."""
        with self._lock:
            stamp = self._look()
            if stamp != self._stamp:
                try:
                    self._context = server_context(self._files)
                    self._stamp = stamp
                    logger.info("event=certificate_taken file=%s", self._files.certificate)
                except Broken as error:
                    logger.warning("event=certificate_unfit reason=%r", str(error))
            return self._context

    def _look(self) -> tuple[int, ...]:
        try:
            files = (self._files.certificate, self._files.key, self._files.client_ca)
            return tuple(number for file in files for number in (file.stat().st_mtime_ns, file.stat().st_ino))
        except OSError:
            return ()


class _TlsReader(StreamReader):
    def __init__(self, sock: ssl.SSLSocket, mode: str, bufsize: int) -> None:
        super().__init__(sock, mode, bufsize)
        self._tls = sock

    def has_data(self) -> bool:
        """Also what TLS has decrypted already, of which no selector knows."""
        return bool(super().has_data()) or self._tls.pending() > 0  # type: ignore[no-untyped-call]


class TlsConnection(HTTPConnection):
    """A worker has it only while there is something to read; between the parts of a handshake a selector does."""

    def __init__(self, door: TlsDoor, server: Any, sock: socket.socket, makefile: Any = MakeFile) -> None:
        super().__init__(server, sock, makefile)
        self._door = door
        self._usual_timeout_s = sock.gettimeout()
        self._deadline_s = time.monotonic() + HANDSHAKE_TIMEOUT_S
        self._is_open = False

    def communicate(self) -> bool:
        """In a worker's thread. Whether the connection is to be kept, and waited for."""
        if self._is_open:
            return bool(super().communicate())  # type: ignore[no-untyped-call]
        try:
            return self._open()
        except ssl.SSLWantReadError:
            return self._is_in_time()
        except OSError as error:
            self._refuse(str(error))
            return False

    def _open(self) -> bool:
        if not isinstance(self.socket, ssl.SSLSocket):
            first = self.socket.recv(1, socket.MSG_PEEK)
            if first != _TLS_HANDSHAKE:
                return bool(first) and self._take_plain()
            self.socket.setblocking(False)
            context = self._door.context()
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.socket.do_handshake()
        self.socket.settimeout(self._usual_timeout_s)
        self.rfile = _TlsReader(self.socket, "rb", self.rbufsize)
        self.wfile = MakeFile(self.socket, "wb", self.wbufsize)
        self.ssl_env = {"wsgi.url_scheme": "https", "HTTPS": "on"}
        self._is_open = True
        return True

    def _take_plain(self) -> bool:
        if self._door.takes_plain_on_loopback and is_loopback(self.socket.getsockname()[0]):
            self._is_open = True
            return True
        logger.warning("event=plain_http_refused address=%s", self.remote_addr)
        self.socket.sendall(_PLAIN_ANSWER)
        return False

    def _is_in_time(self) -> bool:
        if time.monotonic() < self._deadline_s:
            return True
        self._refuse(f"no handshake within {HANDSHAKE_TIMEOUT_S:g} s")
        return False

    def _refuse(self, reason: str) -> None:
        logger.warning("event=tls_refused address=%s reason=%r", self.remote_addr, reason)
