"""`hedgerow service history|rollback|pause|resume|promote`: the versions of a service, and how one replaces another."""

import time
from typing import Annotated, Any

import typer

from hedgerow.cli import services
from hedgerow.cli.follow import wait_for_services
from hedgerow.cli.names import Document, find_service
from hedgerow.cli.output import Format, Output, age, say, show_rows
from hedgerow.cli.services import WAIT_S, NoWait, Service, Timeout
from hedgerow.cli.session import Api, connect
from hedgerow.deployment import short_name

app = services.app
_MAX_CHANGES = 3


def _marks(version: Document) -> str:
    marks = {"present": version["is_current"], "last that was well": version["is_stable"]}
    return ", ".join(mark for mark, is_so in marks.items() if is_so)


def _changes(version: Document) -> str:
    names = [change["field"] for change in version["changes"]]
    more = f" and {len(names) - _MAX_CHANGES} more" if len(names) > _MAX_CHANGES else ""
    return ", ".join(names[:_MAX_CHANGES]) + more


HISTORY_COLUMNS = (
    ("REVISION", lambda v: v["spec_revision"]),
    ("AGE", lambda v: age(time.time() - v["since"]) if v["since"] else ""),
    ("IMAGE", lambda v: v["image"]),
    ("CHANGED", _changes),
    ("IS", _marks),
    ("CAUSE", lambda v: v["cause"]),
)


@app.command()
def history(service: Service, output: Output = Format.TABLE) -> None:
    """List the versions of a service, newest first; with -o json each field that changed, before and after.

    Example: hedgerow service history shop.web
    """
    api = connect()
    versions = api.get(f"/api/service/{find_service(api, service)['microserviceID']}/history")
    show_rows(versions, HISTORY_COLUMNS, output, empty="It has no version.")


@app.command()
def rollback(
    service: Service,
    revision: Annotated[
        int | None, typer.Argument(min=1, help="Else the last that was well.", show_default=False)
    ] = None,
    is_detached: NoWait = False,
    timeout_s: Timeout = WAIT_S,
) -> None:
    """Want an earlier version of a service again, and wait until it runs.

    Examples:

        hedgerow service rollback shop.web

        hedgerow service rollback shop.web 3
    """
    api = connect()
    found = find_service(api, service)
    body = {} if revision is None else {"revision": revision}
    change = api.request("POST", f"/api/service/{found['microserviceID']}/rollback", json=body)
    say(f"{short_name(found)}: revision {change['spec_revision']} is an earlier one again.")
    if not is_detached:
        wait_for_services(api, [found["microserviceID"]], timeout_s, {found["microserviceID"]: change["spec_revision"]})


@app.command()
def pause(service: Service) -> None:
    """Take no further step of an update; what it has replaced stays so.

    Example: hedgerow service pause shop.web
    """
    found, _ = _order(connect(), service, "pause")
    say(f"{short_name(found)}: paused. Go on with `hedgerow service resume {short_name(found)}`, or roll back.")


@app.command()
def resume(service: Service, is_detached: NoWait = False, timeout_s: Timeout = WAIT_S) -> None:
    """Go on with an update that was paused, and wait until it is done.

    Example: hedgerow service resume shop.web
    """
    _follow(service, "resume", timeout_s, is_detached=is_detached)


@app.command()
def promote(service: Service, is_detached: NoWait = False, timeout_s: Timeout = WAIT_S) -> None:
    """Let a canary or blue-green update go on to all instances, and wait until it is done.

    Example: hedgerow service promote shop.web
    """
    _follow(service, "promote", timeout_s, is_detached=is_detached)


def _follow(service: str, order: str, timeout_s: float, *, is_detached: bool) -> None:
    api = connect()
    found, change = _order(api, service, order)
    if is_detached:
        say(f"{short_name(found)}: taken.")
    else:
        wait_for_services(api, [found["microserviceID"]], timeout_s, {found["microserviceID"]: change["spec_revision"]})


def _order(api: Api, service: str, order: str) -> tuple[Document, Any]:
    found = find_service(api, service)
    return found, api.request("POST", f"/api/service/{found['microserviceID']}/rollout", json={"order": order})
