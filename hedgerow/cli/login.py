"""`hedgerow login` and `hedgerow logout`."""

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from edge_common.model.errors import Unauthenticated
from hedgerow.cli.output import say
from hedgerow.cli.passwords import read_password
from hedgerow.cli.session import URL_VARIABLE, Api, load, local_ca, log_in, save
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
    session = log_in(chosen, username, read_password(f"Password of {username} at {chosen}"), trusted)
    save(layout.session, session)
    say(f"Logged in to {chosen} as {username}.")


def logout(
    is_everywhere: Annotated[
        bool, typer.Option("--everywhere", help="End all your sessions, on all machines.")
    ] = False,
) -> None:
    """End your session, at the root and on this machine.

    Example: hedgerow logout --everywhere
    """
    layout = find_layout(os.environ)
    stored = load(layout.session)
    if stored is None:
        say("You are not logged in.")
        return
    api = Api(stored, layout.session)
    try:
        if is_everywhere:
            api.request("DELETE", f"/api/user/{quote(stored.username, safe='')}/sessions")
        else:
            api.request("POST", "/api/auth/logout")
    except Unauthenticated:
        say("The session had ended before.")
    layout.session.unlink(missing_ok=True)
    say(f"Logged out from {stored.url}.")
