"""What a user wants to run: the spec of a service, as every tier carries it."""

from dataclasses import dataclass, field
from enum import StrEnum

from edge_common.model.ids import ApplicationId, ServiceId
from edge_common.model.network import Addresses, PortMapping
from edge_common.model.probes import Probes
from edge_common.model.resources import Resources
from edge_common.model.values import Attachment, ValueRef


class PullPolicy(StrEnum):
    ALWAYS = "always"
    IF_MISSING = "if_missing"
    NEVER = "never"


class RestartMode(StrEnum):
    ALWAYS = "always"
    ON_FAILURE = "on_failure"
    NEVER = "never"


class Spreading(StrEnum):
    """The scorer that ranks candidates: fill one node after another, or even them out."""

    SPREAD = "spread"
    BINPACK = "binpack"


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How the node restarts an instance by itself.

    The n-th delay is `delay_s` doubled n-1 times, at most `max_delay_s`; a run of `reset_after_s` starts the
    count again.
    `attempts` is the number of restarts before FAILED; None is without end.
    """

    mode: RestartMode = RestartMode.ALWAYS
    attempts: int | None = None
    delay_s: float = 1.0
    max_delay_s: float = 60.0
    reset_after_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Ulimit:
    """`name` is the kernel's, lower case, without RLIMIT_: nofile, nproc, core ..."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Device:
    """A device file of the node. `permissions` is a subset of "rwm"."""

    host_path: str
    instance_path: str
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class Constraints:
    """Where it may run: names or ids. Empty means anywhere."""

    clusters: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """Immutable; a change is another spec with a higher revision beside it.

    `name` is the full one: application.namespace.service.namespace. `command` replaces the image's own when not empty.
    `pids_limit` 0 is the node's default. `architectures` are Go's names (amd64, arm64); empty means any.
    `lease_s` None is the cluster's default.
    `attachments` are the secrets and configuration objects that an instance gets; `registry_login` is the secret with
    which its image is pulled.
    """

    service_id: ServiceId
    application_id: ApplicationId
    name: str
    runtime: str
    image: str
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    working_directory: str = ""
    user: str = ""
    resources: Resources = Resources()
    pids_limit: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    devices: tuple[Device, ...] = ()
    is_privileged: bool = False
    is_root_read_only: bool = False
    is_one_shot: bool = False
    ports: tuple[PortMapping, ...] = ()
    addresses: Addresses = Addresses()
    pull_policy: PullPolicy = PullPolicy.IF_MISSING
    restart: RestartPolicy = RestartPolicy()
    probes: Probes = Probes()
    stop_grace_s: float = 10.0
    architectures: tuple[str, ...] = ()
    constraints: Constraints = field(default_factory=Constraints)
    spreading: Spreading = Spreading.SPREAD
    lease_s: float | None = None
    attachments: tuple[Attachment, ...] = ()
    registry_login: ValueRef | None = None

    @property
    def values(self) -> tuple[ValueRef, ...]:
        """Every value that a node needs for an instance, once."""
        refs = [each.ref for each in self.attachments]
        return tuple(dict.fromkeys([*refs, self.registry_login] if self.registry_login else refs))

    @property
    def needs_overlay(self) -> bool:
        """Whether it asks for what the host's own network cannot give: a mapped port or a service address."""
        return self.addresses != Addresses() or any(p.host_port != p.instance_port for p in self.ports)
