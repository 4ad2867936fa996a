"""`hedgerow up`, `down` and `status`: one machine with all three tiers."""

import os
import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from edge_common.model.errors import HedgerowError, InvalidInput, Unauthenticated
from edge_common.model.lifecycle import State
from edge_common.model.node import Readiness
from edge_common.plumbing.pki import certificate_fingerprint
from edge_common.plumbing.tls import TlsFiles
from hedgerow.cli.clusters import NODE_COLUMNS
from hedgerow.cli.output import Format, Output, age, complain, say, show_data, stderr, stdout, table
from hedgerow.cli.services import SERVICE_COLUMNS
from hedgerow.cli.session import Api, connect, is_alive, load, local_ca, log_in, save
from hedgerow.deployment import short_name
from hedgerow.machine.layout import Layout, exposed, find_layout
from hedgerow.machine.machine import Machine
from hedgerow.machine.prepare import ADMIN_PASSWORD_VARIABLE, admin_password
from hedgerow.machine.programs import CLUSTER, NODE, ROOT, SERVICES, START_ORDER
from hedgerow.machine.readiness import Check, is_healthy

ADMIN = "Admin"
_READY_TIMEOUT_S = 60.0
_WRONG = 1
_WELL = frozenset({State.RUNNING, State.COMPLETED})

ApiPort = Annotated[int | None, typer.Option("--api-port", help="Of the root's API.  [10000]", show_default=False)]
ClusterPort = Annotated[
    int | None, typer.Option("--cluster-port", help="Of the cluster's API.  [10100]", show_default=False)
]
MqttPort = Annotated[int | None, typer.Option("--mqtt-port", help="Of the broker.  [10003]", show_default=False)]
ClusterMqttPort = Annotated[
    int | None,
    typer.Option("--cluster-mqtt-port", help="Of the broker for nodes, with TLS.  [10103]", show_default=False),
]


def up(
    api_port: ApiPort = None,
    cluster_port: ClusterPort = None,
    mqtt_port: MqttPort = None,
    cluster_mqtt_port: ClusterMqttPort = None,
    is_tls: Annotated[
        bool | None,
        typer.Option("--tls/--no-tls", help="TLS on this machine too, not only to others.", show_default=False),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            help="This machine's address for others, which join and log in there over TLS; 127.0.0.1 ends that.",
            metavar="ADDRESS",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of a service, kept for later: HEDGEROW_NODE_NAME=pi-07.", metavar="N=V"),
    ] = None,
) -> None:
    """Start a root, a cluster and a node on this machine, wait until they work together, and log in.

    What runs already and has not changed is left alone. HEDGEROW_ADMIN_PASSWORD sets Admin's password at the first
    start; else one is made up, and its file is named.

    Examples:

        hedgerow up

        hedgerow up --listen 192.168.1.10

        hedgerow up --api-port 11000 --set HEDGEROW_NODE_PLAIN_HTTP_REGISTRIES=127.0.0.1:5000
    """
    ports = {"api": api_port, "cluster": cluster_port, "mqtt": mqtt_port, "cluster_mqtt": cluster_mqtt_port}
    layout = exposed(find_layout(os.environ, **ports), is_tls, listen)
    machine = Machine(layout)
    began_s = time.monotonic()
    with Live(console=stderr(), transient=True, refresh_per_second=8) as live:
        ready: set[str] = set()

        def on_ready(part: str) -> None:
            ready.add(part)
            live.update(_parts_table(ready, time.monotonic() - began_s))

        live.update(_parts_table(ready, 0.0))
        started = machine.start(os.environ, on_ready, _READY_TIMEOUT_S, _as_settings(settings or []))
        api = logged_in(layout, os.environ)
        machine.wait_for(Check(NODE, lambda: _has_ready_node(api)), on_ready, started.deadline_s)
    seconds = time.monotonic() - began_s
    news = f"started {', '.join(started.started)}" if started.started else "everything ran already"
    say(f"Hedgerow is up: {news} ({seconds:.1f} s). The API is at {layout.api_url}.")
    _tell_password(layout)
    _tell_address(layout)


def down(
    is_purging: Annotated[bool, typer.Option("--purge", help="Delete all state too: as if it had never been.")] = False,
    is_sure: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop everything on this machine, containers included; `hedgerow up` brings it back with its state.

    Examples:

        hedgerow down

        hedgerow down --purge --yes
    """
    layout = find_layout(os.environ)
    if is_purging and not is_sure:
        typer.confirm(f"Delete all applications, logs and settings in {layout.data}?", abort=True)
    machine = Machine(layout)
    with stderr().status("stopping") as status:
        machine.stop(status.update)
        if is_purging:
            machine.purge()
    say("Hedgerow is down and its state is deleted." if is_purging else "Hedgerow is down; its state is kept.")


def status(output: Output = Format.TABLE) -> None:
    """Show how this machine is: its parts, the cluster, nodes and services. Ends with 1 when something is wrong.

    Example: hedgerow status -o json
    """
    layout = find_layout(os.environ)
    parts = _part_rows(Machine(layout))
    wrong = [f"{row['part']} does not {'answer' if row['running'] else 'run'}." for row in parts if not _is_well(row)]
    seen: dict[str, Any] = {}
    if all(_is_well(row) for row in parts if row["part"] == ROOT):
        try:
            seen = _ask_root()
            wrong += _wrong_places(seen)
        except HedgerowError as error:
            wrong.append(str(error))
    if output is not Format.TABLE:
        show_data({"ok": not wrong, "parts": parts, **seen, "problems": wrong}, output)
    else:
        _draw(layout, parts, seen)
        for sentence in wrong:
            complain(sentence)
    raise typer.Exit(_WRONG if wrong else 0)


def _draw(layout: Layout, parts: Iterable[Mapping[str, Any]], seen: Mapping[str, Any]) -> None:
    console = stdout()
    console.print(table(parts, _PART_COLUMNS))
    broker = f"{layout.address_in_url}:{layout.ports.mqtt}"
    console.print(f"\nAPI {layout.api_url}   cluster {layout.cluster_url}   broker {broker}\n", markup=False)
    if seen.get("nodes"):
        console.print(table(seen["nodes"], NODE_COLUMNS))
        console.print()
    if seen.get("services"):
        console.print(table(seen["services"], SERVICE_COLUMNS))


_PART_COLUMNS = (
    ("PART", lambda p: p["part"]),
    ("STATE", lambda p: ("running" if _is_well(p) else "unreachable") if p["running"] else "stopped"),
    ("PID", lambda p: p["pid"]),
    ("SINCE", lambda p: age(p["age_s"])),
    ("DETAIL", lambda p: p["detail"]),
)


def _part_rows(machine: Machine) -> list[dict[str, Any]]:
    layout = machine.layout
    apis = {ROOT: (layout.api_url, layout.tls_of(ROOT)), CLUSTER: (layout.cluster_url, layout.tls_of(CLUSTER))}
    now_s = time.time()
    return [
        {
            "part": state.name,
            "running": state.is_running,
            "answers": _answers(*apis[state.name]) if state.name in apis and state.is_running else None,
            "pid": state.pid,
            "age_s": None if state.since_s is None else round(max(0.0, now_s - state.since_s), 1),
            "detail": state.detail,
        }
        for state in machine.states().values()
    ]


def _is_well(row: Mapping[str, Any]) -> bool:
    return bool(row["running"] and row["answers"] is not False)


def _answers(url: str, tls: TlsFiles | None) -> bool:
    try:
        return is_healthy(url, tls)
    except HedgerowError:
        return False


def _ask_root() -> dict[str, Any]:
    api = connect()
    clusters, services = api.get("/api/clusters"), api.get("/api/services")
    return {"clusters": clusters, **api.get("/api/nodes"), "services": services}


def _wrong_places(seen: Mapping[str, Any]) -> list[str]:
    places = [("Cluster", c["cluster_name"], c) for c in seen["clusters"]]
    places += [("Node", n["node_name"], n) for n in seen["nodes"]]
    wrong = [
        f"{what} {name} is {place['readiness']}."
        for what, name, place in places
        if place["readiness"] != Readiness.READY
    ]
    wrong += [
        f"Service {short_name(s)} is {s['status']}" + (f": {s['status_detail']}" if s["status_detail"] else ".")
        for s in seen["services"]
        if s["replicas"] and s["status"] not in _WELL
    ]
    wrong += [f"The nodes of {c['cluster_name']} are unknown: {c['message']}" for c in seen["unreachable"]]
    return wrong if seen["nodes"] or seen["unreachable"] else [*wrong, "No node has joined."]


def _parts_table(ready: set[str], elapsed_s: float) -> Table:
    made = Table(box=None, show_header=False, pad_edge=False)
    for part in START_ORDER:
        made.add_row(part, "[green]ready[/]" if part in ready else "[yellow]starting[/]")
    made.add_row(f"[dim]{elapsed_s:.0f} s[/]")
    return made


def _as_settings(texts: Iterable[str]) -> dict[str, str]:
    settings: dict[str, str] = {}
    prefixes = tuple(f"HEDGEROW_{name.upper()}_" for name in SERVICES)
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.startswith(prefixes) or not name.isidentifier():
            raise InvalidInput(f"--set {text}: write NAME=VALUE, where NAME starts with {' or '.join(prefixes)}.")
        settings[name] = value
    return settings


def logged_in(layout: Layout, environ: Mapping[str, str]) -> Api:
    """Keeps the stored session while the root takes it. Raises Unauthenticated when nobody knows Admin's password."""
    stored = load(layout.session)
    if stored is not None and stored.url == layout.api_url:
        api = Api(stored, layout.session)
        if is_alive(api):
            return api
    password = admin_password(layout, environ)
    try:
        session = log_in(layout.api_url, ADMIN, password, local_ca(layout, layout.api_url))
    except Unauthenticated:
        raise Unauthenticated(
            f"All parts run, but {ADMIN}'s password is not the one of the first start any more. Run `hedgerow login`, "
            "then `hedgerow status`."
        ) from None
    save(layout.session, session)
    return Api(session, layout.session)


def _has_ready_node(api: Api) -> bool:
    return any(node["readiness"] == Readiness.READY for node in api.get("/api/nodes")["nodes"])


def _tell_password(layout: Layout) -> None:
    if layout.admin_password_file.exists() and not os.environ.get(ADMIN_PASSWORD_VARIABLE):
        say(f"You are logged in as {ADMIN}; the password is in {layout.admin_password_file}.")


def _tell_address(layout: Layout) -> None:
    if layout.exposure.listen:
        fingerprint = certificate_fingerprint((layout.authority_of(ROOT) / "ca.crt").read_text())
        say("Log in from other machines with:")
        say(f"  hedgerow login --url https://{layout.address_in_url}:{layout.ports.api} --ca-fingerprint {fingerprint}")
