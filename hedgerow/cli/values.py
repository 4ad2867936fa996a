"""`hedgerow secret ...` and `hedgerow config ...`."""

import base64
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from edge_common.model.errors import InvalidInput
from edge_common.model.values import MAX_VALUE_BYTES, ValueKind
from hedgerow.cli.output import Format, Output, facts, say, show_data, show_rows, stdout
from hedgerow.cli.session import connect

secrets = typer.Typer(help="Secrets: values that only instances see.", no_args_is_help=True)
configs = typer.Typer(
    help="Configuration objects: values that instances get as files or variables.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Its name, or its id.", show_default=False)]
NewName = Annotated[str, typer.Argument(help="Letters, digits, dots, dashes and underscores.", show_default=False)]
FromFile = Annotated[
    Path | None, typer.Option("--from-file", help="The value is what this file holds.", show_default=False)
]
FromStdin = Annotated[bool, typer.Option("--from-stdin", help="The value is what comes on standard input.")]
IsSure = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_COLUMNS = (
    ("NAME", lambda v: v["name"]),
    ("VERSION", lambda v: v["version"]),
    ("BYTES", lambda v: v["size_bytes"]),
    ("USED BY", lambda v: ", ".join(user["job_name"] for user in v["used_by"])),
    ("OWNER", lambda v: v["userId"]),
    ("ID", lambda v: v["id"]),
)


@secrets.command("create")
def create_secret(
    name: NewName, from_file: FromFile = None, from_stdin: FromStdin = False, output: Output = Format.TABLE
) -> None:
    """Keep a secret. Its value is taken as it is, with the line break at its end if there is one.

    Example: printf %s "$PASSWORD" | hedgerow secret create db-password --from-stdin
    """
    _create(ValueKind.SECRET, name, _value(from_file, is_stdin=from_stdin), output)


@configs.command("create")
def create_config(
    name: NewName, from_file: FromFile = None, from_stdin: FromStdin = False, output: Output = Format.TABLE
) -> None:
    """Keep a configuration object.

    Example: hedgerow config create site --from-file site.conf
    """
    _create(ValueKind.CONFIG, name, _value(from_file, is_stdin=from_stdin), output)


@secrets.command("update")
def update_secret(
    name: Name, from_file: FromFile = None, from_stdin: FromStdin = False, output: Output = Format.TABLE
) -> None:
    """Give a secret another value. Instances that use it are replaced, one slot of a service at a time.

    Example: hedgerow secret update db-password --from-file password.txt
    """
    _update(ValueKind.SECRET, name, _value(from_file, is_stdin=from_stdin), output)


@configs.command("update")
def update_config(
    name: Name, from_file: FromFile = None, from_stdin: FromStdin = False, output: Output = Format.TABLE
) -> None:
    """Give a configuration object another value. Instances that use it are replaced, one slot of a service at a time.

    Example: hedgerow config update site --from-file site.conf
    """
    _update(ValueKind.CONFIG, name, _value(from_file, is_stdin=from_stdin), output)


@secrets.command("ls")
def list_secrets(output: Output = Format.TABLE) -> None:
    """List your secrets, without their values.

    Example: hedgerow secret ls
    """
    show_rows(connect().get("/api/secrets"), _COLUMNS, output, empty="There is no secret yet.")


@configs.command("ls")
def list_configs(output: Output = Format.TABLE) -> None:
    """List your configuration objects.

    Example: hedgerow config ls -o json
    """
    show_rows(connect().get("/api/configs"), _COLUMNS, output, empty="There is no configuration object yet.")


@secrets.command("show")
def show_secret(name: Name, output: Output = Format.TABLE) -> None:
    """Show which services use a secret, and how old it is; never its value.

    Example: hedgerow secret show db-password
    """
    _show(connect().get(_path(ValueKind.SECRET, name)), output)


@configs.command("show")
def show_config(name: Name, output: Output = Format.TABLE) -> None:
    """Show a configuration object with its value.

    Example: hedgerow config show site
    """
    found = connect().get(_path(ValueKind.CONFIG, name))
    _show(found, output)
    if output is Format.TABLE:
        stdout().print()
        sys.stdout.write(found.get("value") or f"{found['size_bytes']} bytes that are no text; see them with -o json\n")


@secrets.command("rm")
def remove_secret(name: Name, is_sure: IsSure = False) -> None:
    """Delete a secret that no service uses.

    Example: hedgerow secret rm db-password --yes
    """
    _remove(ValueKind.SECRET, name, is_sure=is_sure)


@configs.command("rm")
def remove_config(name: Name, is_sure: IsSure = False) -> None:
    """Delete a configuration object that no service uses.

    Example: hedgerow config rm site --yes
    """
    _remove(ValueKind.CONFIG, name, is_sure=is_sure)


def _create(kind: ValueKind, name: str, value: str, output: Format) -> None:
    made = connect().request("POST", _path(kind), json={"name": name, "value_base64": value})
    if output is not Format.TABLE:
        show_data(made, output)
    else:
        say(f"Created the {kind} {made['name']}.")


def _update(kind: ValueKind, name: str, value: str, output: Format) -> None:
    made = connect().request("PUT", _path(kind, name), json={"value_base64": value})
    if output is not Format.TABLE:
        show_data(made, output)
        return
    rolled = [user["job_name"] for user in made["rolled"]]
    effect = f"replacing the instances of {', '.join(rolled)}" if rolled else "no instance needs to be replaced"
    say(f"The {kind} {made['name']} is at version {made['version']}; {effect}.")


def _show(found: Mapping[str, Any], output: Format) -> None:
    if output is not Format.TABLE:
        show_data(found, output)
        return
    users = ", ".join(user["job_name"] for user in found["used_by"])
    names = ("name", "version", "size_bytes", "userId", "id")
    stdout().print(facts([*((name, found[name]) for name in names), ("used by", users or "nothing")]))


def _remove(kind: ValueKind, name: str, *, is_sure: bool) -> None:
    if not is_sure:
        typer.confirm(f"Delete the {kind} {name}?", abort=True)
    say(connect().request("DELETE", _path(kind, name))["message"])


def _path(kind: ValueKind, name: str = "") -> str:
    return f"/api/{kind}s/{quote(name, safe='')}" if name else f"/api/{kind}s"


def _value(file: Path | None, *, is_stdin: bool) -> str:
    """As base64. Not an argument of the command: those are seen by everybody on the machine, and kept by the shell."""
    if (file is None) is not is_stdin:
        raise InvalidInput("Say where the value is: --from-file FILE or --from-stdin.", "value")
    try:
        data = sys.stdin.buffer.read(MAX_VALUE_BYTES + 1) if file is None else file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from error
    if not 0 < len(data) <= MAX_VALUE_BYTES:
        size = "more" if data else "nothing"
        raise InvalidInput(f"A value has 1 to {MAX_VALUE_BYTES} bytes; here is {size}.", "value")
    return base64.b64encode(data).decode()
