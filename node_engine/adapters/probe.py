"""Measures this machine, with psutil."""

import os
import platform
import socket
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from edge_common.model.node import Usage
from node_engine.core.capacity import Machine, go_architecture

_MIB = 1024 * 1024


class MachineProbe:
    """`disk` is a directory on the file system that instances use; `parent_url` is what the address is to reach."""

    def __init__(self, disk: Path, parent_url: str) -> None:
        self._disk = disk
        self._parent = urlsplit(parent_url)
        self._machine = Machine(
            hostname=socket.gethostname(),
            architecture=go_architecture(platform.machine()),
            cpus=psutil.cpu_count() or 1,
            memory_mb=psutil.virtual_memory().total // _MIB,
            disk_mb=psutil.disk_usage(str(disk)).total // _MIB,
        )
        psutil.cpu_percent()

    def machine(self) -> Machine:
        return replace(self._machine, hostname=socket.gethostname())

    def usage(self) -> Usage:
        """The processor's is the mean since the last call."""
        disk = os.statvfs(self._disk)
        return Usage(
            cpu_percent=psutil.cpu_percent(),
            memory_percent=psutil.virtual_memory().percent,
            disk_used_mb=(disk.f_blocks - disk.f_bfree) * disk.f_frsize // _MIB,
        )

    def address(self) -> str:
        """The source address of a packet to the parent; connecting a datagram socket sends none."""
        host, port = self._parent.hostname or "", self._parent.port or 80
        try:
            family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.connect(target)
                return str(probe.getsockname()[0])
        except OSError:
            return ""
