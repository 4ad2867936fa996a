"""The HTTP server's TLS over real sockets: who is let in, what stalls whom, and how it goes on."""

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from edge_common.model.errors import Broken, Forbidden, Unreachable
from edge_common.plumbing.http_client import HttpClient
from edge_common.plumbing.http_server import HttpServer
from edge_common.plumbing.tls import ServerTls, TlsFiles, client_context, fetch_unverified
from tests.parts.trust import DAY_S, Trust
from tests.support import eventually

HOST = "127.0.0.1"


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"scheme": environ["wsgi.url_scheme"], "size": len(body)}).encode()]


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("trust") / "ca")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("stranger") / "ca", "stranger")


def serving(tls: ServerTls | None, **options: Any) -> Iterator[HttpServer]:
    server = HttpServer(app, HOST, 0, threads=2, max_body_bytes=8_000_000, tls=tls, **options)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(trust: Trust) -> Iterator[HttpServer]:
    yield from serving(trust.server)


@pytest.fixture
def lenient(trust: Trust) -> Iterator[HttpServer]:
    yield from serving(trust.server, takes_plain_on_loopback=True)


def get(server: HttpServer, tls: TlsFiles | None, scheme: str = "https") -> Any:
    client = HttpClient(f"{scheme}://{HOST}:{server.port}", 5.0, tls=tls)
    try:
        return client.request("GET", "/x")
    finally:
        client.close()


def test_with_and_without_a_certificate_of_ones_own(server: HttpServer, trust: Trust) -> None:
    assert get(server, TlsFiles(trust.ca)) == {"scheme": "https", "size": 0}
    assert get(server, trust.child("child")) == {"scheme": "https", "size": 0}


def test_one_connection_for_many_large_requests(server: HttpServer, trust: Trust) -> None:
    client = HttpClient(f"https://{HOST}:{server.port}", 10.0, tls=TlsFiles(trust.ca))
    for size in (10, 3_000_000, 20_000, 16_384):
        text = "x" * size
        assert client.request("POST", "/x", json=text) == {"scheme": "https", "size": size + 2}
    client.close()


def test_a_server_that_is_not_ours_is_sent_nothing(server: HttpServer, stranger: Trust) -> None:
    with pytest.raises(Unreachable, match="cannot be trusted: its certificate is not of the CA that we trust"):
        get(server, TlsFiles(stranger.ca))
    with pytest.raises(Unreachable, match="cannot be trusted"):
        get(server, None)


@pytest.mark.parametrize("is_late", [False, True])
def test_a_certificate_that_is_shown_must_be_good(
    server: HttpServer, trust: Trust, stranger: Trust, is_late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    shown = trust.child("late", -DAY_S) if is_late else stranger.child("child", trusts=trust.ca)
    words = "our certificate has expired" if is_late else "our certificate is of another CA than its own"
    with pytest.raises(Forbidden, match=words):
        get(server, shown)
    eventually(lambda: "event=tls_refused address=127.0.0.1" in caplog.text)


def test_plain_http_at_a_tls_door(server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_connection((HOST, server.port)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"use https://" in answer
    assert "event=plain_http_refused address=127.0.0.1" in caplog.text


def test_plain_http_over_loopback_where_that_is_taken(lenient: HttpServer, trust: Trust) -> None:
    assert get(lenient, None, "http") == {"scheme": "http", "size": 0}
    assert get(lenient, TlsFiles(trust.ca)) == {"scheme": "https", "size": 0}


def test_tls_at_a_plain_door(trust: Trust) -> None:
    for plain in serving(None):
        with pytest.raises(Unreachable, match="TLS on this port"):
            get(plain, TlsFiles(trust.ca))


def test_a_plain_door_to_other_machines_is_refused() -> None:
    with pytest.raises(Broken, match=r"would listen on 0\.0\.0\.0:1 without TLS"):
        HttpServer(app, "0.0.0.0", 1)


def test_clients_that_say_nothing_cost_no_thread(server: HttpServer, trust: Trust) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(socket.create_connection((HOST, server.port)))
        began_s = time.monotonic()
        assert get(server, TlsFiles(trust.ca))
        assert time.monotonic() - began_s < 2


def test_clients_that_stall_in_the_handshake_do_not_stop_the_others(server: HttpServer, trust: Trust) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            stalled = stack.enter_context(socket.create_connection((HOST, server.port)))
            stalled.sendall(b"\x16\x03\x01")
        began_s = time.monotonic()
        assert get(server, TlsFiles(trust.ca))
        assert time.monotonic() - began_s < 2


def test_clients_that_say_nothing_after_the_handshake_cost_no_thread(server: HttpServer, trust: Trust) -> None:
    context = client_context(TlsFiles(trust.ca))
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(context.wrap_socket(socket.create_connection((HOST, server.port))))
        began_s = time.monotonic()
        assert get(server, TlsFiles(trust.ca))
        assert time.monotonic() - began_s < 2


def test_a_handshake_in_many_small_pieces(server: HttpServer, trust: Trust) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(trust.ca)
    tls = context.wrap_bio(incoming, outgoing, server_hostname="hedgerow-parent")
    with socket.create_connection((HOST, server.port)) as client:
        client.settimeout(5)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def step(act: Callable[[], object]) -> object:
            while True:
                try:
                    return act()
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        client.sendall(bytes([byte]))
                    incoming.write(client.recv(65_536))

        step(tls.do_handshake)
        tls.write(b"GET /x HTTP/1.0\r\n\r\n")
        assert b"200 OK" in bytes(step(lambda: tls.read(4_096)))  # type: ignore[call-overload]


def test_nonsense_at_the_door_harms_nobody(server: HttpServer, trust: Trust) -> None:
    chance = Random(7)
    for number in range(100):
        first = b"\x16" if number % 2 else chance.randbytes(1)
        with socket.create_connection((HOST, server.port)) as client, suppress(OSError):
            client.sendall(first + chance.randbytes(chance.randrange(600)))
            client.shutdown(socket.SHUT_WR)
            client.settimeout(5)
            while client.recv(4_096):
                pass
    assert get(server, TlsFiles(trust.ca))


def test_two_requests_in_one_record_are_both_answered(server: HttpServer, trust: Trust) -> None:
    request = b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
    both = request % (12_000, b"x" * 12_000) + request % (0, b"")
    context = client_context(TlsFiles(trust.ca))
    with context.wrap_socket(socket.create_connection((HOST, server.port))) as client:
        client.settimeout(3)
        client.sendall(both)
        seen = b""
        while seen.count(b"HTTP/1.1 200") < 2 or not seen.endswith(b"0\r\n\r\n"):
            seen += client.recv(65_536)


def test_a_new_certificate_is_taken_without_a_restart(trust: Trust, stranger: Trust, tmp_path: Path) -> None:
    files = ServerTls(tmp_path / "server.crt", tmp_path / "server.key", trust.ca)
    _copy(stranger.server, files)
    for server in serving(files):
        assert get(server, TlsFiles(stranger.ca))
        files.key.write_text("rubbish")
        assert get(server, TlsFiles(stranger.ca))
        _copy(trust.server, files)
        assert get(server, TlsFiles(trust.ca))


def _copy(source: ServerTls, target: ServerTls) -> None:
    for old, new in ((source.certificate, target.certificate), (source.key, target.key)):
        made = new.with_suffix(".new")
        made.write_bytes(old.read_bytes())
        Path(made).replace(new)


def test_files_that_are_not_fit_are_refused_at_the_start(trust: Trust, tmp_path: Path) -> None:
    with pytest.raises(Broken, match="Cannot use"):
        HttpServer(app, HOST, 0, tls=replace(trust.server, key=tmp_path / "nowhere.key"))


def test_asking_without_verification(server: HttpServer) -> None:
    assert fetch_unverified(f"https://{HOST}:{server.port}", "/x") == {"scheme": "https", "size": 0}
    with pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(
            socket.create_connection((HOST, server.port)), server_hostname="localhost"
        )
