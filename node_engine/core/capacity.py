"""What instances may use of a machine: all but a reserve for the system and for us."""

from dataclasses import dataclass

from edge_common.model.resources import Resources

RESERVE_SHARE = 0.1
MAX_RESERVED_MEMORY_MB = 512
MAX_RESERVED_DISK_MB = 2048


@dataclass(frozen=True, slots=True)
class Machine:
    """`architecture` is Go's name (amd64, arm64); `disk_mb` is the size of the file system with our data."""

    hostname: str
    architecture: str
    cpus: int
    memory_mb: int
    disk_mb: int


def capacity(machine: Machine, reserved_memory_mb: int | None = None) -> Resources:
    """`reserved_memory_mb` None is a tenth, at most MAX_RESERVED_MEMORY_MB."""
    memory_mb = reserve(machine.memory_mb, MAX_RESERVED_MEMORY_MB) if reserved_memory_mb is None else reserved_memory_mb
    return Resources(
        cpu_millis=machine.cpus * 1000,
        memory_mb=max(0, machine.memory_mb - memory_mb),
        disk_mb=max(0, machine.disk_mb - reserve(machine.disk_mb, MAX_RESERVED_DISK_MB)),
    )


def reserve(total_mb: int, most_mb: int) -> int:
    return min(int(total_mb * RESERVE_SHARE), most_mb)


_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386", "i386": "386"}


def go_architecture(machine: str) -> str:
    """From what uname calls it."""
    return _GO_NAMES.get(machine, machine)
