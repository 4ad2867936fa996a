"""TCP and HTTP, with one deadline over all of it.

The standard library's HTTP client has a limit for each read only, so an instance that sends a byte a second would keep
it for hours; and nothing but the first line of the answer matters here.
"""

import re
import socket
import time

from node_engine.core.health import Answer

_MAX_LINE_BYTES = 1_024
_STATUS = re.compile(rb"HTTP/\d\.\d (\d{3})(?: |\r|$)")


def ask_tcp(address: str, port: int, timeout_s: float) -> Answer:
    try:
        socket.create_connection((address, port), timeout_s).close()
    except OSError as error:
        return Answer(False, _in_words(error, port, timeout_s))
    return Answer(True)


def ask_http(address: str, port: int, path: str, timeout_s: float) -> Answer:
    """`path` begins with a slash and holds neither spaces nor control characters."""
    deadline_s = time.monotonic() + timeout_s
    host = f"[{address}]" if ":" in address else address
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: hedgerow-probe\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((address, port), timeout_s) as connection:
            connection.settimeout(max(0.001, deadline_s - time.monotonic()))
            connection.sendall(request.encode())
            line = _first_line(connection, deadline_s)
    except OSError as error:
        return Answer(False, _in_words(error, port, timeout_s))
    status = _STATUS.match(line)
    if status is None:
        return Answer(False, f"port {port} does not speak HTTP")
    code = int(status[1])
    return Answer(True) if 200 <= code < 400 else Answer(False, f"HTTP status {code} for {path}")


def _first_line(connection: socket.socket, deadline_s: float) -> bytes:
    received = b""
    while b"\n" not in received and len(received) < _MAX_LINE_BYTES:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        chunk = connection.recv(_MAX_LINE_BYTES)
        if not chunk:
            break
        received += chunk
    return received


def _in_words(error: OSError, port: int, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"port {port} did not answer within {timeout_s:g} s"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens on port {port}"
    return f"port {port}: {error.strerror or error}"
