"""What can be typed after `NodeEngine`."""

import argparse
from pathlib import Path

from node_engine.adapters.cluster_address import DEFAULT_PORT

_DESCRIPTION = """Runs services on this machine for a cluster.

Without a command the engine runs in the foreground, for the cluster of its settings file or of -a and -p."""
_EXAMPLES = """examples:
  NodeEngine join https://192.0.2.7:10100 --token TOKEN   become a node of a cluster and stay one
  NodeEngine -a 192.0.2.7 -p 10100                        the same by hand; without a token an operator has to admit it
  NodeEngine -n 6000 -p 10100                             with the network manager that listens on port 6000
  NodeEngine status                                       who this node is, and what it runs

Settings are HEDGEROW_NODE_* in the environment or in /etc/hedgerow/node.env; options and environment win."""


def parser() -> argparse.ArgumentParser:
    """The namespace has `command` (None: run), and what that command takes."""
    made = argparse.ArgumentParser(
        prog="NodeEngine",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("-a", "--address", metavar="ADDRESS", help="the cluster: an address, a name or a URL")
    made.add_argument("-p", "--port", type=_port, metavar="PORT", help=f"its port, {DEFAULT_PORT} by default")
    made.add_argument("-n", "--network", type=_port, metavar="PORT", help="the port of the network manager here")
    made.add_argument("-d", "--detached", action="store_true", help="run it as a unit of systemd")
    commands = made.add_subparsers(dest="command", metavar="COMMAND")
    _add_join(commands)
    _add_output(commands.add_parser("status", help="who this node is, whether it has its link, and what it runs"))
    commands.add_parser("stop", help="end the engine; what it runs goes on")
    leave = commands.add_parser("leave", help="stop everything and forget the cluster")
    leave.add_argument("-y", "--yes", action="store_true", help="do not ask")
    commands.add_parser("version", help="the version of this program")
    commands.add_parser("stop-all", help="stop and remove all our containers; the engine makes them again")
    commands.add_parser("unit", help="print the unit of systemd for this executable")
    _add_image(commands)
    return made


def _add_join(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    join = commands.add_parser("join", help="become a node of a cluster")
    join.add_argument("url", metavar="URL", help="the cluster, as its join line has it")
    token = join.add_mutually_exclusive_group()
    token.add_argument("--token", default="", help="the join token; without one an operator has to admit the node")
    token.add_argument(
        "--token-file", type=Path, metavar="FILE", help="the file that holds it; - is the standard input"
    )
    join.add_argument("--name", default="", help="what to call this node; the host's name by default")
    join.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="may be given several times")
    join.add_argument(
        "-n", "--network", dest="join_network", type=_port, metavar="PORT", help="the port of the network manager here"
    )
    join.add_argument("--foreground", action="store_true", help="then run the engine here, not as a unit of systemd")


def _add_image(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    actions = commands.add_parser("image", help="the images on this node").add_subparsers(dest="action", required=True)
    actions.add_parser("ls", help="list them")
    importing = actions.add_parser("import", help="take one from an archive")
    importing.add_argument("file", type=Path)
    importing.add_argument("--name", default="", help="what to call the only image of the archive")


def _add_output(command: argparse.ArgumentParser) -> None:
    command.add_argument("-o", "--output", choices=("text", "json"), default="text", help="text by default")


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; a port is a number from 1 to 65535")
    return int(text)
