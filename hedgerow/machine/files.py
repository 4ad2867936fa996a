"""Writing the machine's files: whole or not at all, only when they change, and secrets for root's eyes alone."""

import contextlib
import secrets
from collections.abc import Mapping
from pathlib import Path

from edge_common.model.errors import InvalidInput
from edge_common.plumbing.files import SECRET_MODE, read_or_make_secret, write_whole

SECRET = SECRET_MODE
_PASSWORD_BYTES = 24


def write_if_changed(path: Path, text: str, mode: int = 0o644) -> bool:
    """Whether it wrote."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_text() == text and path.stat().st_mode & 0o777 == mode:
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text, mode)
    return True


def secret(path: Path) -> str:
    """The secret in the file; made up and written there the first time."""
    return read_or_make_secret(path, lambda: secrets.token_urlsafe(_PASSWORD_BYTES))


def read_settings(path: Path) -> dict[str, str]:
    """NAME=VALUE lines; blank lines and those that start with # are skipped. Raises InvalidInput for any other."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    settings: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, separator, value = line.partition("=")
        if not separator or not name.strip().isidentifier():
            raise InvalidInput(f"Line {number} of {path} is not NAME=VALUE; correct it.", str(path))
        settings[name.strip()] = value.strip()
    return settings


def with_settings(text: str, changes: Mapping[str, str]) -> str:
    """The text of a settings file with these settings: in place where they are there, else at the end."""
    left = dict(changes)
    lines = []
    for line in text.splitlines():
        name = line.partition("=")[0].strip()
        lines.append(f"{name}={left.pop(name)}" if name in left else line)
    lines += [f"{name}={value}" for name, value in left.items()]
    return "\n".join(lines) + "\n"
