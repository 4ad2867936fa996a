"""`NodeEngine`, or `python -m node_engine`: runs a node, set up by HEDGEROW_NODE_*; see --help for the rest."""

import argparse
import os
import platform
import sys
from collections.abc import Iterable, Sequence

from node_engine.command_line import parser
from node_engine.settings import PREFIX, Settings


def main(arguments: Sequence[str]) -> int:
    asked = parser().parse_args(arguments)
    if asked.command is None:
        return _run(asked)
    if asked.command == "version":
        return _version()
    return _command(asked)


def program() -> int:
    return main(sys.argv[1:])


def _run(asked: argparse.Namespace) -> int:
    """What was typed wins over the environment, and that over the settings file."""
    from edge_common.plumbing.process import run
    from node_engine.adapters.settings_file import effective, find_places
    from node_engine.adapters.units import Unit
    from node_engine.app import App
    from node_engine.commands import control, frame, typed

    def given() -> dict[str, str]:
        return typed.engine_settings(asked.address, asked.port, asked.network)

    if asked.detached:
        return frame.tell(lambda: control.detach(given(), find_places(os.environ), Unit()), needs_root=True)
    return run("node", Settings, PREFIX, App, lambda: {**effective(os.environ), **given()})


def _command(asked: argparse.Namespace) -> int:
    from node_engine.adapters.settings_file import find_places
    from node_engine.adapters.units import Unit, unit_text
    from node_engine.commands import control, frame, runtime, status

    places = find_places(os.environ)
    match asked.command:
        case "join":
            return _join(asked)
        case "status":
            return frame.run_command(lambda settings: status.show(settings, asked.output))
        case "stop":
            return frame.run_command(lambda settings: control.stop(settings, places, Unit()))
        case "leave":
            return _leave(asked)
        case "unit":
            return frame.tell(lambda: unit_text(control.own_command()).splitlines())
        case "stop-all":
            return frame.run_command(runtime.stop_all)
    if asked.action == "import":
        return frame.run_command(lambda settings: runtime.import_image(settings, asked.file, asked.name))
    return frame.run_command(runtime.list_images)


def _join(asked: argparse.Namespace) -> int:
    from node_engine.adapters.settings_file import find_places
    from node_engine.adapters.units import Unit
    from node_engine.commands import frame, joining, typed

    def join() -> Iterable[str]:
        return joining.join_cluster(typed.join_line(asked), os.environ, find_places(os.environ), Unit())

    code = frame.tell(join, needs_root=True)
    if code or not asked.foreground:
        return code
    return main(())


def _leave(asked: argparse.Namespace) -> int:
    from node_engine.adapters.settings_file import find_places
    from node_engine.adapters.units import Unit
    from node_engine.commands import control, frame

    def leave(settings: Settings) -> Iterable[str]:
        if not asked.yes:
            control.agree_to_leave(settings)
        return control.leave(settings, find_places(os.environ), Unit())

    return frame.run_command(leave, needs_root=True)


def _version() -> int:
    from edge_common import __version__
    from node_engine.commands.frame import tell
    from node_engine.core.capacity import go_architecture

    return tell(lambda: [f"NodeEngine {__version__} {go_architecture(platform.machine())}"])


if __name__ == "__main__":
    sys.exit(program())
