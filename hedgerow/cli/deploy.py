"""`hedgerow deploy`: make the services of a file be as the file says."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hedgerow.cli.documents import read_sla
from hedgerow.cli.follow import wait_for_services
from hedgerow.cli.output import Format, Output, say, show_data
from hedgerow.cli.services import NoWait, Timeout
from hedgerow.cli.session import connect

_NOT_WAITED_FOR = frozenset({"removed", "kept"})


def deploy(
    file: Annotated[Path, typer.Argument(help="An SLA in JSON or YAML; - is standard input.", show_default=False)],
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    is_pruning: Annotated[bool, typer.Option("--prune", help="Remove services that the file no longer names.")] = False,
    timeout_s: Timeout = 120.0,
    is_detached: NoWait = False,
    output: Output = Format.TABLE,
) -> None:
    """Create, change or leave alone what FILE names, then wait until all of it runs and is healthy.

    It may be interrupted at any time: what the root has taken goes on, and the same command can be given again.
    It ends with 0 when all is well, 1 when something does not run, 2 when the file is wrong.

    Examples:

        hedgerow deploy shop.yaml

        hedgerow deploy --dry-run --prune shop.json
    """
    sla = read_sla(file)
    api = connect()
    params = {"dry_run": is_dry_run or None, "prune": is_pruning or None}
    changes = _service_changes(api.request("PUT", "/api/apply", json=sla, params=params))
    if output is Format.TABLE:
        for change in changes:
            say(f"{_would(change['outcome'], is_dry_run)} {change['job_name']} ({change['replicas']} wanted)")
    waited_for = [c["microserviceID"] for c in changes if c["outcome"] not in _NOT_WAITED_FOR]
    revisions = {c["microserviceID"]: c["spec_revision"] for c in changes if c.get("spec_revision")}
    services = [] if is_dry_run or is_detached else wait_for_services(api, waited_for, timeout_s, revisions)
    if output is not Format.TABLE:
        show_data({"changes": changes, "services": list(services)}, output)


def _service_changes(answer: Any) -> list[dict[str, Any]]:
    return [service for application in answer["applications"] for service in application["services"]]


def _would(outcome: str, is_dry_run: bool) -> str:
    return f"would be {outcome}:" if is_dry_run else f"{outcome}:"
