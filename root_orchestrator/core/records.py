"""What the root keeps, one dataclass a collection. Each names its one writer."""

from dataclasses import dataclass, field

from edge_common.model.cluster import ClusterInfo, Summary
from edge_common.model.ids import ApplicationId, ServiceId
from edge_common.model.node import Readiness, Usage
from edge_common.model.service import ServiceSpec
from root_orchestrator.core.updates import Rollout, UpdatePolicy, Version

DEFAULT_ORGANIZATION = "root"
"""The id and at first the name of the organisation that is there from the start, as in Oakestra."""


@dataclass(frozen=True, slots=True)
class User:
    """`organization` is an organisation's id. `password_hash` is argon2's own format."""

    username: str
    password_hash: str = field(repr=False)
    roles: tuple[str, ...]
    email: str = ""
    organization: str = DEFAULT_ORGANIZATION
    created_at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Application:
    """Written by the manager. `owner` is the username of who made it, `organization` the id of their organisation then.

    `version` is the store's; 0 is not stored yet.
    """

    application_id: ApplicationId
    name: str
    namespace: str
    description: str
    owner: str
    created_at_s: float = 0.0
    version: int = 0
    organization: str = DEFAULT_ORGANIZATION


@dataclass(frozen=True, slots=True)
class ServiceIntent:
    """What a user wants of one service: written by the manager alone, in answer to a user, or to a rollout that fails.

    `slots` are the instance numbers that are wanted, ascending; `next_number` is the number of the next new slot
    (numbers are never used twice). `spec_revision` counts changes of `spec` from 1. `sla` is the microservice as it
    was sent. `spec_since_s` and `spec_cause` are the present spec's, as in `Version`; `history` has those before it,
    oldest first. `rollout` is what the scheduler makes of the present spec.
    A service that `is_removed` stays until its last instance is gone. `version` is the store's; 0 is not stored yet.
    """

    service_id: ServiceId
    application_id: ApplicationId
    spec: ServiceSpec
    sla: dict[str, object]
    slots: tuple[int, ...] = ()
    next_number: int = 0
    spec_revision: int = 1
    is_removed: bool = False
    created_at_s: float = 0.0
    version: int = 0
    update: UpdatePolicy = UpdatePolicy()
    history: tuple[Version, ...] = ()
    rollout: Rollout = Rollout()
    spec_since_s: float = 0.0
    spec_cause: str = ""


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """Written by the links. `heard_at_s` is the root's wall clock at the cluster's last sign of life."""

    info: ClusterInfo
    summary: Summary
    usage: Usage
    readiness: Readiness
    heard_at_s: float
    joined_at_s: float
    desired_revision: int = 0
    acked_revision: int = 0
