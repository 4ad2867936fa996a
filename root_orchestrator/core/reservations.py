"""What the root has promised to clusters and their summaries do not count yet."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edge_common.model.ids import ChildId, InstanceId, ServiceId
from edge_common.model.instance import Assignment
from edge_common.model.lifecycle import Tier
from edge_common.model.node import Readiness
from edge_common.placement.candidates import Candidates
from edge_common.placement.place import Placement, place
from edge_common.placement.refusals import Refusal
from edge_common.placement.requests import Request
from edge_common.placement.rows import cluster_candidate
from root_orchestrator.core.records import ClusterRecord


@dataclass(frozen=True, slots=True)
class _Held:
    service_id: ServiceId
    request: Request


class Reservations:
    """Clusters are few, so a cluster's row is simply made anew when its summary changes."""

    def __init__(self) -> None:
        self._candidates = Candidates(Tier.CLUSTER)
        self._held: dict[ChildId, dict[InstanceId, _Held]] = {}
        self._groups: dict[ChildId, dict[str, int]] = {}

    def upsert(self, record: ClusterRecord, counted: Iterable[InstanceId] = ()) -> None:
        """`counted` are instances that the record's summary has taken into account."""
        child_id = ChildId(record.info.cluster_id)
        held = self._held.setdefault(child_id, {})
        for instance_id in counted:
            if instance_id in held:
                group = held.pop(instance_id).request.group
                counts = self._groups.setdefault(child_id, {})
                counts[group] = counts.get(group, 0) + 1
        self._candidates.upsert(
            cluster_candidate(
                record.info,
                record.summary,
                is_ready=record.readiness is Readiness.READY,
                pending=[each.request for each in held.values()],
                groups=self._groups.get(child_id, {}),
            )
        )

    def remove(self, child_id: ChildId) -> None:
        self._candidates.remove(child_id)
        self._held.pop(child_id, None)
        self._groups.pop(child_id, None)

    def uncounted(self, child_id: ChildId) -> Mapping[InstanceId, ServiceId]:
        return {instance_id: each.service_id for instance_id, each in self._held.get(child_id, {}).items()}

    def set_ready(self, child_id: ChildId, *, is_ready: bool) -> None:
        if child_id in self._candidates:
            self._candidates.set_ready(child_id, is_ready)

    def place(self, service_id: ServiceId, requests: Sequence[Request]) -> list[Placement | Refusal]:
        answers = place(requests, self._candidates)
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(answer, Placement):
                held = self._held.setdefault(ChildId(answer.candidate_id), {})
                held[InstanceId(request.key)] = _Held(service_id, request)
        return answers

    def count(self, assignment: Assignment, request: Request) -> None:
        """An assignment made by a run of ours before this one: only what clusters have of each service is known."""
        counts = self._groups.setdefault(assignment.child_id, {})
        counts[request.group] = counts.get(request.group, 0) + 1

    def release(self, assignment: Assignment) -> bool:
        """It is gone from its cluster. Whether that makes room here and now (else the next summary will say so)."""
        held = self._held.get(assignment.child_id, {}).pop(assignment.instance_id, None)
        if held is not None:
            self._candidates.release(assignment.child_id, held.request)
            return True
        counts = self._groups.get(assignment.child_id, {})
        if counts.get(assignment.service_id, 0) > 0:
            counts[assignment.service_id] -= 1
        return False
