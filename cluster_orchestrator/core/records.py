"""What a cluster keeps of its nodes, and what its root wants of it, in the words of its core."""

from dataclasses import dataclass

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.node import NodeInfo
from edge_common.model.service import ServiceSpec


@dataclass(frozen=True, slots=True)
class Slot:
    """One replica that the root placed here. `origin_id` is the root's instance_id for it."""

    origin_id: InstanceId
    instance_number: int


@dataclass(frozen=True, slots=True)
class WantedService:
    service_id: ServiceId
    spec_revision: int
    spec: ServiceSpec
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """Written by the links."""

    info: NodeInfo
    is_cordoned: bool = False
    joined_at_s: float = 0.0
    version: int = 0
