"""`hedgerow token ...` and `hedgerow waiting ...`: who may become a cluster or a node."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote, urlsplit, urlunsplit

import typer

from edge_common.plumbing.addresses import is_loopback
from hedgerow.cli.durations import left, ttl_s
from hedgerow.cli.names import find_cluster, pick
from hedgerow.cli.output import Format, Output, age, remark, say, show_data, show_rows
from hedgerow.cli.session import Api, connect

tokens = typer.Typer(help="Join tokens: they let clusters and nodes in.", no_args_is_help=True)
waiting = typer.Typer(help="The waiting room: who asked to join without a token.", no_args_is_help=True)

OfCluster = Annotated[
    str, typer.Option("--cluster", "-c", help="Nodes of this cluster; without it clusters of the root.")
]
Token = Annotated[str, typer.Argument(help="Its id.", show_default=False)]
Newcomer = Annotated[str, typer.Argument(help="Name or id.", show_default=False)]

_EVERYWHERE = ("", "0.0.0.0", "::")
_TOKEN_COLUMNS = (
    ("TOKEN", lambda t: t["token_id"]),
    ("STATE", lambda t: t["state"]),
    ("EXPIRES", lambda t: left(t["expires_at"])),
    ("USES", lambda t: f"{t['uses']}/{t['max_uses']}" if t["max_uses"] else t["uses"]),
    ("ADMITS", lambda t: f"a {t['kind']}"),
    ("NOTE", lambda t: t["note"]),
)
_NEWCOMER_COLUMNS = (
    ("NAME", lambda n: n["name"]),
    ("STATE", lambda n: n["state"]),
    ("ASKED", lambda n: f"{age(n['age_s'])} ago"),
    ("ADDRESS", lambda n: n["address"]),
    ("KIND", lambda n: n["kind"]),
    ("ID", lambda n: n["child_id"]),
    ("KEY", lambda n: n["key_fingerprint"]),
)


@tokens.command()
def create(
    cluster: OfCluster = "",
    ttl: Annotated[str, typer.Option(help="How long it is good for: a number and s, m, h or d.")] = "24h",
    uses: Annotated[int, typer.Option(min=0, help="How many may join with it; 0 is any number.")] = 0,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Make a join token and print, this once, what to paste where the newcomer is.

    Examples:

        hedgerow token create --cluster berlin --ttl 2h --uses 10

        hedgerow token create --note "second cluster" > cluster.env
    """
    api = connect()
    of = find_cluster(api, cluster) if cluster else None
    body = {"ttl": ttl_s(ttl), "note": note, **({"max_uses": uses} if uses else {})}
    _show_new(api, of, api.request("POST", _base(of, "join-tokens"), json=body), output)


@tokens.command("ls")
def list_tokens(cluster: OfCluster = "", output: Output = Format.TABLE) -> None:
    """List join tokens. Their secrets are not kept.

    Example: hedgerow token ls --cluster berlin
    """
    api = connect()
    found = api.get(_base(find_cluster(api, cluster) if cluster else None, "join-tokens"))
    show_rows(found, _TOKEN_COLUMNS, output, empty="There is no join token.")


@tokens.command()
def rotate(token: Token, cluster: OfCluster = "", output: Output = Format.TABLE) -> None:
    """Give a join token another secret; the old one is dead at once.

    Example: hedgerow token rotate 3f9a01bc --cluster berlin
    """
    api = connect()
    of = find_cluster(api, cluster) if cluster else None
    path = f"{_base(of, 'join-tokens')}/{quote(token, safe='')}/rotate"
    _show_new(api, of, api.request("POST", path), output)


@tokens.command()
def revoke(token: Token, cluster: OfCluster = "") -> None:
    """Let nobody in with a join token any more. Who joined with it stays.

    Example: hedgerow token revoke 3f9a01bc --cluster berlin
    """
    api = connect()
    of = find_cluster(api, cluster) if cluster else None
    api.request("DELETE", f"{_base(of, 'join-tokens')}/{quote(token, safe='')}")
    say(f"The join token {token} lets nobody in any more.")


@waiting.command("ls")
def list_waiting(cluster: OfCluster = "", output: Output = Format.TABLE) -> None:
    """List who waits to be let in. Compare the key with what the newcomer shows before you admit it.

    Example: hedgerow waiting ls --cluster berlin
    """
    api = connect()
    answer = api.get(_base(find_cluster(api, cluster) if cluster else None, "waiting"))
    closed = "Nobody waits: the waiting room is off, so joining needs a token."
    empty = "Nobody waits." if answer["is_open"] else closed
    show_rows(answer["newcomers"], _NEWCOMER_COLUMNS, output, empty=empty)


@waiting.command()
def admit(newcomer: Newcomer, cluster: OfCluster = "") -> None:
    """Let in who waits. It joins when it asks the next time, within a minute.

    Example: hedgerow waiting admit pi-07 --cluster berlin
    """
    _decide("POST", newcomer, cluster, "/admit", "is let in when it asks the next time")


@waiting.command()
def refuse(newcomer: Newcomer, cluster: OfCluster = "") -> None:
    """Turn away who waits, for a day.

    Example: hedgerow waiting refuse pi-07 --cluster berlin
    """
    _decide("DELETE", newcomer, cluster, "", "is refused for a day")


def _decide(method: str, newcomer: str, cluster: str, action: str, done: str) -> None:
    api = connect()
    base = _base(find_cluster(api, cluster) if cluster else None, "waiting")
    known = api.get(base)["newcomers"]
    found = pick("newcomer", newcomer, ((each, (each["child_id"], each["name"])) for each in known))
    api.request(method, f"{base}/{quote(found['child_id'], safe='')}{action}")
    say(f"{found['name']} ({found['child_id']}, from {found['address']}) {done}.")


def _base(cluster: Mapping[str, Any] | None, what: str) -> str:
    return f"/api/{what}" if cluster is None else f"/api/clusters/{quote(cluster['cluster_id'], safe='')}/{what}"


def _show_new(api: Api, cluster: Mapping[str, Any] | None, made: Mapping[str, Any], output: Format) -> None:
    """The lines to paste go to stdout, what people need to know to stderr."""
    if output is not Format.TABLE:
        show_data(made, output)
        return
    if cluster is None:
        host, line = urlsplit(api.url).hostname or "", "SYSTEM_MANAGER_URL={url}\nCLUSTER_JOIN_TOKEN={token}"
        url = api.url
    else:
        host, line = cluster["ip"], "NodeEngine join {url} --token {token}"
        url = _url(host, cluster["port"])
    if is_loopback(host) or host in _EVERYWHERE:
        url = urlunsplit(("https", f"HOST:{urlsplit(url).port}", "", "", ""))
        remark("Put the address under which the newcomer reaches it in place of HOST.")
    if cluster is not None and host and is_loopback(host):
        name = cluster["cluster_name"]
        remark(f"{name} listens on its own machine only; for others, `hedgerow up --listen ADDRESS` there first.")
    sys.stdout.write(line.format(url=url, token=made["token"]) + "\n")
    ends = f"expires {left(made['expires_at'])}" if made["expires_at"] else "never expires"
    remark(f"It is not shown again. Token {made['token_id']} {ends}.")


def _url(host: str, port: int) -> str:
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
