"""What containers may leave in the kernel when their end was not a clean one: mounts and control groups."""

import contextlib
import json
import logging
import os
import shutil
import subprocess
from pathlib import Path

from edge_common.model.errors import Broken
from hedgerow.machine.layout import Layout

logger = logging.getLogger(__name__)

_UMOUNT_TIMEOUT_S = 20.0
_CGROUP_ROOT = Path("/sys/fs/cgroup")
_CGROUP_NAME = "hedgerow"
# Shims and runc keep these wherever containerd's own directories are; another containerd may use them too.
_SHARED_RUN = Path("/run/containerd")
_RUNC_STATE = _SHARED_RUN / "runc"
_TASKS = Path("containerd/io.containerd.runtime.v2.task")


def mounts_below(layout: Layout, mountinfo: str) -> list[Path]:
    """Mount points in our directories, the deepest first."""
    points = [Path(_unescaped(line.split(" ")[4])) for line in mountinfo.splitlines()]
    ours = [point for point in points if any(point.is_relative_to(top) for top in (layout.run, layout.data))]
    return sorted(ours, key=lambda point: len(point.parts), reverse=True)


def clear(layout: Layout) -> None:
    """After the last of our processes has ended. Raises Broken when a mount cannot be undone."""
    _forget_containers(layout)
    for point in mounts_below(layout, Path("/proc/self/mountinfo").read_text()):
        logger.info("unmount point=%s", point)
        done = subprocess.run(  # noqa: S603 - a path of our own
            ["/bin/umount", "--lazy", str(point)],
            capture_output=True,
            text=True,
            timeout=_UMOUNT_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise Broken(f"{point} cannot be unmounted: {done.stderr.strip()}. See who uses it with `fuser -m`.")
    for group in _own_cgroups():
        _remove_empty(group)
    for directory in (*_RUNC_STATE.glob("*"), _RUNC_STATE, _SHARED_RUN / "s", _SHARED_RUN):
        _remove_if_empty(directory)


def _forget_containers(layout: Layout) -> None:
    """What a container leaves outside of our directories when it was killed: runc's state and its shim's socket."""
    for bundle in (layout.run / _TASKS).glob("*/*"):
        with contextlib.suppress(FileNotFoundError):
            Path((bundle / "address").read_text().removeprefix("unix://")).unlink(missing_ok=True)
        state = _RUNC_STATE / bundle.parent.name / bundle.name
        if _is_of(state, bundle):
            shutil.rmtree(state)


def _is_of(state: Path, bundle: Path) -> bool:
    """Whether runc's state is that of our bundle, not of one with the same name in another containerd."""
    try:
        labels = json.loads((state / "state.json").read_text())["config"]["labels"]
    except (FileNotFoundError, ValueError, KeyError):
        return False
    return f"bundle={bundle}" in labels


def _own_cgroups() -> list[Path]:
    tops = [_CGROUP_ROOT, *(path for path in _CGROUP_ROOT.glob("*") if path.is_dir() and not path.is_symlink())]
    return [top / _CGROUP_NAME for top in tops if (top / _CGROUP_NAME).is_dir()]


def _remove_empty(group: Path) -> None:
    """A group that still has a process stays: its directory cannot be removed."""
    for path, _, _ in os.walk(group, topdown=False):
        _remove_if_empty(Path(path))


def _remove_if_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError as error:
        logger.debug("keep directory=%s reason=%s", directory, error)


def _unescaped(field: str) -> str:
    """The kernel writes blanks and backslashes as octal."""
    return field.encode().decode("unicode_escape") if "\\" in field else field
