"""Secrets and configuration objects of instances as files in memory: they end with the instance, and at a reboot."""

import ctypes
import logging
import os
import re
import shutil
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from edge_common.model.errors import Broken
from node_engine.core.value_files import ValueFile, ValueMount

logger = logging.getLogger(__name__)

_OPTIONS = "mode=0700,size=256m"
_IN_MEMORY = ("tmpfs", "ramfs")
_MS_NOSUID, _MS_NODEV = 2, 4


class ValueFiles:
    """A directory for each container, in `directory`, which is a tmpfs of our own; only root may enter it.

    A kernel that can (6.4) never writes it to swap.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._guard = threading.Lock()

    def write(self, container: str, files: Sequence[ValueFile], uid: int, gid: int) -> tuple[ValueMount, ...]:
        """In the place of what an earlier try left. Raises Broken when there is no file system in memory."""
        self._ensure_mounted()
        self.remove(container)
        folder = self._directory / container
        folder.mkdir(mode=0o700)
        mounts = []
        for number, each in enumerate(files):
            target = folder / str(number)
            _write(target, each.data, each.mode, uid if each.uid is None else each.uid, gid)
            mounts.append(ValueMount(str(target), each.path))
        return tuple(mounts)

    def add_program(self, container: str, name: str, program: bytes) -> str:
        """A program that every user may run; returns where it is."""
        target = self._directory / container / name
        _write(target, program, 0o555, 0, 0)
        return str(target)

    def remove(self, container: str) -> None:
        shutil.rmtree(self._directory / container, ignore_errors=True)

    def containers(self) -> set[str]:
        with suppress(FileNotFoundError):
            return {path.name for path in self._directory.iterdir()}
        return set()

    def sweep(self, found: Collection[str], kept: Collection[str]) -> None:
        """Of those that were `found`, remove what belongs to none of `kept`: its container is gone."""
        for container in set(found) - set(kept):
            logger.info("event=values_swept container=%s", container)
            self.remove(container)

    def _ensure_mounted(self) -> None:
        with self._guard:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            place = self._directory.resolve()
            # Only newer kernels know noswap.
            failures = [_mount(place, options) for options in (f"{_OPTIONS},noswap", _OPTIONS)]
            if not _is_in_memory(place):
                raise Broken(f"{place} cannot be a file system in memory, so secrets have no place: {failures[-1]}.")


def _mount(place: Path, options: str) -> str:
    """Returns what went wrong, "" when it went well or was not needed any more."""
    if _is_in_memory(place):
        return ""
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.mount(b"hedgerow", os.fsencode(place), b"tmpfs", _MS_NOSUID | _MS_NODEV, options.encode())
    return os.strerror(ctypes.get_errno()) if failed else ""


def _is_in_memory(place: Path) -> bool:
    """Whether it is a mount point of such a file system; an ordinary directory on one may be anybody's."""
    if not os.path.ismount(place):
        return False
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        where, _, kind = line.partition(" - ")
        if _unescaped(where.split(" ")[4]) == str(place) and kind.split(" ")[0] in _IN_MEMORY:
            return True
    return False


def _unescaped(field: str) -> str:
    """The kernel writes blanks and backslashes as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _write(target: Path, data: bytes, mode: int, uid: int, gid: int) -> None:
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
    except OSError as error:
        raise Broken(f"A secret cannot be put into {target.parent.parent}: {error.strerror}.") from error
