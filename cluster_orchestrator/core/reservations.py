"""What the cluster has promised: every assigned instance keeps its room on its node until it has ended."""

from collections.abc import Sequence

from edge_common.model.ids import ChildId, InstanceId, NodeId
from edge_common.model.instance import Assignment
from edge_common.model.lifecycle import Tier
from edge_common.model.node import NodeInfo
from edge_common.model.resources import NOTHING, Resources
from edge_common.placement.candidates import Candidates
from edge_common.placement.place import Placement, place
from edge_common.placement.refusals import Refusal
from edge_common.placement.requests import Request
from edge_common.placement.rows import node_candidate


class Reservations:
    """The candidates' table together with who holds what in it, so that a node's row can be made anew."""

    def __init__(self) -> None:
        self._candidates = Candidates(Tier.NODE)
        self._held: dict[InstanceId, tuple[ChildId, Request]] = {}
        self._by_node: dict[str, dict[InstanceId, Request]] = {}
        self._known: dict[NodeId, tuple[NodeInfo, bool, bool]] = {}

    @property
    def count(self) -> int:
        return len(self._held)

    def __contains__(self, instance_id: object) -> bool:
        return instance_id in self._held

    def upsert(self, info: NodeInfo, *, is_ready: bool, is_cordoned: bool) -> None:
        known = self._known.get(info.node_id)
        if known is not None and known[0] == info:
            self._candidates.set_ready(info.node_id, is_ready)
            self._candidates.set_cordoned(info.node_id, is_cordoned)
        else:
            pending = self._by_node.get(info.node_id, {}).values()
            row = node_candidate(info, is_ready=is_ready, is_cordoned=is_cordoned, pending=pending)
            self._candidates.upsert(row)
        self._known[info.node_id] = (info, is_ready, is_cordoned)

    def remove(self, node_id: NodeId) -> None:
        self._known.pop(node_id, None)
        self._candidates.remove(node_id)

    def place(self, requests: Sequence[Request]) -> list[Placement | Refusal]:
        """What is placed is held from now on."""
        answers = place(requests, self._candidates)
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(answer, Placement):
                self._note(InstanceId(request.key), ChildId(answer.candidate_id), request)
        return answers

    def hold(self, assignment: Assignment, request: Request) -> None:
        """An assignment made earlier, by a run of ours before this one."""
        if assignment.instance_id in self._held:
            return
        self._note(assignment.instance_id, assignment.child_id, request)
        if assignment.child_id in self._candidates:
            self._candidates.reserve(assignment.child_id, request)

    def release(self, instance_id: InstanceId) -> bool:
        """Whether it held anything."""
        held = self._held.pop(instance_id, None)
        if held is None:
            return False
        node_id, request = held
        self._by_node.get(node_id, {}).pop(instance_id, None)
        self._candidates.release(node_id, request)
        return True

    def free(self) -> dict[str, Resources]:
        """Of every node at once: node by node costs fifty times as much."""
        rows = self._candidates.columns.free.T.tolist()
        return {node_id: Resources(*row) for node_id, row in zip(self._candidates.ids, rows, strict=True)}

    def free_of(self, node_id: NodeId) -> Resources:
        return self._candidates.free_of(node_id) if node_id in self._candidates else NOTHING

    def _note(self, instance_id: InstanceId, node_id: ChildId, request: Request) -> None:
        self._held[instance_id] = (node_id, request)
        self._by_node.setdefault(node_id, {})[instance_id] = request
