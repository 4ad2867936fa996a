"""The root's shell: one mailbox's worth of events in; intents, scheduler and links settled after each batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edge_common.link.events import Connected, Disconnected, MessageArrived
from edge_common.link.parent import ParentLinks
from edge_common.model.errors import HedgerowError
from edge_common.model.ids import ChildId, ServiceId
from root_orchestrator.core.records import ServiceIntent
from root_orchestrator.core.rollout import Verdict
from root_orchestrator.links import Links
from root_orchestrator.scheduler import Scheduler

MAX_ROUNDS = 4
"""A decision can make room for another one; what is left after these rounds waits for the next event."""


@dataclass(frozen=True, slots=True)
class ClusterJoined:
    """A cluster got its identity and its credentials; from now on it may speak."""

    cluster_id: ChildId


@dataclass(frozen=True, slots=True)
class ClusterForgotten:
    """It is no child of ours any more, and may not speak."""

    cluster_id: ChildId


@dataclass(frozen=True, slots=True)
class Aside:
    """Something small for this thread to do, of which nobody waits for the end."""

    work: Callable[[], object]


@dataclass(frozen=True, slots=True)
class AskCluster:
    """Somebody waits in another thread for a cluster's answer."""

    cluster_id: ChildId
    kind: str
    body: Mapping[str, Any]
    timeout_s: float
    on_answer: Callable[[Mapping[str, Any] | HedgerowError], None]


class IntentKeeper(Protocol):
    def forget_services(self, service_ids: Sequence[ServiceId]) -> None: ...
    def note_rollouts(self, verdicts: Sequence[tuple[ServiceIntent, Verdict]]) -> None: ...


class RootService:
    def __init__(self, links: Links, scheduler: Scheduler, lower: ParentLinks, manager: IntentKeeper) -> None:
        self._links = links
        self._scheduler = scheduler
        self._lower = lower
        self._manager = manager

    def handle(self, event: object) -> None:
        match event:
            case Connected() | Disconnected() | MessageArrived():
                self._lower.handle(event)
            case ClusterJoined(cluster_id=cluster_id):
                self._lower.add_children([cluster_id])
            case ClusterForgotten(cluster_id=cluster_id):
                self._links.forget(cluster_id)
            case Aside(work=work):
                work()
            case AskCluster():
                self._lower.request(event.cluster_id, event.kind, event.body, event.timeout_s, event.on_answer)
            case _:
                raise TypeError(f"A root knows no event {type(event).__name__}.")

    def services_changed(self, service_ids: Sequence[ServiceId]) -> None:
        """A user's intent changed: decide again, and tell the clusters that have these services of a new spec."""
        self._scheduler.services_changed(service_ids)
        self._links.intents_changed(service_ids)

    def settle(self) -> None:
        for _ in range(MAX_ROUNDS):
            settled = self._scheduler.settle()
            self._links.carry_out(settled)
            if settled.ended_services:
                self._manager.forget_services(settled.ended_services)
            if settled.verdicts:
                self._manager.note_rollouts(settled.verdicts)
            if not self._scheduler.has_work:
                break
        self._lower.flush()

    def tick(self) -> float:
        lower_due_s = self._lower.tick()
        self._scheduler.tick()
        return max(0.02, min(lower_due_s, self._scheduler.due_in_s()))
