"""The server with the API in it, over real sockets."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from edge_common.model.errors import Broken
from edge_common.plumbing.http_server import HttpServer
from tests.unit.root.world import World


@pytest.fixture
def server() -> Iterator[HttpServer]:
    serving = HttpServer(World().app, "127.0.0.1", 0, threads=2, max_body_bytes=64 * 1024)
    serving.start()
    yield serving
    serving.stop()


def connection(server: HttpServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)


def login(client: http.client.HTTPConnection, **options: object) -> http.client.HTTPResponse:
    body = json.dumps({"username": "Admin", "password": "Admin"})
    client.request("POST", "/api/auth/login", body, {"Content-Type": "application/json"})
    return client.getresponse()


def test_it_answers_and_keeps_the_connection(server: HttpServer) -> None:
    with closing(connection(server)) as client:
        for _ in range(3):
            client.request("GET", "/api/health")
            response = client.getresponse()
            assert (response.status, json.loads(response.read())["status"]) == (200, "ok")
            assert response.getheader("X-Request-Id")
        response = login(client)
        assert response.status == 200 and json.loads(response.read())["token"]


def test_a_chunked_body_is_read(server: HttpServer) -> None:
    with closing(connection(server)) as client:
        parts = iter([b'{"username": "Admin", ', b'"password": "Admin"}'])
        client.request("POST", "/api/auth/login", parts, {"Content-Type": "application/json"}, encode_chunked=True)
        response = client.getresponse()
        assert response.status == 200, response.read()


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_an_oversized_body_is_refused(server: HttpServer, size: int) -> None:
    with closing(connection(server)) as client:
        client.putrequest("POST", "/api/auth/login")
        client.putheader("Content-Type", "application/json")
        client.putheader("Content-Length", str(size))
        client.endheaders()
        response = client.getresponse()
        assert response.status == 413


def test_an_oversized_chunked_body_is_refused(server: HttpServer) -> None:
    with closing(connection(server)) as client:
        parts = iter([b" " * 10_000] * 10)
        with suppress(BrokenPipeError):  # it answers, and closes, before all of it was sent
            client.request("POST", "/api/auth/login", parts, {"Content-Type": "application/json"}, encode_chunked=True)
        assert client.getresponse().status == 413


def test_a_port_that_is_taken_is_told(server: HttpServer) -> None:
    with pytest.raises(Broken, match=f"Cannot listen on 127.0.0.1:{server.port}"):
        HttpServer(World().app, "127.0.0.1", server.port).start()


def test_it_stops_and_frees_its_port(server: HttpServer) -> None:
    server.stop()
    again = HttpServer(World().app, "127.0.0.1", server.port)
    again.start()
    again.stop()
