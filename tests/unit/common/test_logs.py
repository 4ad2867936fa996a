import logging
import sys

import pytest

from edge_common.model.errors import InvalidInput
from edge_common.plumbing.logs import LineFormatter, configure


def record(message: str, *args: object, exc_info: object = None) -> logging.LogRecord:
    made = logging.LogRecord("a.b", logging.WARNING, "file.py", 1, message, args, exc_info)  # type: ignore[arg-type]
    made.created = 1_800_000_000.1234
    return made


def test_a_line_has_time_level_service_logger_and_message() -> None:
    line = LineFormatter("root").format(record("node=%s is lost", "n1"))
    assert line == "2027-01-15T08:00:00.123Z level=warning service=root logger=a.b node=n1 is lost"


def test_a_record_stays_one_line() -> None:
    line = LineFormatter("root").format(record("name=%s", "a\n2027 level=error forged\r\x1b[31m"))
    assert line.isprintable()
    assert "name=a\\n2027 level=error forged\\r\\x1b[31m" in line


def test_a_traceback_stays_on_the_line() -> None:
    try:
        raise ValueError("because")
    except ValueError:
        line = LineFormatter("root").format(record("it failed", exc_info=sys.exc_info()))
    assert line.isprintable()
    assert "it failed traceback=Traceback" in line
    assert line.endswith("ValueError: because")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(InvalidInput, match="DEBUG, INFO, WARNING, ERROR"):
        configure("root", "chatty")
