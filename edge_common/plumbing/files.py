"""Small files that must survive a crash whole, and secrets among them: readable by their owner alone."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

SECRET_MODE = 0o600


def write_whole(path: Path, text: str, mode: int) -> None:
    """Replaces the file at once or not at all, durable on return; it has its mode from its first moment on."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(path, text, SECRET_MODE)


def read_secret(path: Path) -> str:
    """Without the line break at its end."""
    return path.read_text("utf-8").strip()


def read_or_make_secret(path: Path, make: Callable[[], str]) -> str:
    """What is there stays, so a start that was interrupted can be repeated."""
    if not path.exists():
        write_secret(path, make() + "\n")
    return read_secret(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
