"""Network namespaces, named as `ip netns` names them.

Work inside a namespace is done by a thread of its own that moves there and ends: the process stays where it is, and
nothing is forked.
"""

import contextlib
import ctypes
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from edge_common.model.errors import Broken, NotFound, Unreachable

DIRECTORY = Path("/run/netns")
TIMEOUT_S = 10.0

_NEW_NETWORK = 0x40000000
_BIND, _RECURSIVE, _SHARED = 0x1000, 0x4000, 0x100000
_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


class _Visit(Generic[T]):
    """Runs `work` in a thread in the namespace at `path` (None: a new one) and keeps what came of it."""

    def __init__(self, work: Callable[[], T], path: Path | None) -> None:
        self._work = work
        self._path = path
        self.results: list[T] = []
        self.errors: list[BaseException] = []

    def run(self) -> None:
        try:
            self._move()
            self.results.append(self._work())
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
            self.errors.append(error)

    def _move(self) -> None:
        if self._path is None:
            _call("unshare", _NEW_NETWORK)
            return
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"There is no network namespace {self._path.name}; was its instance removed?") from None
        try:
            _call("setns", descriptor, _NEW_NETWORK)
        finally:
            os.close(descriptor)


def within(path: Path | None, work: Callable[[], T], timeout_s: float = TIMEOUT_S) -> T:
    """What `work` returns or raises, done in the namespace at `path`; None is the process's own.

    Raises NotFound when there is no such namespace and Unreachable when the work takes too long.
    """
    return work() if path is None else _visit(work, path, timeout_s)


def create(name: str) -> None:
    """Nothing happens when it exists."""
    if is_whole(name):
        return
    _share_directory()
    path = DIRECTORY / name
    path.touch(mode=0o444)
    _visit(lambda: _call("mount", b"/proc/thread-self/ns/net", bytes(path), b"none", _BIND, None), None, TIMEOUT_S)


def remove(name: str) -> None:
    """Nothing happens when there is none. The kernel frees it when the last process in it has ended."""
    path = DIRECTORY / name
    while is_whole(name):
        _call("umount2", bytes(path), _DETACH)
    path.unlink(missing_ok=True)


def names() -> tuple[str, ...]:
    """Those that are whole and those of which only the name was made."""
    try:
        return tuple(sorted(path.name for path in DIRECTORY.iterdir()))
    except FileNotFoundError:
        return ()


def is_whole(name: str) -> bool:
    """A namespace is a mount of another file system over its name."""
    try:
        return (DIRECTORY / name).stat().st_dev != DIRECTORY.stat().st_dev
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def opened(name: str) -> Iterator[int]:
    try:
        descriptor = os.open(DIRECTORY / name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"There is no network namespace {name}; was its instance removed?") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _visit(work: Callable[[], T], path: Path | None, timeout_s: float) -> T:
    visit = _Visit(work, path)
    thread = threading.Thread(target=visit.run, name="network-namespace", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if visit.errors:
        raise visit.errors[0]
    if not visit.results:
        raise Unreachable(f"The kernel did not finish work on {path or 'a new namespace'} in {timeout_s:.0f} s.")
    return visit.results[0]


def _share_directory() -> None:
    """Mounts below it must reach other mount namespaces and leave them again, else removed names stay busy there.

    Only what is a mount can be shared, and a directory bound to itself looks like none from outside: so ask the kernel.
    """
    DIRECTORY.mkdir(mode=0o755, exist_ok=True)
    share = ("mount", b"none", bytes(DIRECTORY), b"none", _SHARED | _RECURSIVE, None)
    try:
        _call(*share)
    except _NotAMount:
        _call("mount", bytes(DIRECTORY), bytes(DIRECTORY), b"none", _BIND | _RECURSIVE, None)
        _call(*share)


class _NotAMount(Broken):
    pass


def _call(function: str, *arguments: object) -> None:
    if getattr(_libc, function)(*arguments) != 0:
        code = ctypes.get_errno()
        hint = "; run as root" if code == errno.EPERM else ""
        kind = _NotAMount if code == errno.EINVAL else Broken
        raise kind(f"The kernel refused {function} for a network namespace: {os.strerror(code)}{hint}.")
