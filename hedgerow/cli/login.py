"""`hedgerow login`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_common.model.errors import InvalidInput
from hedgerow.cli.output import say
from hedgerow.cli.session import URL_VARIABLE, load, local_ca, log_in, save
from hedgerow.cli.trust import pinned_ca
from hedgerow.machine.layout import find_layout


def login(
    url: Annotated[str, typer.Option(help="The root's address; the one of the last login, or this machine.")] = "",
    username: Annotated[str, typer.Option("--username", "-u", help="Who you are there.")] = "Admin",
    ca_fingerprint: Annotated[
        str, typer.Option(help="Of the root's CA, as its operator told you.", metavar="HEX")
    ] = "",
    ca: Annotated[Path | None, typer.Option(help="A file with the root's CA.", show_default=False)] = None,
) -> None:
    """Log in to a root. The password is asked for, or read from standard input.

    A root on another machine is known by its CA. Without --ca-fingerprint or --ca the fingerprint is shown at the
    first login, to be compared; later logins know it.

    Examples:

        hedgerow login --url https://root.example:10000

        hedgerow login -u ada < password-file
    """
    layout = find_layout(os.environ)
    stored = load(layout.session)
    chosen = url or os.environ.get(URL_VARIABLE) or (stored.url if stored else layout.api_url)
    known = (stored.ca if stored is not None and stored.url == chosen else "") or local_ca(layout, chosen)
    trusted = pinned_ca(chosen, known, ca, ca_fingerprint, layout.session.parent / "authorities")
    session = log_in(chosen, username, _read_password(username, chosen), trusted)
    save(layout.session, session)
    say(f"Logged in to {chosen} as {username}.")


def _read_password(username: str, url: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(f"Password of {username} at {url}", hide_input=True))
    password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise InvalidInput("There is no password on standard input; write one line.")
    return password
