"""Which root a login believes: over real TLS on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_common.model.errors import Broken, Forbidden, InvalidInput, Unreachable
from edge_common.plumbing.http_server import HttpServer
from hedgerow.cli.session import Api, Session, load, log_in, save
from hedgerow.cli.trust import pinned_ca
from tests.parts.trust import Trust


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("trust") / "ca")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("stranger") / "ca", "stranger")


@pytest.fixture(scope="module")
def heard() -> list[str]:
    return []


@pytest.fixture(scope="module")
def url(trust: Trust, heard: list[str]) -> Iterator[str]:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        heard.append(environ["PATH_INFO"])
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"ca": trust.ca.read_text(), "token": "a-token"}).encode()]

    server = HttpServer(app, "127.0.0.1", 0, threads=2, tls=trust.server)
    server.start()
    yield f"https://127.0.0.1:{server.port}"
    server.stop()


def test_a_fingerprint_is_kept_as_a_file(url: str, trust: Trust, tmp_path: Path) -> None:
    spelled = ":".join(trust.authority.fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
    kept = pinned_ca(url, "", None, spelled, tmp_path)
    assert Path(kept).read_text() == trust.ca.read_text()
    assert Path(kept).name == f"{trust.authority.fingerprint}.pem"
    session = log_in(url, "ada", "secret", kept)
    assert (session.ca, session.token) == (kept, "a-token")
    save(tmp_path / "session.json", session)
    again = load(tmp_path / "session.json")
    assert again == session
    assert Api(again).get("/api/clusters")


def test_another_root_is_told_nothing(url: str, stranger: Trust, heard: list[str], tmp_path: Path) -> None:
    heard.clear()
    with pytest.raises(Forbidden, match="this is not the root that you mean"):
        pinned_ca(url, "", None, stranger.authority.fingerprint, tmp_path)
    assert heard == ["/api/link/hello"]
    heard.clear()
    kept = pinned_ca(url, "", stranger.ca, "", tmp_path)
    with pytest.raises(Unreachable, match="cannot be trusted"):
        log_in(url, "ada", "secret", kept)
    assert heard == []


def test_a_root_that_was_known_must_stay_the_same(url: str, stranger: Trust, tmp_path: Path) -> None:
    assert pinned_ca(url, str(stranger.ca), None, "", tmp_path) == str(stranger.ca)
    with pytest.raises(Unreachable, match="cannot be trusted"):
        Api(Session(url, "token", ca=str(stranger.ca))).get("/api/clusters")


def test_an_unknown_root_needs_somebody_who_knows_it(
    url: str, trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", (tmp_path / "nothing").open("w+"))
    with pytest.raises(InvalidInput, match=f"--ca-fingerprint {trust.authority.fingerprint}"):
        pinned_ca(url, str(tmp_path / "gone.pem"), None, "", tmp_path)


@pytest.mark.parametrize("typed", ["12", "g" * 64, "0" * 65])
def test_what_is_no_fingerprint(url: str, typed: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="64 hexadecimal digits"):
        pinned_ca(url, "", None, typed, tmp_path)


def test_files_that_are_no_ca(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        pinned_ca(url, "", tmp_path / "gone.pem", "", tmp_path)
    (tmp_path / "rubbish.pem").write_text("rubbish")
    with pytest.raises(InvalidInput, match="not one certificate"):
        pinned_ca(url, "", tmp_path / "rubbish.pem", "", tmp_path)


def test_plain_http_is_for_this_machine_only(tmp_path: Path) -> None:
    assert pinned_ca("http://127.0.0.1:10000", "", None, "", tmp_path) == ""
    with pytest.raises(InvalidInput, match="Use https://"):
        pinned_ca("http://10.0.0.1:10000", "", None, "", tmp_path)


def test_something_else_is_no_root(trust: Trust, tmp_path: Path) -> None:
    def app(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b"[]"]

    server = HttpServer(app, "127.0.0.1", 0, threads=1, tls=trust.server)
    server.start()
    try:
        with pytest.raises(Broken, match="Is it a root of Hedgerow"):
            pinned_ca(f"https://127.0.0.1:{server.port}", "", None, trust.authority.fingerprint, tmp_path)
    finally:
        server.stop()
