"""`python -m net_manager` runs NetManager, set up by HEDGEROW_NET_* in the environment; see --help for the rest."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from net_manager.settings import PREFIX, Settings

if TYPE_CHECKING:
    from net_manager.app import App


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    from edge_common.plumbing.process import run
    from net_manager.app import App

    def build(settings: Settings) -> "App":
        return App(settings if asked.port is None else replace(settings, port=asked.port))

    return run("net", Settings, PREFIX, build)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="NetManager", description="Programs this node's overlay network.")
    parser.add_argument(
        "-p", "--port", type=int, help="listen on this port of loopback; without it on a unix socket (HEDGEROW_NET_*)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
