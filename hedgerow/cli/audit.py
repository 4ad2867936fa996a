"""`hedgerow audit`: who did what."""

import json
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from hedgerow.cli.output import Column, Format, Output, printable, show_data, show_rows, stdout
from hedgerow.cli.session import connect

PAGE = 1000
_FOLLOW_POLL_S = 1.0

_COLUMNS: tuple[Column, ...] = (
    ("WHEN", lambda e: datetime.fromtimestamp(e["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")),
    ("USER", lambda e: f"{e['username']} ({e['token']})" if e["token"] else e["username"]),
    ("FROM", lambda e: e["address"]),
    ("DID", lambda e: f"{e['verb']} {e['resource']}"),
    ("TO", lambda e: e["object"]),
    ("OUTCOME", lambda e: e["outcome"]),
    ("WHY", lambda e: e["reason"]),
)


def audit(
    is_following: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is done.")] = False,
    count: Annotated[int, typer.Option("--tail", "-n", min=1, max=PAGE, help="How many of the last entries.")] = 50,
    output: Output = Format.TABLE,
) -> None:
    """Show who changed what, who logged in, and what was refused; the newest last.

    An Admin sees all of it, an Organization_Admin what the organisation's users did.
    With -f, JSON is one object a line.

    Examples:

        hedgerow audit -n 200

        hedgerow audit -f
    """
    api = connect()
    answer = api.get("/api/audit", {"limit": count})
    entries = list(reversed(answer["entries"]))
    if not is_following:
        show_rows(entries, _COLUMNS, output, empty="There is no entry yet.")
        return
    while True:
        for entry in entries:
            show_line(entry, output)
        if len(entries) < PAGE:
            time.sleep(_FOLLOW_POLL_S)
        answer = api.get("/api/audit", {"after": answer["last"], "limit": PAGE})
        entries = answer["entries"]


def show_line(entry: Mapping[str, Any], output: Format) -> None:
    """One entry, as it comes."""
    if output is Format.TABLE:
        cells = [printable(str(pick(entry))).replace("\n", " ") for _, pick in _COLUMNS]
        stdout().print("  ".join(cell for cell in cells if cell), markup=False, soft_wrap=True)
    elif output is Format.JSON:
        sys.stdout.write(json.dumps(entry, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    else:
        show_data([entry], output)
