"""Everything that a decision about one service may depend on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_common.model.ids import ChildId, InstanceId
from edge_common.model.instance import Assignment, HeardObservation
from edge_common.model.lifecycle import Health, Reason, State
from edge_common.model.node import ChildHealth, Readiness
from root_orchestrator.core.records import ServiceIntent

GRACE_S = 5.0
"""How long a cluster may look for a node before the root tries the next cluster; one that has no node of the name that
is asked for need not look."""
ROUND_S = 30.0
"""How long a slot stays with a cluster that cannot place it before those that refused it earlier are asked again."""

HANDED_BACK = frozenset(
    {
        Reason.NO_CANDIDATE,
        Reason.NO_CAPACITY,
        Reason.NOT_ELIGIBLE,
        Reason.TARGET_NOT_FOUND,
        Reason.TARGET_NOT_READY,
        Reason.TARGET_NO_CAPACITY,
    }
)


@dataclass(frozen=True, slots=True)
class Situation:
    intent: ServiceIntent
    assignments: Sequence[Assignment]
    heard: Mapping[InstanceId, HeardObservation]
    clusters: Mapping[ChildId, ChildHealth]
    now_s: float
    is_braked: bool = False

    def state(self, assignment: Assignment) -> State | None:
        heard = self.heard.get(assignment.instance_id)
        return heard.observation.state if heard else None

    def is_well(self, assignment: Assignment) -> bool:
        """It runs and its probes have nothing against it, or it ended as it should."""
        heard = self.heard.get(assignment.instance_id)
        if heard is None:
            return False
        observation = heard.observation
        if observation.state is State.RUNNING:
            return observation.health not in {Health.STARTING, Health.UNHEALTHY}
        return observation.state is State.COMPLETED

    def is_lost(self, assignment: Assignment) -> bool:
        health = self.clusters.get(assignment.child_id)
        return health is None or health.readiness is Readiness.LOST

    def is_on_its_only_node(self, assignment: Assignment) -> bool:
        """Whether it got to the one node that the spec names: no other cluster has that. Not so of a cluster that was
        forgotten."""
        heard, targets = self.heard.get(assignment.instance_id), self.intent.spec.constraints.nodes
        if heard is None or len(targets) != 1 or assignment.child_id not in self.clusters:
            return False
        return targets[0] in (heard.observation.node_id, heard.observation.node_name)

    def is_refused(self, assignment: Assignment) -> bool:
        """Whether its cluster says that no node of it fits."""
        heard = self.heard.get(assignment.instance_id)
        if heard is None or heard.observation.state is not State.CLUSTER_SCHEDULED:
            return False
        return heard.observation.reason in HANDED_BACK

    def is_handed_back(self, assignment: Assignment) -> bool:
        """Whether its cluster has said so for longer than the grace."""
        return self.is_refused(assignment) and self.now_s >= assignment.since_s + self.grace_s(assignment)

    def grace_s(self, assignment: Assignment) -> float:
        heard = self.heard.get(assignment.instance_id)
        is_elsewhere = heard is not None and heard.observation.reason is Reason.TARGET_NOT_FOUND
        return 0.0 if is_elsewhere else GRACE_S
