"""`hedgerow cluster ...` and `hedgerow node ...`."""

from typing import Annotated
from urllib.parse import quote

import typer

from hedgerow.cli.names import Document, find_cluster, find_node
from hedgerow.cli.output import Format, Output, age, complain, facts, say, show_data, show_rows, stdout
from hedgerow.cli.session import Api, connect

clusters = typer.Typer(help="Clusters of nodes.", no_args_is_help=True)
nodes = typer.Typer(help="Nodes: the machines that run instances.", no_args_is_help=True)

Cluster = Annotated[str, typer.Argument(help="Name or id.", show_default=False)]
Node = Annotated[str, typer.Argument(help="Name, cluster.name or id.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Also when it is there and ready.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_CLUSTER_COLUMNS = (
    ("CLUSTER", lambda c: c["cluster_name"]),
    ("STATE", lambda c: c["readiness"]),
    ("HEARD", lambda c: f"{age(c['age_s'])} ago"),
    ("NODES", lambda c: f"{c['active_nodes']}/{c['node_count']}"),
    ("INSTANCES", lambda c: c["instance_count"]),
    ("FREE CPU", lambda c: f"{c['free_cpu_cores']:g}"),
    ("FREE MEMORY", lambda c: f"{c['memory_in_mb']} MiB"),
    ("LOCATION", lambda c: c["cluster_location"]),
    ("ID", lambda c: c["cluster_id"]),
)
NODE_COLUMNS = (
    ("NODE", lambda n: n["node_name"]),
    ("STATE", lambda n: n["readiness"] + (", cordoned" if n["is_cordoned"] else "")),
    ("UNHEARD", lambda n: age(n["unheard_s"]) if n["unheard_s"] else ""),
    ("CLUSTER", lambda n: n["cluster_name"]),
    ("ADDRESS", lambda n: n["address"]),
    ("ARCH", lambda n: n["architecture"]),
    ("INSTANCES", lambda n: n["instances"]),
    ("FREE CPU", lambda n: f"{n['free']['cpu_millis'] / 1000:g}"),
    ("FREE MEMORY", lambda n: f"{n['free']['memory_mb']} MiB"),
    ("ID", lambda n: n["node_id"]),
)


@clusters.command("ls")
def list_clusters(output: Output = Format.TABLE) -> None:
    """List clusters.

    Example: hedgerow cluster ls
    """
    show_rows(connect().get("/api/clusters"), _CLUSTER_COLUMNS, output, empty="No cluster has joined yet.")


@clusters.command("show")
def show_cluster(cluster: Cluster, output: Output = Format.TABLE) -> None:
    """Show a cluster.

    Example: hedgerow cluster show local
    """
    api = connect()
    found = find_cluster(api, cluster)
    _show(api.get(f"/api/clusters/{found['cluster_id']}"), output)


@nodes.command("ls")
def list_nodes(output: Output = Format.TABLE) -> None:
    """List the nodes of all clusters.

    Example: hedgerow node ls
    """
    answer = connect().get("/api/nodes")
    show_rows(answer["nodes"], NODE_COLUMNS, output, empty="No node has joined yet.")
    for cluster in answer["unreachable"]:
        complain(f"The nodes of {cluster['cluster_name']} are unknown: {cluster['message']}")


@nodes.command("show")
def show_node(node: Node, output: Output = Format.TABLE) -> None:
    """Show a node.

    Example: hedgerow node show pi-07
    """
    api = connect()
    _show(api.get(_path(find_node(api, node))), output)


@nodes.command()
def cordon(node: Node) -> None:
    """Let a node take no new instances; those it has stay.

    Example: hedgerow node cordon pi-07
    """
    _set_cordoned(node, is_cordoned=True)


@nodes.command()
def uncordon(node: Node) -> None:
    """Let a node take new instances again.

    Example: hedgerow node uncordon pi-07
    """
    _set_cordoned(node, is_cordoned=False)


@clusters.command("forget")
def forget_cluster(cluster: Cluster, force: Force = False, yes: Yes = False) -> None:
    """Forget a cluster: it gets in no more without a token, and what it had runs elsewhere.

    One that is there and ready needs --force: switch it off too, else what it runs goes on beside its successors.

    Example: hedgerow cluster forget berlin
    """
    _forget(connect(), f"/api/clusters/{quote(cluster, safe='')}", f"cluster {cluster}", force=force, yes=yes)


@nodes.command("forget")
def forget_node(node: Node, force: Force = False, yes: Yes = False) -> None:
    """Forget a node: it gets in no more without a token, and what it had runs elsewhere.

    One that is there and ready needs --force: switch it off too, else what it runs goes on beside its successors.

    Example: hedgerow node forget pi-07
    """
    api = connect()
    found = find_node(api, node)
    _forget(api, _path(found), f"node {found['node_name']}", force=force, yes=yes)


def _forget(api: Api, path: str, what: str, *, force: bool, yes: bool) -> None:
    if not yes:
        typer.confirm(f"Forget {what}?", abort=True)
    api.request("DELETE", path, params={"force": True if force else None})
    say(f"The {what} is forgotten.")


def _set_cordoned(node: str, *, is_cordoned: bool) -> None:
    api = connect()
    found = find_node(api, node)
    api.request("PUT", f"{_path(found)}/cordon", json={"cordoned": is_cordoned})
    say(f"{found['node_name']} takes {'no new' if is_cordoned else 'new'} instances.")


def _path(node: Document) -> str:
    return f"/api/clusters/{node['cluster_id']}/nodes/{node['node_id']}"


def _show(document: Document, output: Format) -> None:
    if output is not Format.TABLE:
        show_data(document, output)
        return
    stdout().print(facts((name, _short(value)) for name, value in document.items() if name != "_id"))


def _short(value: object) -> object:
    if isinstance(value, list):
        return "; ".join(str(_short(item)) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(part)}" for name, part in value.items())
    return value
