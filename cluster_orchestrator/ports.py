"""What the cluster's services need of the world, in the core's words."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cluster_orchestrator.core.records import NodeRecord, WantedService
from edge_common.model.errors import HedgerowError
from edge_common.model.ids import ChildId, NodeId, ServiceId
from edge_common.model.node import ChildHealth


class NodeStore(Protocol):
    """Nodes that have joined and reported once. Reads may come from any thread."""

    def nodes(self) -> list[NodeRecord]: ...
    def put(self, record: NodeRecord) -> None: ...
    def delete(self, node_id: NodeId) -> None: ...


class DoorQuestions(Protocol):
    """Questions of the root about who comes in: join tokens, the waiting room, forgetting."""

    def ask(
        self, kind: str, body: Mapping[str, Any], reply: Callable[[Mapping[str, Any] | HedgerowError], None]
    ) -> None:
        """Returns at once; replies from another thread. Raises Overloaded when too many wait already."""


class World(Protocol):
    """What the scheduler asks of the links: intent from above, health from below."""

    def wanted(self, service_id: ServiceId) -> WantedService | None: ...
    def health(self) -> Mapping[ChildId, ChildHealth]:
        """Of every node; a look costs nothing for the nodes that are not looked at."""

    def unready(self) -> Mapping[ChildId, ChildHealth]:
        """Of the nodes that are not ready."""
