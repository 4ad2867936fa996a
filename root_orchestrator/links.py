"""The root's links to its clusters: assignments go down as desired sets, reports are folded into observations."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from edge_common.link.health import LinkHealth
from edge_common.link.parent import ParentLinks
from edge_common.link.placement_store import PlacementStore
from edge_common.link.publisher import DesiredContent, listed
from edge_common.link.subnet_desk import SubnetDesk
from edge_common.model.cluster import Summary
from edge_common.model.errors import HedgerowError
from edge_common.model.ids import ChildId, ClusterId, ServiceId
from edge_common.model.lifecycle import Desired
from edge_common.model.node import ChildHealth, Readiness, Usage
from edge_common.plumbing.clock import Clock
from edge_common.wire.messages import Report
from root_orchestrator.core.records import ClusterRecord
from root_orchestrator.core.versions import revisions_like, spec_of
from root_orchestrator.ports import ClusterStore, IntentStore
from root_orchestrator.scheduler import Scheduler, Settled
from root_orchestrator.values import Values

logger = logging.getLogger(__name__)

SAVE_AGE_S = 10.0
"""A cluster's record is written when something changed, or when what is kept is older than this."""


class Links:
    """Above the links it is their Owner, for the scheduler the World."""

    lower: ParentLinks
    scheduler: Scheduler

    def __init__(
        self,
        intents: IntentStore,
        clusters: ClusterStore,
        placements: PlacementStore,
        clock: Clock,
        values: Values,
        blocks: SubnetDesk,
    ) -> None:
        self._intents = intents
        self._cluster_store = clusters
        self._placements = placements
        self._clock = clock
        self._values = values
        self._blocks = blocks
        self._saved_s: dict[ChildId, float] = {}
        self._clusters: dict[ChildId, ClusterRecord] = {
            ChildId(each.info.cluster_id): replace(each, readiness=Readiness.SUSPECT) for each in clusters.clusters()
        }

    def bind(self, lower: ParentLinks, scheduler: Scheduler) -> None:
        """The two need each other; the composition root ties the knot."""
        self.lower, self.scheduler = lower, scheduler

    @property
    def clusters(self) -> Mapping[ChildId, ClusterRecord]:
        return self._clusters

    def health(self) -> Mapping[ChildId, ChildHealth]:
        return LinkHealth(self.lower)

    def unready(self) -> Mapping[ChildId, ChildHealth]:
        return self.lower.unready()

    def content(self, child_id: ChildId, service_id: ServiceId) -> DesiredContent | None:
        intent = self._intents.service(service_id)
        if intent is None:
            return None
        assigned = self._placements.assignments_on(child_id, service_id)
        wanted = [each for each in assigned if each.desired is Desired.RUNNING]
        newest = revisions_like(intent, intent.spec)
        instances, older = listed(wanted, newest, lambda revision: spec_of(intent, revision))
        specs = [intent.spec, *(each.spec for each in older)] if instances else []
        sealed = self._values.sealed(specs, self._sealing_key(child_id))
        return DesiredContent(intent.spec_revision, intent.spec, instances, sealed, older)

    def on_readiness(self, child_id: ChildId, readiness: Readiness) -> None:
        record = self._clusters.get(child_id)
        if record is not None:
            self._keep(child_id, replace(record, readiness=readiness))
            self.scheduler.readiness_changed(self._clusters[child_id])

    def on_report(self, child_id: ChildId, report: Report) -> None:
        self._note_cluster(child_id, report)
        try:
            news = self._placements.fold_report(child_id, report.observations, self._clock.now_s())
            self.scheduler.services_changed({assignment.service_id for assignment, _ in news})
            self._drop_gone(child_id, report)
        except HedgerowError:
            self.scheduler.services_changed({each.service_id for each in report.observations})
            raise

    def forget(self, child_id: ChildId) -> None:
        """It was forgotten by an operator; what it had is wanted elsewhere."""
        self._cluster_store.delete(ClusterId(child_id))
        self.lower.forget_child(child_id)
        self._clusters.pop(child_id, None)
        self._saved_s.pop(child_id, None)
        self._blocks.wants(child_id, 0)
        self.scheduler.cluster_forgotten(child_id)

    def carry_out(self, settled: Settled) -> None:
        for assignment in (*settled.puts, *settled.forgotten):
            if assignment.is_placed:
                self.lower.mark(assignment.child_id, assignment.service_id)

    def mark_all(self) -> None:
        """At start: we may have died after a decision was kept and before any cluster was told."""
        for assignment in self._placements.all_assignments():
            if assignment.is_placed:
                self.lower.mark(assignment.child_id, assignment.service_id)

    def intents_changed(self, service_ids: Iterable[ServiceId]) -> None:
        for assignment in self._placements.assignments_of(list(service_ids)):
            if assignment.is_placed:
                self.lower.mark(assignment.child_id, assignment.service_id)

    def request(
        self,
        child_id: ChildId,
        kind: str,
        body: Mapping[str, Any],
        timeout_s: float,
        on_answer: Callable[[Mapping[str, Any] | HedgerowError], None],
    ) -> None:
        self.lower.request(child_id, kind, body, timeout_s, on_answer)

    def _note_cluster(self, child_id: ChildId, report: Report) -> None:
        known = self._clusters.get(child_id)
        info = report.cluster or (known.info if known else None)
        if info is None or ChildId(info.cluster_id) != child_id:
            return
        now_s = self._clock.now_s()
        desired, acked = self.lower.revisions(child_id)
        base = known or ClusterRecord(info, Summary(), Usage(), Readiness.SUSPECT, now_s, joined_at_s=now_s)
        record = replace(
            base,
            info=info,
            summary=report.summary or base.summary,
            usage=report.usage or base.usage,
            heard_at_s=now_s,
            desired_revision=desired,
            acked_revision=acked,
        )
        if report.summary is not None:
            self._give_blocks(child_id, report.summary)
        self._keep(child_id, record)
        if known is None or known.info.sealing_key != info.sealing_key:
            self._mark_child(child_id)
        if known is None or report.summary is not None or known.info != info:
            self.scheduler.cluster_changed(
                self._clusters[child_id], lambda service_id: self.lower.withdrawn_at(child_id, service_id)
            )

    def _sealing_key(self, child_id: ChildId) -> str:
        record = self._clusters.get(child_id)
        return record.info.sealing_key if record else ""

    def _mark_child(self, child_id: ChildId) -> None:
        """What was sealed for it before, it cannot open any more."""
        for assignment in self._placements.assignments_on(child_id):
            self.lower.mark(child_id, assignment.service_id)

    def _give_blocks(self, child_id: ChildId, summary: Summary) -> None:
        self.lower.mark_subnets(child_id)
        self._blocks.learn(child_id, summary.blocks)
        self._blocks.wants(child_id, summary.blocks_wanted)
        for other in self._blocks.short() & self._clusters.keys():
            self.lower.mark_subnets(other)
            self._blocks.wants(other, self._clusters[other].summary.blocks_wanted)

    def _keep(self, child_id: ChildId, record: ClusterRecord) -> None:
        """In memory always, on disk when it matters: a sample of usage alone is not worth a write."""
        known = self._clusters.get(child_id)
        self._clusters[child_id] = record
        is_old = record.heard_at_s - self._saved_s.get(child_id, 0.0) >= SAVE_AGE_S
        if is_old or known is None or _lasting(known) != _lasting(record):
            self._saved_s[child_id] = record.heard_at_s
            self._cluster_store.put(record)

    def _drop_gone(self, child_id: ChildId, report: Report) -> None:
        held = self.lower.held(child_id)
        if held is None:
            return
        withdrawn_at, now_s = partial(self.lower.withdrawn_at, child_id), self._clock.now_s()
        ended = self._placements.drop_gone(child_id, held, report.acked_revision, withdrawn_at, now_s)
        self.scheduler.services_changed(ended)


def _lasting(record: ClusterRecord) -> ClusterRecord:
    return replace(record, usage=Usage(), heard_at_s=0.0)
