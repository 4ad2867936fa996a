"""Device files of the node, as an OCI spec wants them."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edge_common.model.errors import InvalidInput
from edge_common.model.service import Device, ServiceSpec
from node_engine.core.container_spec import DeviceNode

_NOT_OURS = frozenset({"/dev/console", "/dev/fd", "/dev/mqueue", "/dev/pts", "/dev/shm", "/dev/ptmx"})  # noqa: S108
"""Every container has its own of these."""


def find_devices(spec: ServiceSpec) -> tuple[DeviceNode, ...]:
    """Those that the spec names; all of the node's for a privileged one. Raises InvalidInput for a missing one."""
    named = tuple(_named(device) for device in spec.devices)
    if not spec.is_privileged:
        return named
    taken = {device.path for device in named}
    return (*named, *(device for device in _all(Path("/dev")) if device.path not in taken))


def _named(device: Device) -> DeviceNode:
    try:
        found = _node(Path(device.host_path).stat(), device.instance_path, device.permissions)
    except OSError as error:
        raise InvalidInput(f"This node has no device {device.host_path}: {error.strerror}.", "devices") from error
    if found is None:
        raise InvalidInput(f"{device.host_path} is no device file on this node.", "devices")
    return found


def _all(directory: Path) -> Iterator[DeviceNode]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.path in _NOT_OURS or entry.is_symlink():
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _all(Path(entry.path))
            else:
                found = _node(entry.stat(follow_symlinks=False), entry.path, "rwm")
                if found is not None:
                    yield found


def _node(status: os.stat_result, path: str, permissions: str) -> DeviceNode | None:
    if stat.S_ISCHR(status.st_mode):
        kind = "c"
    elif stat.S_ISBLK(status.st_mode):
        kind = "b"
    else:
        return None
    return DeviceNode(
        path=path,
        kind=kind,
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        file_mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        permissions=permissions,
    )
