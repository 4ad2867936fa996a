"""Reading and sending an SLA."""

import json
import sys
from pathlib import Path
from typing import Any

from edge_common.model.errors import InvalidInput

MAX_SLA_BYTES = 8 * 1024 * 1024


def read_sla(file: Path) -> Any:
    """JSON or YAML, from a file or, for "-", from standard input. Raises InvalidInput that says where it is wrong."""
    name = "Standard input" if str(file) == "-" else str(file)
    text = _read(file, name)
    try:
        document = json.loads(text)
    except ValueError:
        document = _read_yaml(text, name)
    if not isinstance(document, dict):
        raise InvalidInput(f"{name} is no SLA: it must hold one object with `sla_version` and `applications`.")
    return document


def _read(file: Path, name: str) -> str:
    try:
        data = sys.stdin.buffer.read(MAX_SLA_BYTES + 1) if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_SLA_BYTES:
        raise InvalidInput(f"{name} is larger than {MAX_SLA_BYTES // 1024 // 1024} MiB; split it into several files.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not text in UTF-8 (byte {error.start}).") from None


def _read_yaml(text: str, name: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InvalidInput(f"{name} is neither JSON nor YAML: {error.problem}{where}.") from None
    except yaml.YAMLError as error:
        raise InvalidInput(f"{name} is neither JSON nor YAML: {' '.join(str(error).split())}.") from None
