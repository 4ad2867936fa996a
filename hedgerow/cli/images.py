"""`hedgerow image ...`: images of this machine's node."""

import os
from pathlib import Path
from typing import Annotated

import typer

from edge_common.model.errors import InvalidInput
from hedgerow.cli.output import say
from hedgerow.machine.layout import find_layout

app = typer.Typer(help="Images on this machine.", no_args_is_help=True)

_IMPORT_TIMEOUT_S = 1800.0


@app.command("import")
def import_archive(
    file: Annotated[Path, typer.Argument(help="An OCI or Docker archive (tar).", show_default=False)],
    name: Annotated[str, typer.Option(help="Call the image so, instead of as the archive does.")] = "",
) -> None:
    """Give this machine's node an image from a file, without any registry.

    Example: hedgerow image import hello.tar
    """
    from hedgerow.machine.machine import Machine, require_root

    if not file.is_file():
        raise InvalidInput(f"There is no file {file}.")
    require_root()
    machine = Machine(find_layout(os.environ))
    arguments = ["image", "import", str(file.absolute()), *(["--name", name] if name else [])]
    say(machine.run_node_command(arguments, _IMPORT_TIMEOUT_S).strip() or f"Imported {file}.")
