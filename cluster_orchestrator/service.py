"""The cluster's shell: one mailbox's worth of events in, both links and the scheduler settled after each batch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster_orchestrator.links import Links
from cluster_orchestrator.scheduler import Scheduler
from edge_common.link.child import ChildLink
from edge_common.link.events import Connected, Disconnected, End, MessageArrived
from edge_common.link.parent import ParentLinks
from edge_common.model.ids import ChildId

TICK_S = 1.0
MAX_ROUNDS = 4
"""A decision can make room for another one; what is left after these rounds waits for the next event."""


@dataclass(frozen=True, slots=True)
class NodeJoined:
    """A node got its identity and its credentials; from now on it may speak."""

    node_id: ChildId


@dataclass(frozen=True, slots=True)
class NodeForgotten:
    """It is no child of ours any more, and may not speak."""

    node_id: ChildId


class ClusterService:
    def __init__(self, links: Links, scheduler: Scheduler, upper: ChildLink, lower: ParentLinks) -> None:
        self._links = links
        self._scheduler = scheduler
        self._upper = upper
        self._lower = lower

    def handle(self, event: object) -> None:
        match event:
            case Connected(end=End.UPPER) | Disconnected(end=End.UPPER) | MessageArrived(end=End.UPPER):
                self._upper.handle(event)
            case Connected() | Disconnected() | MessageArrived():
                self._lower.handle(event)
            case NodeJoined(node_id=node_id):
                self._lower.add_children([node_id])
            case NodeForgotten(node_id=node_id):
                self._links.forget(node_id)
            case _:
                raise TypeError(f"A cluster knows no event {type(event).__name__}.")

    def settle(self) -> None:
        acked_before = self._upper.acked_revision
        changed = self._upper.take_changes()
        if changed:
            self._scheduler.services_changed(changed)
            self._links.services_dropped(changed)
        if self._upper.acked_revision != acked_before:
            self._links.acknowledged()
        for _ in range(MAX_ROUNDS):
            self._links.carry_out(self._scheduler.settle())
            if not self._scheduler.has_work:
                break
        self._lower.flush()
        self._upper.flush()

    def tick(self) -> float:
        lower_due_s = self._lower.tick()
        self._scheduler.tick()
        return (
            min(TICK_S, lower_due_s, self._upper.due_in_s())
            if self._lower.unready()
            else min(lower_due_s, self._upper.due_in_s())
        )

    def status(self) -> Mapping[str, Any]:
        return {
            "is_connected_up": self._upper.is_connected,
            "is_connected_down": self._lower.is_connected,
            "nodes": len(self._links.nodes),
            "services": len(self._upper.desired),
        }
