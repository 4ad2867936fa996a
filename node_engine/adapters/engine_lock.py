"""One engine at a time for a data directory; and who that is."""

import fcntl
import os
import time
from pathlib import Path

from edge_common.model.errors import Conflict

FILE = "engine.lock"
WAIT_S = 3.0
"""For a predecessor that is about to end, and for somebody who looks at the lock just now."""
_POLL_S = 0.05


class EngineLock:
    """Held until the process ends, however it ends. Raises Conflict when another engine has it."""

    def __init__(self, data_dir: Path, wait_s: float = WAIT_S) -> None:
        self._file = os.open(data_dir / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline_s = time.monotonic() + wait_s
        while not self._is_taken():
            if time.monotonic() >= deadline_s:
                os.close(self._file)
                pid = running_engine(data_dir)
                raise Conflict(f"A node engine runs with {data_dir} already (pid {pid}); `NodeEngine stop` ends it.")
            time.sleep(_POLL_S)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._file)

    def _is_taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def running_engine(data_dir: Path) -> int | None:
    """The pid of the engine that runs with this data directory; None when there is none. 0 is one that just starts."""
    try:
        file = os.open(data_dir / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(file, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    else:
        return None
    finally:
        os.close(file)
