"""Reading a small file out of an image's unpacked layers, without mounting them and without trusting them."""

import os
import stat
from collections.abc import Sequence

MAX_FILE_BYTES = 1024 * 1024


def lower_directories(mounts: Sequence[tuple[str, str, Sequence[str]]]) -> tuple[str, ...]:
    """The layers' directories, topmost first. A mount is its type, source and options."""
    for kind, source, options in mounts:
        if kind == "bind":
            return (source,)
        for option in options:
            if option.startswith("lowerdir="):
                return tuple(option.removeprefix("lowerdir=").split(":"))
    return ()


def read_from_layers(layers: Sequence[str], directory: str, name: str) -> str:
    """`directory`/`name` as a container would see it; "" when it is missing, a link, or not a plain file."""
    for layer in layers:
        try:
            fd = os.open(os.path.join(layer, directory), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)  # noqa: PTH118
        except FileNotFoundError:
            continue
        except OSError:
            return ""
        try:
            found = _read_at(fd, name)
            if found is not None or _is_opaque(fd):
                return found or ""
        finally:
            os.close(fd)
    return ""


def _read_at(directory_fd: int, name: str) -> str | None:
    """None when this layer says nothing of it; a whiteout (a character device) or a link hides what is below."""
    try:
        status = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return ""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory_fd)
    try:
        return os.read(fd, MAX_FILE_BYTES).decode("utf-8", "replace")
    finally:
        os.close(fd)


def _is_opaque(directory_fd: int) -> bool:
    try:
        return os.getxattr(directory_fd, "trusted.overlay.opaque") == b"y"
    except OSError:
        return False
