"""`hedgerow net ...`: the overlay network."""

from typing import Any

import typer

from hedgerow.cli.names import Document
from hedgerow.cli.output import Format, Output, complain, say, show_data, stdout, table
from hedgerow.cli.session import connect

app = typer.Typer(help="The overlay network: who has which addresses.", no_args_is_help=True)


@app.callback()
def net() -> None:
    """Keeps `show` a word of its own, although it is the only one."""


_NODE_COLUMNS = (
    ("NODE", lambda n: n["node_name"]),
    ("CLUSTER", lambda n: n["cluster_name"]),
    ("ADDRESS", lambda n: n["address"]),
    ("NETWORK", lambda n: "overlay" if n["has_overlay"] else "the node's"),
    ("SUBNETS", lambda n: ", ".join(n["subnets"])),
)
_INSTANCE_COLUMNS = (
    ("SERVICE", lambda i: i["service"]),
    ("INSTANCE", lambda i: i["instance_number"]),
    ("NODE", lambda i: i["node_name"]),
    ("IPV4", lambda i: i["namespace_ip"]),
    ("IPV6", lambda i: i["namespace_ip_v6"]),
    ("PORTS", lambda i: i["port"]),
)


@app.command()
def show(output: Output = Format.TABLE) -> None:
    """Show the subnets of nodes and the addresses of instances.

    Example: hedgerow net show
    """
    api = connect()
    answer = api.get("/api/nodes")
    nodes = [_node(each) for each in answer["nodes"]]
    instances = [_instance(service, each) for service in api.get("/api/services") for each in service["instance_list"]]
    shown = [each for each in instances if each["namespace_ip"]]
    if output is not Format.TABLE:
        show_data({"nodes": nodes, "instances": shown}, output)
    elif not nodes:
        say("No node has joined yet.")
    else:
        stdout().print(table(nodes, _NODE_COLUMNS))
        if shown:
            stdout().print()
            stdout().print(table(shown, _INSTANCE_COLUMNS))
    for cluster in answer["unreachable"]:
        complain(f"The nodes of {cluster['cluster_name']} are unknown: {cluster['message']}")


def _node(node: Document) -> dict[str, Any]:
    """A cluster of an earlier version says nothing of subnets."""
    names = ("node_id", "node_name", "cluster_name", "address", "has_overlay")
    return {**{name: node.get(name, "") for name in names}, "subnets": node.get("subnets", [])}


def _instance(service: Document, instance: Document) -> dict[str, Any]:
    names = ("instance_number", "instance_id", "node_name", "namespace_ip", "namespace_ip_v6")
    said = {name: instance.get(name, "") for name in names}
    return {"service": service["job_name"], **said, "port": service.get("port", "")}
