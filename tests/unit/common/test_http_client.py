import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from edge_common.model.errors import (
    Broken,
    Conflict,
    Forbidden,
    HedgerowError,
    Incompatible,
    InvalidInput,
    NotFound,
    Overloaded,
    Temporary,
    TooLarge,
    Unauthenticated,
    Unreachable,
    Unsupported,
)
from edge_common.plumbing.http_client import HttpClient
from tests.support import free_port


@dataclass
class Server:
    """Answers every request alike and remembers the last."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    is_silent: threading.Event | None = None
    method: str = ""
    path: str = ""
    seen_headers: dict[str, str] = field(default_factory=dict)
    seen_body: bytes = b""
    url: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            state.method, state.path, state.seen_headers = self.command, self.path, dict(self.headers)
            state.seen_body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if state.is_silent is not None:
                state.is_silent.wait(30)
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - what the standard library calls

        def log_message(self, format: str, *args: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}"
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


def test_what_is_sent_and_what_comes_back(server: Server) -> None:
    server.body = b'{"answer": [1, "\xc3\xbc"]}'
    client = HttpClient(server.url + "/", token="secret")
    answer = client.request(
        "POST",
        "/api/x",
        json={"a": "ü"},
        params={"q": "a b&c", "n": 3, "yes": True, "none": None},
        headers={"X-A": "1"},
    )
    client.close()
    assert answer == {"answer": [1, "ü"]}
    assert (server.method, server.path) == ("POST", "/api/x?q=a+b%26c&n=3&yes=true")
    assert json.loads(server.seen_body) == {"a": "ü"}
    wanted = {"Authorization": "Bearer secret", "Content-Type": "application/json", "X-A": "1"}
    assert wanted.items() <= server.seen_headers.items()


def test_without_a_body_or_a_token_nothing_is_made_up(server: Server) -> None:
    server.body = b""
    assert HttpClient(server.url).request("DELETE", "/api/x") is None
    assert server.seen_body == b""
    assert not {"Authorization", "Content-Type"} & server.seen_headers.keys()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, Broken), (400, InvalidInput), (401, Unauthenticated), (403, Forbidden), (404, NotFound),
        (409, Conflict), (413, TooLarge), (422, InvalidInput), (426, Incompatible), (429, Overloaded),
        (500, Temporary), (501, Unsupported), (502, Unreachable), (503, Temporary), (504, Unreachable),
    ],
)  # fmt: skip
def test_a_refusal_is_the_error_it_stands_for(server: Server, status: int, error: type[HedgerowError]) -> None:
    server.status = status
    server.body = json.dumps({"code": status, "status": "x", "message": "Because.", "field": "name"}).encode()
    server.headers = {"Location": "/elsewhere"}
    with pytest.raises(error) as refused:
        HttpClient(server.url).request("GET", "/api/x")
    assert type(refused.value) is error
    if error is not Broken:
        assert str(refused.value) == "Because."
    if isinstance(refused.value, InvalidInput):
        assert refused.value.field == "name"


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"message": 3, "field": {}}', b"\xff"])
def test_a_refusal_in_no_format_of_ours_still_says_what_happened(server: Server, body: bytes) -> None:
    server.status, server.body = 404, body
    with pytest.raises(NotFound, match=r"GET http://127.* was answered with status 404"):
        HttpClient(server.url).request("GET", "/api/x")


def test_an_answer_that_is_no_json_is_broken(server: Server) -> None:
    server.body = b"<html>hello</html>"
    with pytest.raises(Broken, match="not JSON"):
        HttpClient(server.url).request("GET", "/")


def test_a_server_that_does_not_answer_in_time_is_unreachable(server: Server) -> None:
    server.is_silent = threading.Event()
    with pytest.raises(Unreachable, match="did not answer GET /slow"):
        HttpClient(server.url, timeout_s=0.1).request("GET", "/slow")
    server.is_silent.set()


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}", "https://name.invalid:1", "https://127.0.0.1:{port}"])
def test_nobody_there_is_unreachable(address: str) -> None:
    with pytest.raises(Unreachable):
        HttpClient(address.format(port=free_port()), timeout_s=2.0).request("GET", "/")
