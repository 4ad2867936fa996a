"""`hedgerow service ...`."""

import sys
import time
from typing import Annotated

import typer

from edge_common.model.errors import NotFound, Temporary
from edge_common.model.lifecycle import State
from hedgerow.cli.follow import wait_for_services
from hedgerow.cli.names import Document, find_application, find_service
from hedgerow.cli.output import Format, Output, age, facts, say, show_data, show_rows, stdout, table
from hedgerow.cli.session import Api, connect
from hedgerow.deployment import endpoints, rollout_state, short_name

app = typer.Typer(help="Services and their instances.", no_args_is_help=True)

Service = Annotated[str, typer.Argument(help="Name, application.name, full name or id.", show_default=False)]
Timeout = Annotated[float, typer.Option("--timeout", min=0, help="How long to wait, in seconds.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return as soon as the root has taken it.")]

_FOLLOW_POLL_S = 0.5
WAIT_S = 120.0


def _running(service: Document) -> str:
    done = State.COMPLETED if service.get("one_shot") else State.RUNNING
    count = sum(instance["status"] == done for instance in service["instance_list"])
    return f"{count}/{service['replicas']}"


SERVICE_COLUMNS = (
    ("SERVICE", short_name),
    ("STATUS", lambda s: s["status"] or "not deployed"),
    ("READY", _running),
    ("AGE", lambda s: age(s.get("age_s")) if s["status"] else ""),
    ("IMAGE", lambda s: s["image"]),
    ("ANSWERS AT", lambda s: ", ".join(endpoints(s))),
    ("DETAIL", lambda s: s["status_detail"]),
)
_INSTANCE_COLUMNS = (
    ("INSTANCE", lambda i: i["instance_number"]),
    ("STATUS", lambda i: i["status"]),
    ("REVISION", lambda i: i.get("spec_revision")),
    ("HEALTH", lambda i: i.get("health") if i["status"] == State.RUNNING else ""),
    ("AGE", lambda i: age(i.get("age_s"))),
    ("CLUSTER", lambda i: i.get("cluster_name")),
    ("NODE", lambda i: i.get("node_name")),
    ("EXIT", lambda i: i.get("exit_code")),
    ("DETAIL", lambda i: i["status_detail"]),
)


@app.command("ls")
def list_all(
    application: Annotated[str, typer.Option("--app", "-a", help="Only those of this application.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """List services.

    Example: hedgerow service ls --app shop
    """
    api = connect()
    services = api.get("/api/services")
    if application:
        services = api.get(f"/api/services/{find_application(api, application)['applicationID']}")
    show_rows(services, SERVICE_COLUMNS, output, empty="There is no service yet; try `hedgerow deploy FILE`.")


@app.command()
def show(service: Service, output: Output = Format.TABLE) -> None:
    """Show a service and each of its instances.

    Example: hedgerow service show shop.web
    """
    found = find_service(connect(), service)
    if output is not Format.TABLE:
        show_data(found, output)
        return
    console = stdout()
    names = ("job_name", "microserviceID", "image", "status", "status_detail", "port", "vcpus", "memory", "replicas")
    told = [("rollout", rollout_state(found)), ("answers at", ", ".join(endpoints(found)))]
    console.print(facts([*((name, found.get(name)) for name in names), *told]))
    console.print()
    console.print(table(found["instance_list"], _INSTANCE_COLUMNS))


@app.command()
def deploy(service: Service, is_detached: NoWait = False, timeout_s: Timeout = WAIT_S) -> None:
    """Start one more instance of a service, and wait until it runs.

    Example: hedgerow service deploy shop.web
    """
    api = connect()
    found = find_service(api, service)
    api.request("POST", f"/api/service/{found['microserviceID']}/instance")
    _finish(api, found, timeout_s, is_detached=is_detached)


@app.command()
def scale(
    service: Service,
    replicas: Annotated[int, typer.Argument(min=0, help="How many instances there shall be.", show_default=False)],
    is_detached: NoWait = False,
    timeout_s: Timeout = WAIT_S,
) -> None:
    """Set the number of instances, and wait until they run.

    Example: hedgerow service scale shop.web 3
    """
    api = connect()
    found = find_service(api, service)
    api.request("PUT", f"/api/service/{found['microserviceID']}/replicas", json={"replicas": replicas})
    _finish(api, found, timeout_s, is_detached=is_detached)


@app.command()
def undeploy(
    service: Service,
    instance: Annotated[int, typer.Argument(min=-1, help="One instance; -1 is all.")] = -1,
) -> None:
    """Stop one instance of a service, or all; the service stays known.

    Examples:

        hedgerow service undeploy shop.web

        hedgerow service undeploy shop.web 2
    """
    api = connect()
    found = find_service(api, service)
    api.request("DELETE", f"/api/service/{found['microserviceID']}/instance/{instance}")
    what = "all instances" if instance < 0 else f"instance {instance}"
    say(f"{short_name(found)}: {what} will stop.")


@app.command()
def logs(
    service: Service,
    instance: Annotated[int | None, typer.Argument(help="One instance; else all.", show_default=False)] = None,
    is_following: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written.")] = False,
    lines: Annotated[int, typer.Option("--tail", "-n", min=0, help="How many of the last lines.")] = 100,
) -> None:
    """Print what the instances of a service wrote; each line starts with its instance when there are several.

    Examples:

        hedgerow service logs shop.web

        hedgerow service logs -f shop.web 0
    """
    api = connect()
    found = find_service(api, service)
    numbers = [i["instance_number"] for i in found["instance_list"]] if instance is None else [instance]
    cursors: dict[int, int | None] = dict.fromkeys(numbers)
    while True:
        for number in numbers:
            params = {"tail": lines, "cursor": cursors[number]}
            try:
                answer = api.get(f"/api/service/{found['microserviceID']}/instance/{number}/logs", params)
            except (NotFound, Temporary):
                # With one instance the operator wants to know; several, or in the long run, may come and go.
                if len(numbers) == 1 and not is_following:
                    raise
                continue
            cursors[number] = answer["cursor"]
            _print(answer["text"], f"{number} | " if len(numbers) > 1 else "")
        if not is_following:
            return
        time.sleep(_FOLLOW_POLL_S)


def _finish(api: Api, service: Document, timeout_s: float, *, is_detached: bool) -> None:
    if is_detached:
        say(f"{short_name(service)}: taken.")
        return
    wait_for_services(api, [service["microserviceID"]], timeout_s)


def _print(text: str, prefix: str) -> None:
    sys.stdout.writelines(prefix + line for line in text.splitlines(keepends=True))
    sys.stdout.flush()
