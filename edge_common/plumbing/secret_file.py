"""Secrets on disk: readable by their owner alone."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def write_secret(path: Path, text: str) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_secret(path: Path) -> str:
    return path.read_text("utf-8").strip()


def read_or_make_secret(path: Path, make: Callable[[], str]) -> str:
    """What is there stays, so a start that was interrupted can be repeated."""
    if not path.exists():
        write_secret(path, make())
    return read_secret(path)
