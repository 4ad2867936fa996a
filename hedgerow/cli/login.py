"""`hedgerow login`."""

import os
import sys
from typing import Annotated

import typer

from edge_common.model.errors import InvalidInput
from hedgerow.cli.output import say
from hedgerow.cli.session import URL_VARIABLE, load, log_in, save
from hedgerow.machine.layout import find_layout


def login(
    url: Annotated[str, typer.Option(help="The root's address; the one of the last login, or this machine.")] = "",
    username: Annotated[str, typer.Option("--username", "-u", help="Who you are there.")] = "Admin",
) -> None:
    """Log in to a root. The password is asked for, or read from standard input.

    Examples:

        hedgerow login --url http://root.example:10000

        hedgerow login -u ada < password-file
    """
    layout = find_layout(os.environ)
    stored = load(layout.session)
    chosen = url or os.environ.get(URL_VARIABLE) or (stored.url if stored else layout.api_url)
    session = log_in(chosen, username, _read_password(username, chosen))
    save(layout.session, session)
    say(f"Logged in to {chosen} as {username}.")


def _read_password(username: str, url: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(f"Password of {username} at {url}", hide_input=True))
    password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise InvalidInput("There is no password on standard input; write one line.")
    return password
