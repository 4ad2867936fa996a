"""The cluster between its two links: what the root wants goes down to nodes, what nodes report goes up to the root."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from cluster_orchestrator.core.placing import origins
from cluster_orchestrator.core.reconcile import Forget
from cluster_orchestrator.core.records import NodeRecord, Slot, WantedService
from cluster_orchestrator.core.upward import last_word, upward
from cluster_orchestrator.core.views import node_view
from cluster_orchestrator.ports import DoorQuestions, NodeStore
from cluster_orchestrator.scheduler import Scheduler, Settled
from edge_common.link.child import ChildLink, Description, Reply
from edge_common.link.doors import FORGET, QUESTIONS
from edge_common.link.health import LinkHealth
from edge_common.link.parent import ParentLinks
from edge_common.link.placement_store import PlacementStore
from edge_common.link.publisher import DesiredContent, listed
from edge_common.link.sealer import Sealer
from edge_common.link.subnet_desk import SubnetDesk
from edge_common.model.cluster import ClusterInfo, Summary
from edge_common.model.errors import HedgerowError, InvalidInput, NotFound
from edge_common.model.ids import ChildId, InstanceId, NodeId, ServiceId
from edge_common.model.instance import Assignment, Observation
from edge_common.model.lifecycle import Desired
from edge_common.model.network import Subnet
from edge_common.model.node import ChildHealth, NodeInfo, Readiness, Usage
from edge_common.model.values import SealedValue
from edge_common.plumbing.clock import Clock
from edge_common.wire.messages import DesiredService, Report, SpecVersion

logger = logging.getLogger(__name__)

ANSWER_S = 15.0
ASKED_OF_NODES = frozenset({"logs", "exec"})


class Links:
    """Above the lower links it is their Owner, above the upper link its Reporter, for the scheduler the World."""

    upper: ChildLink
    lower: ParentLinks
    scheduler: Scheduler
    doors: DoorQuestions | None = None

    def __init__(
        self,
        info: ClusterInfo,
        nodes: NodeStore,
        placements: PlacementStore,
        clock: Clock,
        sealer: Sealer,
        subnets: SubnetDesk,
    ) -> None:
        self._info = replace(info, sealing_key=sealer.public)
        self._sealer = sealer
        self._node_store = nodes
        self._placements = placements
        self._clock = clock
        self._subnets = subnets
        self._blocks: tuple[Subnet, ...] = ()
        self._nodes: dict[ChildId, NodeRecord] = {ChildId(each.info.node_id): each for each in nodes.nodes()}
        self._usage: dict[ChildId, Usage] = {}
        self._says_summary = True

    def bind(self, upper: ChildLink, lower: ParentLinks, scheduler: Scheduler) -> None:
        """The three need each other; the composition root ties the knot."""
        self.upper, self.lower, self.scheduler = upper, lower, scheduler
        self._take_blocks()

    @property
    def placements(self) -> PlacementStore:
        return self._placements

    @property
    def nodes(self) -> Mapping[ChildId, NodeRecord]:
        return self._nodes

    def wanted(self, service_id: ServiceId) -> WantedService | None:
        desired = self.upper.desired.get(service_id)
        if desired is None:
            return None
        slots = tuple(Slot(each.instance_id, each.instance_number, each.spec_revision) for each in desired.instances)
        older = {each.spec_revision: each.spec for each in desired.older}
        return WantedService(service_id, desired.spec_revision, desired.spec, slots, older)

    def health(self) -> Mapping[ChildId, ChildHealth]:
        return LinkHealth(self.lower)

    def unready(self) -> Mapping[ChildId, ChildHealth]:
        return self.lower.unready()

    def content(self, child_id: ChildId, service_id: ServiceId) -> DesiredContent | None:
        desired = self.upper.desired.get(service_id)
        if desired is None:
            return None
        assigned = self._placements.assignments_on(child_id, service_id)
        wanted = [each for each in assigned if each.desired is Desired.RUNNING]
        known = {each.spec_revision: each.spec for each in desired.older}
        instances, older = listed(wanted, (desired.spec_revision,), known.get)
        sealed = self._sealed(desired, older, child_id) if instances else ()
        return DesiredContent(desired.spec_revision, desired.spec, instances, sealed, older)

    def on_readiness(self, child_id: ChildId, readiness: Readiness) -> None:
        del readiness
        record = self._nodes.get(child_id)
        if record is not None:
            self.scheduler.node_changed(record)
            self._say_summary()

    def on_report(self, child_id: ChildId, report: Report) -> None:
        if report.node is not None:
            self._note_node(child_id, report)
        if report.usage is not None:
            self._usage[child_id] = report.usage
        try:
            self._take_observations(child_id, report)
        except HedgerowError:
            self.upper.say_all()
            self.scheduler.services_changed({each.service_id for each in report.observations})
            raise

    def forget(self, child_id: ChildId) -> None:
        """It was forgotten by an operator; what it had is wanted elsewhere."""
        self._node_store.delete(NodeId(child_id))
        self.lower.forget_child(child_id)
        self._nodes.pop(child_id, None)
        self._usage.pop(child_id, None)
        self._subnets.wants(child_id, 0)
        self.scheduler.node_forgotten(NodeId(child_id))
        self._say_summary()

    def carry_out(self, settled: Settled) -> None:
        """What the scheduler decided: mark what each node is to be told, and tell the root."""
        touched = [*settled.puts, *(forget.assignment for forget, _ in settled.forgotten)]
        for assignment in touched:
            if assignment.is_placed:
                self.lower.mark(assignment.child_id, assignment.service_id)
        if not touched:
            return
        self._say_summary()
        try:
            self._tell_settled(settled)
        except HedgerowError:
            self.upper.say_all()
            raise

    def mark_all(self) -> None:
        """At start: we may have died after a decision was kept and before any node was told."""
        for assignment in self._placements.all_assignments():
            if assignment.is_placed:
                self.lower.mark(assignment.child_id, assignment.service_id)

    def services_dropped(self, service_ids: Iterable[ServiceId]) -> None:
        """The spec of these may have changed or gone: every node that has them must hear."""
        for service_id in service_ids:
            for assignment in self._placements.assignments_of([service_id]):
                if assignment.is_placed:
                    self.lower.mark(assignment.child_id, service_id)

    def all_observations(self) -> Iterable[Observation]:
        observed = self._placements.all_observations()
        current: dict[InstanceId, Assignment] = {}
        for assignment in self._placements.all_assignments():
            known = current.get(assignment.origin_id)
            if known is None or assignment.succession > known.succession:
                current[assignment.origin_id] = assignment
        return [self._upward(each, observed.get(each.instance_id)) for each in current.values()]

    def describe(self, *, is_full: bool, acked_revision: int) -> Description:
        says_summary, self._says_summary = self._says_summary or is_full, False
        return Description(
            cluster=self._info if is_full else None,
            summary=self._summary(acked_revision) if says_summary else None,
            usage=self._mean_usage(),
        )

    def answer(self, kind: str, body: Mapping[str, Any], reply: Reply) -> None:
        if kind in ASKED_OF_NODES:
            self._ask_node(kind, body, reply)
        elif kind == "nodes":
            reply({"nodes": [self._node_view(child_id) for child_id in sorted(self._nodes)]})
        elif kind == "cordon":
            record = self._find_node(str(body.get("node", "")))
            self._cordon(record, is_cordoned=bool(body.get("is_cordoned")))
            reply({"node": self._node_view(ChildId(record.info.node_id))})
        elif kind in QUESTIONS and self.doors is not None:
            self.doors.ask(kind, self._with_node_id(body) if kind == FORGET else body, reply)
        else:
            raise InvalidInput(f"A cluster does not know the request {kind!r}.")

    def _with_node_id(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A node is called what it says now, whatever it was called when it joined."""
        try:
            return {**body, "child": self._find_node(str(body.get("child", ""))).info.node_id}
        except NotFound:
            return body

    def acknowledged(self) -> None:
        """A new desired revision was taken: the root wants to know what room is left after it."""
        if self.upper.subnets != self._blocks:
            self._take_blocks()
        self._say_summary()

    def _take_blocks(self) -> None:
        """The root gave this cluster other blocks: nodes that wait for a subnet may get one."""
        self._blocks = self.upper.subnets
        self._subnets.set_ranges(self._blocks)
        for child_id, record in self._nodes.items():
            self._give_subnets(child_id, record.info)

    def _give_subnets(self, child_id: ChildId, node: NodeInfo) -> None:
        blocks_wanted = self._subnets.wanted_ranges()
        self.lower.mark_subnets(child_id)
        self._subnets.learn(child_id, node.subnets)
        self._subnets.wants(child_id, node.subnets_wanted)
        if self._subnets.wanted_ranges() != blocks_wanted:
            self._say_summary()

    def _summary(self, acked_revision: int) -> Summary:
        summary = self.scheduler.summary(acked_revision)
        return replace(summary, blocks_wanted=self._subnets.wanted_ranges(), blocks=self._blocks)

    def _sealed(
        self, desired: DesiredService, older: Iterable[SpecVersion], child_id: ChildId
    ) -> tuple[SealedValue, ...]:
        """What the root sealed for us, sealed for this node: also while we are cut off from the root."""
        record = self._nodes.get(child_id)
        recipient = record.info.sealing_key if record else ""
        specs = (desired.spec, *(each.spec for each in older))
        refs = dict.fromkeys(ref for spec in specs for ref in spec.values)
        return self._sealer.seal_on(refs, desired.sealed, recipient)

    def _note_node(self, child_id: ChildId, report: Report) -> None:
        if report.node is None or ChildId(report.node.node_id) != child_id:
            return
        self._give_subnets(child_id, report.node)
        known = self._nodes.get(child_id)
        if known is None:
            record = NodeRecord(report.node, joined_at_s=self._clock.now_s())
        elif known.info != report.node:
            record = replace(known, info=report.node)
        else:
            return
        self._keep(record)
        if known is None or known.info.sealing_key != record.info.sealing_key:
            self._mark_node(child_id)
        if known is not None and (known.info.name, known.info.address) != (record.info.name, record.info.address):
            self._tell_moved(child_id)

    def _mark_node(self, child_id: ChildId) -> None:
        """What was sealed for it before, it cannot open any more."""
        for assignment in self._placements.assignments_on(child_id):
            self.lower.mark(child_id, assignment.service_id)

    def _tell_moved(self, child_id: ChildId) -> None:
        """The root shows where each instance is; they themselves have nothing new to say."""
        try:
            placed = [each for each in self._placements.assignments_on(child_id) if each.desired is Desired.RUNNING]
            observed = self._placements.observations_by_id([each.instance_id for each in placed])
        except HedgerowError:
            self.upper.say_all()
            raise
        for assignment in placed:
            self._tell(assignment, observed.get(assignment.instance_id))

    def _keep(self, record: NodeRecord) -> None:
        self._nodes[ChildId(record.info.node_id)] = record
        self._node_store.put(record)
        self.scheduler.node_changed(record)
        self._say_summary()

    def _cordon(self, record: NodeRecord, *, is_cordoned: bool) -> None:
        logger.info("event=cordon node=%s is_cordoned=%s", record.info.node_id, is_cordoned)
        self._keep(replace(record, is_cordoned=is_cordoned))

    def _find_node(self, name_or_id: str) -> NodeRecord:
        by_id = self._nodes.get(ChildId(name_or_id))
        if by_id is not None:
            return by_id
        named = [record for record in self._nodes.values() if record.info.name == name_or_id]
        if not named:
            raise NotFound(f"Cluster {self._info.name} has no node {name_or_id!r}.")
        if len(named) > 1:
            raise InvalidInput(
                f"{len(named)} nodes are called {name_or_id!r}; give the id of the one you mean.", "node"
            )
        return named[0]

    def _ask_node(self, kind: str, body: Mapping[str, Any], reply: Reply) -> None:
        """`instance_id` in the body is the root's; the node knows the instance by ours."""
        origin_id = InstanceId(str(body.get("instance_id", "")))
        service_id = ServiceId(str(body.get("service_id", "")))
        current = [
            each
            for each in self._placements.assignments_of([service_id])
            if each.origin_id == origin_id and each.is_placed
        ]
        if not current:
            raise NotFound(f"No node of cluster {self._info.name} has instance {origin_id}.")
        newest = max(current, key=lambda each: each.succession)
        self.lower.request(newest.child_id, kind, {**body, "instance_id": newest.instance_id}, ANSWER_S, reply)

    def _drop_gone(self, child_id: ChildId, report: Report) -> None:
        held = self.lower.held(child_id)
        if held is None:
            return
        withdrawn_at, now_s = partial(self.lower.withdrawn_at, child_id), self._clock.now_s()
        ended = self._placements.drop_gone(child_id, held, report.acked_revision, withdrawn_at, now_s)
        self.scheduler.services_changed(ended)

    def _take_observations(self, child_id: ChildId, report: Report) -> None:
        news = self._placements.fold_report(child_id, report.observations, self._clock.now_s())
        for assignment, observation in news:
            self._tell(assignment, observation)
        self.scheduler.services_changed({each.service_id for each, seen in news if seen.is_terminal})
        self._drop_gone(child_id, report)

    def _tell_settled(self, settled: Settled) -> None:
        running = [put for put in settled.puts if put.desired is Desired.RUNNING]
        observed = self._placements.observations_by_id([put.instance_id for put in running])
        for put in running:
            self._tell(put, observed.get(put.instance_id))
        if settled.forgotten:
            self._tell_last_words(settled.forgotten)

    def _tell(self, assignment: Assignment, observation: Observation | None) -> None:
        self.upper.observe(self._upward(assignment, observation))

    def _upward(self, assignment: Assignment, observation: Observation | None) -> Observation:
        record = self._nodes.get(assignment.child_id)
        return upward(assignment, observation, record.info if record else None)

    def _tell_last_words(self, forgotten: Iterable[tuple[Forget, Observation | None]]) -> None:
        """Only the slot's last instance speaks for it: a predecessor's end is no news of the slot."""
        services = {forget.assignment.service_id for forget, _ in forgotten}
        left = origins(self._placements.assignments_of(sorted(services)))
        for forget, observation in forgotten:
            if forget.assignment.origin_id not in left:
                self.upper.observe(last_word(forget.assignment, forget.state, observation, self._clock.now_s()))

    def _say_summary(self) -> None:
        self._says_summary = True
        self.upper.touch()

    def _mean_usage(self) -> Usage:
        live = [usage for child_id, usage in self._usage.items() if child_id in self._nodes]
        count = max(1, len(live))
        return Usage(
            round(sum(each.cpu_percent for each in live) / count, 1),
            round(sum(each.memory_percent for each in live) / count, 1),
            sum(each.disk_used_mb for each in live),
        )

    def _node_view(self, child_id: ChildId) -> dict[str, Any]:
        desired, acked = self.lower.revisions(child_id)
        return node_view(
            self._nodes[child_id],
            ChildHealth(self.lower.readiness(child_id), self.lower.unheard_s(child_id)),
            self._usage.get(child_id, Usage()),
            self.scheduler.free_of(NodeId(child_id)),
            len(self._placements.assignments_on(child_id)),
            (desired, acked),
            self._subnets.of(child_id),
        )
