"""How a command ends: what it says on standard output, or one sentence on standard error."""

import logging
import os
import sys
from collections.abc import Callable, Iterable

from edge_common.model.errors import Forbidden, HedgerowError
from edge_common.plumbing.settings import load
from node_engine.adapters.settings_file import effective
from node_engine.settings import PREFIX, Settings

OK, FAILED = 0, 1


def run_command(command: Callable[[Settings], Iterable[str]], *, needs_root: bool = False) -> int:
    """With the settings in force. See `tell`."""
    return tell(lambda: command(load(Settings, effective(os.environ), PREFIX)), needs_root=needs_root)


def tell(command: Callable[[], Iterable[str]], *, needs_root: bool = False) -> int:
    """Prints what `command` says; 1 and one sentence on stderr when it cannot."""
    logging.getLogger().handlers[:] = [logging.NullHandler()]  # what is logged on the way is for an engine's log
    try:
        if needs_root and os.geteuid() != 0:
            raise Forbidden("Only root can make this machine a node, or end that; try again with sudo.")
        for line in command():
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    except HedgerowError as error:
        sys.stderr.write(f"NodeEngine: {error}\n")
        return FAILED
    return OK
