"""How a node finds out whether an instance is well."""

from dataclasses import dataclass, field
from enum import StrEnum


class ProbeKind(StrEnum):
    """What a probe does. EXEC runs in the instance; the others come from its node."""

    HTTP = "http"
    TCP = "tcp"
    EXEC = "exec"
    GRPC = "grpc"


class ProbeRole(StrEnum):
    """STARTUP holds the others back until it succeeds, READINESS decides on traffic, LIVENESS on a restart."""

    STARTUP = "startup"
    READINESS = "readiness"
    LIVENESS = "liveness"


@dataclass(frozen=True, slots=True)
class Probe:
    """`port` is the instance's own. `path` is of HTTP, where 200 to 399 is well; `service` of gRPC's health protocol.

    `interval_s` is from one answer to the next question. Of `failures` or `successes` in a row the last one counts.
    """

    kind: ProbeKind
    port: int = 0
    path: str = "/"
    command: tuple[str, ...] = ()
    service: str = ""
    initial_delay_s: float = 0.0
    interval_s: float = 5.0
    timeout_s: float = 1.0
    failures: int = 3
    successes: int = 1


@dataclass(frozen=True, slots=True)
class Probes:
    """None is no such probe; without any an instance is well as long as it runs."""

    startup: Probe | None = field(default=None)
    readiness: Probe | None = field(default=None)
    liveness: Probe | None = field(default=None)

    @property
    def are_there(self) -> bool:
        return self.startup is not None or self.readiness is not None or self.liveness is not None

    def of(self, role: ProbeRole) -> Probe | None:
        return {
            ProbeRole.STARTUP: self.startup,
            ProbeRole.READINESS: self.readiness,
            ProbeRole.LIVENESS: self.liveness,
        }[role]
