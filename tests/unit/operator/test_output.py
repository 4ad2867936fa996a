"""What others wrote is shown as text: it must not steer the operator's terminal."""

import pytest

from hedgerow.cli import audit
from hedgerow.cli.output import Format, complain, say, show_rows

STEERING = "pi\x1b]0;owned\x07\x1b[2Jx\x9b1mé"
SHOWN = "pi\\x1b]0;owned\\x07\\x1b[2Jx\\x9b1mé"


def test_control_characters_in_a_table_are_shown_and_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([{"name": STEERING}], [("NAME", lambda row: row["name"])], Format.TABLE)
    assert SHOWN in capsys.readouterr().out


def test_control_characters_in_a_sentence_are_shown_and_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"{STEERING} waits.")
    complain(f"{STEERING} is gone.", [STEERING])
    written = capsys.readouterr()
    assert written.out == f"{SHOWN} waits.\n"
    assert written.err == f"hedgerow: {SHOWN} is gone.\n  {SHOWN}\n"


def test_an_entry_of_the_audit_log_that_is_followed_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    texts = dict.fromkeys(("username", "token", "address", "verb", "resource", "outcome", "reason"), "a")
    audit.show_line({**texts, "at": 0.0, "object": f"{STEERING}\n2026-01-01 00:00:00  Admin"}, Format.TABLE)
    (line,) = capsys.readouterr().out.splitlines()
    assert f"{SHOWN} 2026" in line
