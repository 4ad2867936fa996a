"""Every message of the link, one dataclass each; tests/wire/golden has a file for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_common.model.cluster import ClusterInfo, Summary
from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.instance import Observation
from edge_common.model.network import Subnet
from edge_common.model.node import NodeInfo, Usage
from edge_common.model.service import ServiceSpec
from edge_common.model.values import SealedValue


@dataclass(frozen=True, slots=True)
class AssignedInstance:
    """`spec_revision` 0 is that of its document, else that of an older spec in it."""

    instance_id: InstanceId
    instance_number: int
    spec_revision: int = 0


@dataclass(frozen=True, slots=True)
class SpecVersion:
    spec_revision: int
    spec: ServiceSpec


@dataclass(frozen=True, slots=True)
class DesiredService:
    """All that a child is to do for one service; an instance that it does not list is not wanted.

    An instance is immutable: `spec` is for those that are new to the reader, the others keep what they began with.

    `revision` is that of the child's manifest at which this document last changed. `sealed` are the values that `spec`
    names, for this child alone. `older` are other specs that listed instances are of, for who starts them anew.
    """

    service_id: ServiceId
    revision: int
    spec_revision: int
    spec: ServiceSpec
    instances: tuple[AssignedInstance, ...] = ()
    sealed: tuple[SealedValue, ...] = ()
    older: tuple[SpecVersion, ...] = ()

    def version_of(self, revision: int) -> SpecVersion:
        """The document's own for one that it does not have."""
        own = SpecVersion(self.spec_revision, self.spec)
        return next((each for each in self.older if each.spec_revision == revision), own)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which services, each with the revision of its document. `revision` only grows for one child.

    `subnets` are the child's part of the overlay's addresses: blocks of a cluster, subnets of a node.
    """

    revision: int
    services: Mapping[ServiceId, int] = field(default_factory=dict)
    subnets: tuple[Subnet, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What changed since the last report, or with `is_full` all there is.

    `sequence` counts the reports of one `boot_id` from 1; a gap means that some were lost. `acked_revision` is the
    newest manifest that the child holds in full, on disk. `csr` (PEM) asks for a new certificate.
    """

    boot_id: str
    sequence: int
    acked_revision: int
    is_full: bool = False
    observations: tuple[Observation, ...] = ()
    node: NodeInfo | None = None
    cluster: ClusterInfo | None = None
    summary: Summary | None = None
    usage: Usage | None = None
    csr: str = ""


@dataclass(frozen=True, slots=True)
class Presence:
    """Retained; the broker itself says `is_online` false when the child's connection breaks."""

    is_online: bool
    boot_id: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A question from the parent. `request_id` comes back in the answer."""

    request_id: str
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """`error` is the name of a class of the tree of errors, "" when it went well; then `message` says what happened."""

    request_id: str
    body: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    message: str = ""
