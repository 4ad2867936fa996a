"""A service level agreement as a user wrote it: checked for shape, not yet for meaning.

Field names are Oakestra's where Oakestra has the field. `path` is where the part stood in the document, for messages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@dataclass(frozen=True, slots=True)
class RestartSla:
    """Seconds; None is the default of the model's RestartPolicy."""

    mode: str | None = None
    attempts: int | None = None
    delay: float | None = None
    max_delay: float | None = None
    reset_after: float | None = None


@dataclass(frozen=True, slots=True)
class ProbeSla:
    """Seconds; None is the default of the model's Probe."""

    type: str
    port: int | None = None
    path: str = ""
    command: tuple[str, ...] = ()
    service: str = ""
    delay: float | None = None
    interval: float | None = None
    timeout: float | None = None
    failures: int | None = None
    successes: int | None = None


@dataclass(frozen=True, slots=True)
class ProbesSla:
    startup: ProbeSla | None = None
    readiness: ProbeSla | None = None
    liveness: ProbeSla | None = None


@dataclass(frozen=True, slots=True)
class UpdateSla:
    """Seconds; a share is a number of instances or a percentage. None and "" are the defaults of the root's policy."""

    strategy: str = ""
    order: str = ""
    max_unavailable: str = ""
    max_surge: str = ""
    min_healthy: float | None = None
    deadline: float | None = None
    on_failure: str = ""
    canary: str = ""
    promote_after: float | None = None


@dataclass(frozen=True, slots=True)
class AddressesSla:
    rr_ip: str = ""
    rr_ip_v6: str = ""
    unsupported: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConstraintSla:
    """`allowed` are the names of a constraint of type "clusters"; `cluster` and `node` may list names between ";"."""

    type: str
    cluster: str = ""
    node: str = ""
    allowed: tuple[str, ...] = ()
    unsupported: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AttachmentSla:
    """A secret or a configuration object by its name, as the variable `env` or the file `path`. `mode` is octal."""

    name: str
    env: str = ""
    path: str = ""
    mode: str = ""
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class MicroserviceSla:
    """`as_sent` is the object as it came. `unsupported` holds the known fields that this version cannot serve.

    Memory and storage are MiB, times are seconds.
    """

    path: str
    as_sent: Mapping[str, Any]
    microservice_name: str
    microservice_namespace: str
    virtualization: str
    code: str
    microservice_id: str = ""
    arch: tuple[str, ...] = ()
    memory: int = 0
    vcpus: float = 0.0
    storage: int = 0
    port: str = ""
    cmd: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    one_shot: bool = False
    privileged: bool = False
    target_node: str = ""
    constraints: tuple[ConstraintSla, ...] = ()
    addresses: AddressesSla = AddressesSla()
    replicas: int | None = None
    user: str = ""
    working_dir: str = ""
    read_only: bool = False
    pids: int = 0
    ulimits: Mapping[str, Any] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    restart: RestartSla = RestartSla()
    probes: ProbesSla = ProbesSla()
    update: UpdateSla = UpdateSla()
    stop_grace: float | None = None
    pull_policy: str = ""
    placement: str = ""
    lease: float | None = None
    secrets: tuple[AttachmentSla, ...] = ()
    configs: tuple[AttachmentSla, ...] = ()
    registry_secret: str = ""
    unsupported: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApplicationSla:
    path: str
    application_name: str
    application_namespace: str
    application_id: str = ""
    application_desc: str = ""
    microservices: tuple[MicroserviceSla, ...] = ()


@dataclass(frozen=True, slots=True)
class Sla:
    sla_version: str
    customer_id: str = ""
    applications: tuple[ApplicationSla, ...] = ()
    unsupported: Mapping[str, Any] = field(default_factory=dict)
