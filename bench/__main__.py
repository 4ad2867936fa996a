"""`python -m bench NAME [--json]`: runs `run()` of bench/NAME.py and prints the figures that it returns."""

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Mapping

import bench


def main() -> int:
    names = sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_"))
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Runs one benchmark and prints its figures.")
    parser.add_argument("name", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--json", action="store_true", help="print one flat object instead of a table")
    asked = parser.parse_args()
    figures: Mapping[str, float] = importlib.import_module(f"bench.{asked.name}").run()
    sys.stdout.write(json.dumps(figures) + "\n" if asked.json else as_table(figures))
    return 0


def as_table(figures: Mapping[str, float]) -> str:
    width = max(map(len, figures), default=0)
    return "".join(f"{name:<{width}}  {_figure(value):>14}\n" for name, value in figures.items())


def _figure(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3f}"


if __name__ == "__main__":
    sys.exit(main())
