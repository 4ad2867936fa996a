"""What people and programs see: tables on a terminal, the same data as JSON or YAML."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

_PIPE_WIDTH = 240
_GOOD = frozenset({"running", "ready", "completed", "ok", "healthy", "true", "yes"})
_BAD = frozenset({"failed", "dead", "lost", "stopped", "unreachable", "unhealthy"})
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the answer.", show_default=True)]

Column = tuple[str, Callable[[Mapping[str, Any]], object]]


def stdout() -> Console:
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


def stderr() -> Console:
    return Console(file=sys.stderr, width=None if sys.stderr.isatty() else _PIPE_WIDTH, highlight=False)


def printable(text: str) -> str:
    """Control characters as escapes: names and reasons are what others wrote, and must not steer a terminal."""
    return text.translate(_CONTROLS)


def say(text: str) -> None:
    stdout().print(printable(text), markup=False)


def remark(text: str) -> None:
    """For people alone: what is printed for programs stays as it is."""
    stderr().print(printable(text), markup=False)


def complain(sentence: str, lines: Iterable[str] = ()) -> None:
    console = stderr()
    console.print(printable(f"hedgerow: {sentence}"), markup=False, style="red" if console.is_terminal else None)
    for line in lines:
        console.print(printable(f"  {line}"), markup=False, style="dim" if console.is_terminal else None)


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], output: Format, empty: str = "") -> None:
    """`empty` is said instead of a table without rows."""
    if output is not Format.TABLE:
        show_data(list(rows), output)
    elif not rows and empty:
        say(empty)
    else:
        stdout().print(table(rows, columns))


def show_data(data: Any, output: Format) -> None:
    sys.stdout.write(as_text(data, output))


def as_text(data: Any, output: Format) -> str:
    if output is Format.YAML:
        import yaml

        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> Table:
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, _ in columns:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(_cell(pick(row)) for _, pick in columns))
    return made


def facts(pairs: Iterable[tuple[str, object]]) -> Table:
    """Names and values of one thing, below each other; empty values are left out."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for name, value in pairs:
        if value not in ("", None, [], ()):
            made.add_row(name, _cell(value))
    return made


def age(seconds: float | None) -> str:
    """As in `3 s`, `12 min`, `4 h`, `9 d`."""
    if seconds is None:
        return ""
    for limit, unit_s, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds / unit_s)} {unit}"
    return f"{int(seconds / 86_400)} d"


def _cell(value: object) -> Any:
    from rich.text import Text

    text = "" if value is None else printable(str(value))
    word = text.partition(" ")[0].rstrip(",").lower()
    style = "green" if word in _GOOD else "red" if word in _BAD else ""
    return Text(text, style=style)
