"""What an operator types for a cluster, the settings file, the unit, and who holds the engine's lock."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.errors import Broken, Conflict, InvalidInput
from edge_common.plumbing.clock import FakeClock
from node_engine.adapters.cluster_address import cluster_url, dialled_url
from node_engine.adapters.engine_lock import EngineLock, running_engine
from node_engine.adapters.link_note import LinkNote, NotingEvents, read_note
from node_engine.adapters.settings_file import effective, find_places, read_settings, write_settings
from node_engine.adapters.units import Unit, unit_text
from tests.support import free_port

NAME = "HEDGEROW_NODE_NAME"


@pytest.mark.parametrize(
    ("typed", "port", "url"),
    [
        ("192.0.2.7", 10100, "https://192.0.2.7:10100"),
        ("192.0.2.7", 443, "https://192.0.2.7:443"),
        ("192.0.2.7:8443", 10100, "https://192.0.2.7:8443"),
        ("edge.example.org", 10100, "https://edge.example.org:10100"),
        ("https://edge.example.org:1234/", 10100, "https://edge.example.org:1234"),
        ("http://10.0.0.1", 10100, "http://10.0.0.1:10100"),
        ("2001:db8::7", 10100, "https://[2001:db8::7]:10100"),
        ("[2001:db8::7]:99", 10100, "https://[2001:db8::7]:99"),
        ("localhost", 10100, "//localhost:10100"),
        ("127.0.0.1", 10100, "//127.0.0.1:10100"),
        ("::1", 10100, "//[::1]:10100"),
        ("http://127.0.0.1:10100", 10100, "http://127.0.0.1:10100"),
    ],
)
def test_an_address_becomes_a_url(typed: str, port: int, url: str) -> None:
    assert cluster_url(typed, port) == url
    assert cluster_url(url) == url


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "https://",
        "ftp://host",
        "host:port",
        "host:0",
        "host:70000",
        "user@host",
        "https://host/path",
        "a b",
        "host?x",
    ],
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput):
        cluster_url(typed)


def test_only_an_open_scheme_on_loopback_is_asked_for() -> None:
    assert dialled_url("https://192.0.2.7:10100") == "https://192.0.2.7:10100"
    port = free_port()
    assert dialled_url(f"//127.0.0.1:{port}") == f"http://127.0.0.1:{port}"
    assert dialled_url("//192.0.2.7:10100") == "https://192.0.2.7:10100"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    environ = {"HEDGEROW_HOME": str(tmp_path)}
    places = find_places(environ)
    write_settings(places.settings_file, {NAME: "kept", "HEDGEROW_NODE_LABELS": "a=b,c=d"})
    assert places.settings_file.stat().st_mode & 0o777 == 0o600
    assert effective(environ)[NAME] == "kept"
    assert effective({**environ, NAME: "given"})[NAME] == "given"
    assert effective(environ)["HEDGEROW_NODE_DATA_DIR"] == str(tmp_path / "data" / "node")


def test_a_node_of_hedgerow_up_has_no_file(tmp_path: Path) -> None:
    environ = {"HEDGEROW_HOME": str(tmp_path), "HEDGEROW_MACHINE": "here"}
    write_settings(find_places(environ).settings_file, {NAME: "kept"})
    assert effective(environ) == environ


def test_what_people_write_into_the_file_is_understood(tmp_path: Path) -> None:
    file = tmp_path / "node.env"
    file.write_text(f"# a comment\n\n {NAME} = 'edge 7' \nHEDGEROW_NODE_ADDRESS=\n")
    assert read_settings(file) == {NAME: "edge 7", "HEDGEROW_NODE_ADDRESS": ""}
    assert read_settings(tmp_path / "none") == {}


@pytest.mark.parametrize("line", ["HEDGEROW_NODE_NAME", "PATH=/bin", "=x", "HEDGEROW_ROOT_NAME=x"])
def test_a_line_that_is_no_setting_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "node.env"
    file.write_text(f"\n{line}\n")
    with pytest.raises(Broken, match="Line 2"):
        read_settings(file)


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_value_is_read_as_it_was_written_or_refused(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    file = tmp_path_factory.mktemp("settings") / "node.env"
    try:
        write_settings(file, {NAME: value})
    except InvalidInput:
        return
    assert read_settings(file) == {NAME: value}


def test_one_engine_has_the_lock(tmp_path: Path) -> None:
    assert running_engine(tmp_path) is None
    lock = EngineLock(tmp_path)
    assert running_engine(tmp_path) is not None
    with pytest.raises(Conflict, match="runs with"):
        EngineLock(tmp_path, wait_s=0.0)
    lock.release()
    assert running_engine(tmp_path) is None
    EngineLock(tmp_path, wait_s=0.0).release()


class Listener:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def on_connected(self, has_session: bool) -> None:
        self.heard.append(has_session)

    def on_disconnected(self, reason: str) -> None:
        self.heard.append(reason)

    def on_message(self, topic: str, payload: bytes, is_retained: bool) -> None:
        self.heard.append((topic, payload, is_retained))


def test_the_link_is_noted_when_it_comes_and_goes(tmp_path: Path) -> None:
    clock, heard = FakeClock(1000.0), Listener()
    events = NotingEvents(heard, tmp_path, clock)
    clock.advance(5)
    events.on_connected(True)
    assert read_note(tmp_path) == LinkNote(True, 1005.0)
    clock.advance(5)
    events.on_disconnected("refused")
    clock.advance(5)
    events.on_disconnected("no route")
    events.on_message("t", b"p", False)
    assert read_note(tmp_path) == LinkNote(False, 1010.0, "no route")
    assert heard.heard == [True, "refused", "no route", ("t", b"p", False)]
    (tmp_path / "link.json").write_text("{")
    assert read_note(tmp_path) is None


def test_a_unit_starts_this_program() -> None:
    assert "\nExecStart=/opt/x/NodeEngine_amd64\n" in unit_text(("/opt/x/NodeEngine_amd64",))
    assert '\nExecStart="/a b/100%%" -m node_engine\n' in unit_text(("/a b/100%", "-m", "node_engine"))


def test_the_unit_is_installed_once_and_started_anew(tmp_path: Path) -> None:
    ran: list[str] = []

    def run(argv: Sequence[str]) -> str:
        ran.append(" ".join(argv))
        return ""

    unit = Unit(run, tmp_path, tmp_path)
    assert unit.is_supported() and not unit.is_installed()
    unit.start(("/bin/NodeEngine",))
    unit.start(("/bin/Other",))
    assert "ExecStart=/bin/NodeEngine\n" in (tmp_path / "hedgerow-node.service").read_text()
    start = ["systemctl enable --quiet hedgerow-node.service", "systemctl restart hedgerow-node.service"]
    assert ran == ["systemctl daemon-reload", *start, *start]
    unit.disable()
    assert ran[-1] == "systemctl disable --quiet --now hedgerow-node.service"
