"""What an instance asks for and what a node has."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Resources:
    """Thousandths of a core, MiB of memory and MiB of disk; whole numbers, so that sums are exact."""

    cpu_millis: int = 0
    memory_mb: int = 0
    disk_mb: int = 0

    def __add__(self, other: Self) -> "Resources":
        return Resources(
            self.cpu_millis + other.cpu_millis, self.memory_mb + other.memory_mb, self.disk_mb + other.disk_mb
        )

    def __sub__(self, other: Self) -> "Resources":
        return Resources(
            self.cpu_millis - other.cpu_millis, self.memory_mb - other.memory_mb, self.disk_mb - other.disk_mb
        )

    def fits_in(self, other: Self) -> bool:
        return (
            self.cpu_millis <= other.cpu_millis and self.memory_mb <= other.memory_mb and self.disk_mb <= other.disk_mb
        )


NOTHING = Resources()
