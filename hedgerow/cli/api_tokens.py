"""`hedgerow api-token ...`: personal tokens for programs."""

import sys
import time
from typing import Annotated
from urllib.parse import quote

import typer

from hedgerow.cli.durations import left, ttl_s
from hedgerow.cli.names import pick
from hedgerow.cli.output import Format, Output, age, remark, say, show_data, show_rows
from hedgerow.cli.session import connect

app = typer.Typer(help="Personal API tokens, for programs that act in your name.", no_args_is_help=True)

_COLUMNS = (
    ("TOKEN", lambda t: t["name"]),
    ("ROLES", lambda t: ", ".join(t["scopes"])),
    ("EXPIRES", lambda t: left(t["expires_at"])),
    ("USED", lambda t: f"{age(time.time() - t['last_used_at'])} ago" if t["last_used_at"] else "never"),
    ("USER", lambda t: t["username"]),
    ("ID", lambda t: t["token_id"]),
)
_OF = typer.Option("--user", help="Another user's, as an admin.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for.", show_default=False)],
    ttl: Annotated[str, typer.Option(help="How long it is good for: a number and s, m, h or d.")] = "90d",
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", "-r", help="One of your roles; may be given again. All when left out."),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Make a token and print it, this once.

    Programs send it as a bearer token; `hedgerow` itself takes it from HEDGEROW_TOKEN, instead of a session.
    It can have roles of yours only: for a program that may do less, make a user.

    Examples:

        hedgerow api-token create ci --ttl 30d > token

        HEDGEROW_TOKEN=$(cat token) hedgerow deploy shop.yaml
    """
    body = {"name": name, "ttl": ttl_s(ttl), **({"scopes": roles} if roles else {})}
    made = connect().request("POST", "/api/tokens", json=body)
    if output is not Format.TABLE:
        show_data(made, output)
        return
    sys.stdout.write(f"{made['token']}\n")
    note = f"Keep it: it is not shown again. It is good for {age(made['expires_at'] - made['created_at'])}."
    remark(note)


@app.command("ls")
def list_all(user: Annotated[str, _OF] = "", output: Output = Format.TABLE) -> None:
    """List your tokens.

    Example: hedgerow api-token ls
    """
    found = connect().get("/api/tokens", {"user": user or None})
    show_rows(found, _COLUMNS, output, empty="There is no token.")


@app.command()
def rm(
    token: Annotated[str, typer.Argument(help="Name or id.", show_default=False)],
    user: Annotated[str, _OF] = "",
) -> None:
    """Revoke a token; it counts no more from this moment.

    Example: hedgerow api-token rm ci
    """
    api = connect()
    known = api.get("/api/tokens", {"user": user or None})
    found = pick("token", token, ((each, (each["token_id"], each["name"])) for each in known))
    say(api.request("DELETE", f"/api/tokens/{quote(found['token_id'], safe='')}")["message"])
