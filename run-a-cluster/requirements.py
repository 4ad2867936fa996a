"""Prints what a service needs besides ourselves, for pip: `requirements.py pyproject.toml EXTRA...`."""

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path


def requirements(file: Path, extras: Sequence[str]) -> list[str]:
    project = tomllib.loads(file.read_text())["project"]
    optional = project["optional-dependencies"]
    return sorted({*project["dependencies"], *(line for extra in extras for line in optional[extra])})


if __name__ == "__main__":
    sys.stdout.write("\n".join(requirements(Path(sys.argv[1]), sys.argv[2:])) + "\n")
