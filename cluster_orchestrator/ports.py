"""What the cluster's services need of the world, in the core's words."""

from collections.abc import Mapping
from typing import Protocol

from cluster_orchestrator.core.records import NodeRecord, WantedService
from edge_common.model.ids import ChildId, NodeId, ServiceId
from edge_common.model.node import ChildHealth


class NodeStore(Protocol):
    """Nodes that have joined and reported once. Reads may come from any thread."""

    def nodes(self) -> list[NodeRecord]: ...
    def put(self, record: NodeRecord) -> None: ...
    def delete(self, node_id: NodeId) -> None: ...


class World(Protocol):
    """What the scheduler asks of the links: intent from above, health from below."""

    def wanted(self, service_id: ServiceId) -> WantedService | None: ...
    def health(self) -> Mapping[ChildId, ChildHealth]:
        """Of every node; a look costs nothing for the nodes that are not looked at."""

    def unready(self) -> Mapping[ChildId, ChildHealth]:
        """Of the nodes that are not ready."""
