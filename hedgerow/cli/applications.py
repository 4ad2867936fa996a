"""`hedgerow app ...`."""

from pathlib import Path
from typing import Annotated

import typer

from hedgerow.cli.documents import read_sla
from hedgerow.cli.names import find_application
from hedgerow.cli.output import Format, Output, facts, say, show_data, show_rows, stdout, table
from hedgerow.cli.services import SERVICE_COLUMNS
from hedgerow.cli.session import connect

app = typer.Typer(help="Applications: groups of services.", no_args_is_help=True)

Application = Annotated[str, typer.Argument(help="Name, name.namespace or id.", show_default=False)]

_COLUMNS = (
    ("APPLICATION", lambda a: a["application_name"]),
    ("NAMESPACE", lambda a: a["application_namespace"]),
    ("SERVICES", lambda a: len(a["microservices"])),
    ("ID", lambda a: a["applicationID"]),
)


@app.command()
def create(
    file: Annotated[Path, typer.Argument(help="An SLA in JSON or YAML; - is standard input.", show_default=False)],
    output: Output = Format.TABLE,
) -> None:
    """Register the applications of an SLA, without starting what declares no replicas.

    Example: hedgerow app create shop.yaml
    """
    sla = read_sla(file)
    api = connect()
    before = {application["applicationID"] for application in api.get("/api/applications")}
    made = [a for a in api.request("POST", "/api/application", json=sla) if a["applicationID"] not in before]
    show_rows(made, _COLUMNS, output)


@app.command("ls")
def list_all(output: Output = Format.TABLE) -> None:
    """List your applications.

    Example: hedgerow app ls -o json
    """
    show_rows(connect().get("/api/applications"), _COLUMNS, output, empty="There is no application yet.")


@app.command()
def show(application: Application, output: Output = Format.TABLE) -> None:
    """Show an application and its services.

    Example: hedgerow app show shop
    """
    api = connect()
    found = find_application(api, application)
    if output is not Format.TABLE:
        show_data(found, output)
        return
    console = stdout()
    names = ("application_name", "application_namespace", "application_desc", "applicationID", "userId")
    console.print(facts((name, found.get(name)) for name in names))
    console.print()
    console.print(table(api.get(f"/api/services/{found['applicationID']}"), SERVICE_COLUMNS))


@app.command()
def rm(
    application: Application,
    is_sure: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop and delete an application with all its services.

    Example: hedgerow app rm shop --yes
    """
    api = connect()
    found = find_application(api, application)
    count = len(found["microservices"])
    if not is_sure:
        typer.confirm(f"Delete {found['application_name']} and its {count} services?", abort=True)
    api.request("DELETE", f"/api/application/{found['applicationID']}")
    say(f"Deleted {found['application_name']}.")
