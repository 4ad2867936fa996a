"""`hedgerow plan`: what a deployment would change, where it would go, and what would be refused."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_common.model.errors import Broken, InvalidInput, NotFound
from hedgerow.cli.documents import read_sla
from hedgerow.cli.names import Document
from hedgerow.cli.output import Format, Output, say, show_data
from hedgerow.cli.session import connect

NOTHING_TO_DO, REFUSED, CHANGES = 0, 1, 2
_AS_IT_IS = frozenset({"unchanged", "kept"})
_MARKS = {"created": "+", "changed": "~", "scaled": "~", "removed": "-"}


def plan(
    file: Annotated[Path, typer.Argument(help="An SLA in JSON or YAML; - is standard input.", show_default=False)],
    is_pruning: Annotated[bool, typer.Option("--prune", help="As deploy --prune would do it.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Say what `hedgerow deploy FILE` would change, where new instances would go now, and what would be refused.

    Nothing is changed or reserved. It ends with 0 when there is nothing to do, 2 when something would change, 1 when
    the file is wrong, the root cannot be asked, or an instance would find no place.

    Examples:

        hedgerow plan shop.yaml

        hedgerow plan --prune -o json shop.yaml
    """
    answer = _asked(file, is_pruning)
    services = [service for application in answer["applications"] for service in application["services"]]
    if output is Format.TABLE:
        for line in _lines(answer["applications"]):
            say(line)
    else:
        show_data(answer, output)
    code = exit_code(answer["applications"], services)
    if code:
        raise typer.Exit(code)


def _asked(file: Path, is_pruning: bool) -> Any:
    """What is wrong with the file ends with 1 here: 2 says that something would change."""
    try:
        params = {"dry_run": True, "prune": is_pruning or None}
        return connect().request("PUT", "/api/apply", json=read_sla(file), params=params)
    except (InvalidInput, NotFound) as error:
        raise Broken(str(error)) from error


def exit_code(applications: list[Document], services: list[Document]) -> int:
    if any((service.get("placement") or {}).get("refused") for service in services):
        return REFUSED
    is_quiet = all(each["outcome"] in _AS_IT_IS for each in (*applications, *services))
    return NOTHING_TO_DO if is_quiet else CHANGES


def _lines(applications: list[Document]) -> list[str]:
    lines: list[str] = []
    for application in applications:
        if application["outcome"] in ("created", "changed"):
            name = f"{application['application_name']}.{application['application_namespace']}"
            lines.append(f"{_MARKS[application['outcome']]} application {name} would be {application['outcome']}")
        for service in application["services"]:
            lines += _service_lines(service)
    return lines or ["Nothing to do."]


def _service_lines(service: Document) -> list[str]:
    outcome = service["outcome"]
    if outcome in _AS_IT_IS:
        note = " (not in the file; --prune removes it)" if outcome == "kept" else ""
        return [f"  {service['job_name']} stays as it is{note}"]
    lines = [f"{_MARKS[outcome]} {service['job_name']} would be {outcome} ({service['replicas']} wanted)"]
    lines += [f"    {c['field']}: {_shown(c['before'])} -> {_shown(c['after'])}" for c in service.get("changes", ())]
    for what, numbers in (("more", service["instances_added"]), ("fewer", service["instances_removed"])):
        if numbers:
            lines.append(f"    {len(numbers)} instance{'s' if len(numbers) > 1 else ''} {what}")
    return lines + _placement_lines(service.get("placement"))


def _placement_lines(placement: Document | None) -> list[str]:
    if not placement:
        return []
    lines = [f"    {each['instances']} would go to cluster {each['cluster_name']}" for each in placement["placed"]]
    if placement["refused"]:
        lines.append(f"    {placement['refused']} of {placement['tried']} would be refused: {placement['detail']}")
    return lines


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)
