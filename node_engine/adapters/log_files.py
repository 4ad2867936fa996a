"""Output of instances: one file each, written by the container's shim, trimmed and read by the engine.

The shim holds the file open and appends. Old output is freed by punching a hole at the front of the file: nothing that
is written meanwhile is lost or moved, nothing is copied, and a byte keeps its offset for ever. The file's apparent
size therefore counts all that was ever written; `du` shows what it takes, and its head reads as zeros. On a file
system without holes the file is cut to nothing instead, which loses what was in it.
"""

import ctypes
import errno
import logging
import os
import shutil
from pathlib import Path

from edge_common.model.ids import InstanceId
from node_engine.core.logs import DEFAULT_POLICY, LogChunk, LogPolicy, first_kept, tail_start

logger = logging.getLogger(__name__)

_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01
_BLOCK = 4096
_TAIL_STEP = 64 * 1024
MAX_READ_BYTES = 1024 * 1024


class LogFiles:
    """Under `directory`: <instance_id>/log, mode 0640."""

    def __init__(self, directory: Path, policy: LogPolicy = DEFAULT_POLICY) -> None:
        self._directory = directory
        self._policy = policy
        libc = ctypes.CDLL(None, use_errno=True)
        self._fallocate = libc.fallocate64 if hasattr(libc, "fallocate64") else libc.fallocate

    def path(self, instance_id: InstanceId) -> Path:
        return self._directory / instance_id / "log"

    def ensure(self, instance_id: InstanceId) -> Path:
        """The file, made when it is missing: the shim would make it readable by everybody."""
        path = self.path(instance_id)
        if not path.exists():
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o640))
        return path

    def read(self, instance_id: InstanceId, cursor: int = 0, limit: int = MAX_READ_BYTES) -> LogChunk:
        """From `cursor` on, at most `limit` bytes; empty when there is no more yet, or no such instance."""
        try:
            fd = os.open(self.path(instance_id), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return LogChunk(b"", cursor)
        try:
            return _read(fd, max(cursor, 0), min(limit, MAX_READ_BYTES))
        finally:
            os.close(fd)

    def tail(self, instance_id: InstanceId, lines: int) -> LogChunk:
        """The last `lines` lines, at most MAX_READ_BYTES of them."""
        try:
            fd = os.open(self.path(instance_id), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return LogChunk(b"", 0)
        try:
            return _read(fd, _find_tail(fd, lines), MAX_READ_BYTES)
        finally:
            os.close(fd)

    def trim(self) -> None:
        """Bring every file back under the policy's size; cheap when all are. Meant for a timer of a few seconds."""
        try:
            entries = list(os.scandir(self._directory))
        except FileNotFoundError:
            return
        for entry in entries:
            try:
                self._trim_one(Path(entry.path) / "log")
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                logger.warning("could not trim a log instance=%s error=%s", entry.name, error)

    def remove(self, instance_id: InstanceId) -> None:
        shutil.rmtree(self._directory / instance_id, ignore_errors=True)

    def instances(self) -> list[InstanceId]:
        """All that have a log, also those whose instance is long gone."""
        try:
            return [InstanceId(entry.name) for entry in os.scandir(self._directory) if entry.is_dir()]
        except FileNotFoundError:
            return []

    def _trim_one(self, path: Path) -> None:
        if path.stat().st_blocks * 512 <= self._policy.max_bytes:
            return
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            start = _first_data(fd, size)
            keep_from = first_kept(size, start, self._policy)
            if keep_from > start:
                self._free_head(fd, keep_from)
        finally:
            os.close(fd)

    def _free_head(self, fd: int, length: int) -> None:
        whole_blocks = ctypes.c_int64(length - length % _BLOCK)
        if self._fallocate(fd, _PUNCH_HOLE_KEEP_SIZE, ctypes.c_int64(0), whole_blocks) == 0:
            return
        code = ctypes.get_errno()
        if code != errno.EOPNOTSUPP:
            raise OSError(code, os.strerror(code))
        os.ftruncate(fd, 0)


def _first_data(fd: int, size: int) -> int:
    """The first offset that still holds something."""
    try:
        return os.lseek(fd, 0, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size
        raise


def _first_line(fd: int, size: int) -> int:
    """Where the first whole line begins: behind a hole the line that it cut is left out."""
    start = _first_data(fd, size)
    if start == 0 or start >= size:
        return start
    cut = os.pread(fd, _TAIL_STEP, start).find(b"\n")
    return start + cut + 1 if cut >= 0 else start


def _read(fd: int, cursor: int, limit: int) -> LogChunk:
    size = os.fstat(fd).st_size
    if cursor > size:
        return LogChunk(os.pread(fd, limit, 0), min(limit, size), is_gap=True)
    kept = cursor
    if cursor < _first_data(fd, size):
        kept = _first_line(fd, size)
    data = os.pread(fd, limit, kept)
    return LogChunk(data, kept + len(data), is_gap=0 < cursor < kept)


def _find_tail(fd: int, lines: int) -> int:
    size = os.fstat(fd).st_size
    first = _first_line(fd, size)
    begin = size
    block = b""
    while begin > first and size - begin < MAX_READ_BYTES:
        length = min(_TAIL_STEP, begin - first)
        begin -= length
        block = os.pread(fd, length, begin) + block
        found = tail_start(block, begin, lines)
        if found is not None:
            return found
    return begin
