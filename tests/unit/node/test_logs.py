"""How much output is kept, and finding the last lines of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.ids import InstanceId
from node_engine.adapters.log_files import LogFiles
from node_engine.core.logs import LogPolicy, first_kept, tail_start

WEB = InstanceId("web")


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_what_is_kept_never_exceeds_the_policy_and_offsets_only_grow(size: int, start: int) -> None:
    policy = LogPolicy(1000, 100)
    size, start = max(size, start), min(size, start)
    kept = first_kept(size, start, policy)
    assert start <= kept <= size
    assert size - kept <= policy.max_bytes
    assert kept == start or size - kept == policy.max_bytes - policy.step_bytes


@pytest.mark.parametrize(
    ("text", "lines", "expected"),
    [
        (b"a\nb\nc\n", 1, b"c\n"),
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 1, b"c"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"\n\n\n", 2, b"\n\n"),
        (b"abc\n", 0, b""),
        (b"abc\n", 1, None),
        (b"", 3, None),
    ],
)
def test_the_last_lines(text: bytes, lines: int, expected: bytes | None) -> None:
    start = tail_start(text, 1000, lines)
    assert (None if start is None else text[start - 1000 :]) == expected


def test_reading_on_from_a_cursor(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path)
    path = logs.ensure(WEB)
    path.write_bytes(b"one\ntwo\n")
    first = logs.read(WEB, 0, limit=5)
    assert (first.data, first.cursor) == (b"one\nt", 5)
    assert logs.read(WEB, first.cursor).data == b"wo\n"
    assert logs.read(WEB, 8).data == b""
    assert logs.read(WEB, 99).is_gap
    assert logs.ensure(WEB).read_bytes() == b"one\ntwo\n"


def test_trimming_keeps_whole_lines_and_true_cursors(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path, LogPolicy(100_000, 50_000))
    lines = b"".join(b"line %06d\n" % number for number in range(30_000))
    logs.ensure(WEB).write_bytes(lines)
    logs.trim()
    kept = logs.read(WEB, 0)
    assert lines.endswith(kept.data) and kept.data.startswith(b"line ") and kept.cursor == len(lines)
    assert len(kept.data) <= 100_000
    assert logs.path(WEB).stat().st_blocks * 512 <= 100_000
    assert logs.read(WEB, 11).is_gap
    assert logs.tail(WEB, 2).data == b"line 029998\nline 029999\n"
    assert logs.tail(WEB, 10**6).data == kept.data
    logs.trim()
    assert logs.read(WEB, 0) == kept


def test_a_log_goes_with_its_instance(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path)
    logs.ensure(WEB)
    assert logs.instances() == [WEB]
    logs.remove(WEB)
    logs.remove(WEB)
    assert logs.instances() == []
