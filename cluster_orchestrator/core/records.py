"""What a cluster keeps of its nodes, and what its root wants of it, in the words of its core."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.node import NodeInfo
from edge_common.model.service import ServiceSpec


@dataclass(frozen=True, slots=True)
class Slot:
    """One replica that the root placed here. `origin_id` is the root's instance_id for it.

    `spec_revision` 0 is that of its service; another while an update is under way, or is tried out.
    """

    origin_id: InstanceId
    instance_number: int
    spec_revision: int = 0


@dataclass(frozen=True, slots=True)
class WantedService:
    service_id: ServiceId
    spec_revision: int
    spec: ServiceSpec
    slots: tuple[Slot, ...]
    older: Mapping[int, ServiceSpec] = field(default_factory=dict)

    def revision_of(self, slot: Slot) -> int:
        return slot.spec_revision if slot.spec_revision in self.older else self.spec_revision

    def spec_of(self, revision: int) -> ServiceSpec:
        """The newest for a revision that is not known any more."""
        return self.older.get(revision, self.spec)


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """Written by the links."""

    info: NodeInfo
    is_cordoned: bool = False
    joined_at_s: float = 0.0
    version: int = 0
