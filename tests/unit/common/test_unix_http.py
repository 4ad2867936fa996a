"""HTTP over a unix socket: who may open it, who may take it over, and what a client hears when nobody is there."""

import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify, request

from edge_common.model.errors import Broken, NotFound, Unreachable
from edge_common.plumbing.http_app import create_app
from edge_common.plumbing.http_server import HttpServer
from edge_common.plumbing.unix_client import UnixHttpClient


def echo() -> Flask:
    app = create_app("echo", lambda _: None)
    app.add_url_rule("/echo", view_func=lambda: jsonify(request.get_json()), endpoint="echo", methods=["PUT"])
    return app


def server(path: Path) -> HttpServer:
    return HttpServer(echo(), "", 0, threads=2, path=path)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    serving = server(tmp_path / "s.sock")
    serving.start()
    yield tmp_path / "s.sock"
    serving.stop()


def test_it_answers_and_only_its_owner_may_ask(path: Path) -> None:
    client = UnixHttpClient(path)
    body: dict[str, Any] = {"a": [1, "ö"]}
    for _ in range(3):
        assert client.request("PUT", "/echo", json=body) == body
    with pytest.raises(NotFound, match="nothing at /other"):
        client.request("GET", "/other")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    client.close()


def test_the_socket_of_one_that_runs_is_not_taken_over(path: Path) -> None:
    with pytest.raises(Broken, match=r"serves .* already"):
        server(path).start()
    assert UnixHttpClient(path).request("PUT", "/echo", json={}) == {}


def test_a_socket_that_a_dead_one_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s.sock"))
    serving = server(tmp_path / "s.sock")
    serving.start()
    assert UnixHttpClient(tmp_path / "s.sock").request("PUT", "/echo", json={}) == {}
    serving.stop()


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"unix://.*no\.sock did not answer GET /x: No such file or directory"):
        UnixHttpClient(tmp_path / "no.sock").request("GET", "/x")
