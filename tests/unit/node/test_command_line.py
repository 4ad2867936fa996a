"""What is typed after `NodeEngine`, and which settings it stands for."""

from pathlib import Path

import pytest

from edge_common.model.errors import InvalidInput, NotFound
from node_engine.command_line import parser
from node_engine.commands.typed import engine_settings, join_line

URL, PORT, TOKEN_FILE = "HEDGEROW_NODE_PARENT_URL", "HEDGEROW_NODE_NETWORK_PORT", "token"


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        ("", {}),
        ("-n 6000 -p 10100", {URL: "//localhost:10100", PORT: "6000"}),
        ("-n 6000 -p 10100 -a 192.0.2.7", {URL: "https://192.0.2.7:10100", PORT: "6000"}),
        ("-a edge.example.org", {URL: "https://edge.example.org:10100"}),
        ("-a https://edge.example.org:1 -p 2", {URL: "https://edge.example.org:1"}),
        ("-n 6000", {PORT: "6000"}),
        ("-p 10101 -d", {URL: "//localhost:10101"}),
    ],
)
def test_oakestras_options_are_settings(line: str, settings: dict[str, str]) -> None:
    asked = parser().parse_args(line.split())
    assert asked.command is None
    assert engine_settings(asked.address, asked.port, asked.network) == settings
    assert asked.detached is ("-d" in line)


def test_the_pasted_line_is_settings_and_a_token() -> None:
    line = "join https://192.0.2.7:10100 --token a.b.c --name edge-7 --label x=y --label room=7 -n 6000 --foreground"
    found = join_line(parser().parse_args(line.split()))
    assert (found.token, found.is_foreground) == ("a.b.c", True)
    assert "a.b.c" not in repr(found)
    assert found.settings() == {
        URL: "https://192.0.2.7:10100",
        "HEDGEROW_NODE_NAME": "edge-7",
        "HEDGEROW_NODE_LABELS": "x=y,room=7",
        PORT: "6000",
    }


def test_what_is_not_typed_is_not_set() -> None:
    found = join_line(parser().parse_args(["join", "192.0.2.7"]))
    assert (found.token, found.settings()) == ("", {URL: "https://192.0.2.7:10100"})


def test_a_token_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / TOKEN_FILE
    asked = parser().parse_args(["join", "192.0.2.7", "--token-file", str(file)])
    with pytest.raises(NotFound, match="cannot be read"):
        join_line(asked)
    file.write_text("a.b.c\n")
    assert join_line(asked).token == "a.b.c"


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput):
        join_line(parser().parse_args(["join", "ftp://host"])).settings()


@pytest.mark.parametrize(
    "line", ["-p x", "-p 0", "-n 70000", "join", "join url --token a --token-file b", "dance", "image", "status -o xml"]
)
def test_what_makes_no_sense_is_refused(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(line.split())
    assert ended.value.code == 2 and "NodeEngine" in capsys.readouterr().err
