"""A service's data directory: one process at a time uses it."""

import fcntl
import os
from pathlib import Path

from edge_common.plumbing.ids import random_id

LOCK_FILE = "lock"
_ID_BYTES = 24


class DataDirectory:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def __str__(self) -> str:
        return str(self._path)

    def claim(self) -> str | None:
        """The directory's id, which outlives processes; None while another process has claimed the directory.

        The kernel ends a claim together with its process, so whoever has one knows that all earlier ones are dead.
        """
        if self._descriptor is None:
            self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            self._descriptor = descriptor
        return _id_of(self._descriptor)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _id_of(descriptor: int) -> str:
    """Another one in a copy of the directory, which may be in use at the same time: no copy keeps the change time."""
    if not os.fstat(descriptor).st_size:
        os.pwrite(descriptor, random_id().encode(), 0)
        os.fsync(descriptor)
    found = os.fstat(descriptor)
    return f"{os.pread(descriptor, _ID_BYTES, 0).decode()}-{found.st_ino:x}-{found.st_ctime_ns:x}"
