"""`python -m node_engine` runs a node, set up by HEDGEROW_NODE_* in the environment; see --help for the rest."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from node_engine.settings import PREFIX, Settings


def main(arguments: Sequence[str]) -> int:
    asked = _parser().parse_args(arguments)
    if asked.command is None:
        from edge_common.plumbing.process import run
        from node_engine.app import App

        return run("node", Settings, PREFIX, App)
    from node_engine import commands

    if asked.command == "stop-all":
        return commands.run_command(commands.stop_all)
    if asked.command == "status":
        return commands.run_command(commands.status)
    if asked.action == "import":
        return commands.run_command(lambda settings: commands.import_image(settings, asked.file, asked.name))
    return commands.run_command(commands.list_images)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m node_engine", description="Without a command: run the engine.")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("stop-all", help="stop and remove all our containers; the engine makes them again")
    commands.add_parser("status", help="what the engine knows of its instances")
    actions = commands.add_parser("image", help="the images on this node").add_subparsers(dest="action", required=True)
    actions.add_parser("ls", help="list them")
    importing = actions.add_parser("import", help="take one from an archive")
    importing.add_argument("file", type=Path)
    importing.add_argument("--name", default="", help="what to call the only image of the archive")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
