"""What to do about one service: which slots need a cluster, which instances have to go. Level-triggered.

A slot moves to another cluster when its cluster is past its lease or could not place it within its grace, and then only
when another cluster takes it. Where every cluster has refused it, it stays for a while before all are asked again.
A changed spec replaces instances one slot at a time, the old one gone before the new one starts; what does not run
anyway, or is not well, is replaced first. The next one waits until the last new one is well.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from edge_common.model.ids import NO_CHILD, ChildId, InstanceId
from edge_common.model.instance import Assignment, HeardObservation
from edge_common.model.lifecycle import Desired, Health, Reason, State
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
class FindCluster:
    """Choose a cluster for `assignment`, which has none. `replaces` is what it takes over from when that succeeds."""

    assignment: Assignment
    replaces: Assignment | None = None
    is_lost: bool = False

    @property
    def avoid(self) -> tuple[ChildId, ...]:
        return tuple(dict.fromkeys((*self.assignment.refused_by, self.replaces.child_id))) if self.replaces else ()


@dataclass(frozen=True, slots=True)
class Stop:
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class Forget:
    assignment: Assignment


Command = FindCluster | Stop | Forget


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


def reconcile(situation: Situation, new_id: Callable[[], InstanceId]) -> list[Command]:
    wanted = dict.fromkeys(() if situation.intent.is_removed else situation.intent.slots)
    current: dict[int, Assignment] = {}
    leaving: set[int] = set()
    commands: list[Command] = []
    for assignment in situation.assignments:
        number = assignment.instance_number
        if assignment.desired is Desired.STOPPED:
            finished = _finish(assignment, situation)
            commands += finished
            if not finished:
                leaving.add(number)
        elif number not in wanted or number in current:
            commands += [Stop(assignment), *_finish(assignment, situation)]
        else:
            current[number] = assignment
    for number in wanted:
        if number in current:
            commands += _keep(current[number], situation, new_id)
        elif number not in leaving:
            commands.append(FindCluster(_first(number, situation.intent, new_id)))
    is_filled = not leaving and len(current) == len(wanted)
    return commands + _roll(list(current.values()), situation, is_filled=is_filled)


def grace_ends_s(situation: Situation) -> float | None:
    """When a refused slot may move on, on the root's wall clock; None when none waits for the clock."""
    waiting = [
        assignment
        for assignment in situation.assignments
        if assignment.desired is Desired.RUNNING and situation.is_refused(assignment)
    ]
    ends = [each.since_s + wait_s for each in waiting for wait_s in (situation.grace_s(each), ROUND_S)]
    return min((end_s for end_s in ends if end_s > situation.now_s), default=None)


def is_gone(situation: Situation) -> bool:
    """Whether a removed service has nothing left, so that it can be forgotten."""
    return situation.intent.is_removed and not situation.assignments


def _keep(assignment: Assignment, situation: Situation, new_id: Callable[[], InstanceId]) -> list[Command]:
    if not assignment.is_placed:
        return [FindCluster(_renewed(assignment, situation.intent))]
    if situation.state(assignment) in (State.UNDEPLOYED, State.DEAD):
        return [Stop(assignment)]
    heard = situation.heard.get(assignment.instance_id)
    if heard is not None and heard.observation.is_terminal:
        return []
    successor = partial(_first, assignment.instance_number, situation.intent, new_id)
    if situation.is_lost(assignment):
        is_kept = situation.is_braked or situation.is_on_its_only_node(assignment)
        return [] if is_kept else [FindCluster(successor(), replaces=assignment, is_lost=True)]
    if situation.is_handed_back(assignment):
        return [FindCluster(replace(successor(), refused_by=_refused_by(assignment, situation)), replaces=assignment)]
    return []


def _refused_by(assignment: Assignment, situation: Situation) -> tuple[ChildId, ...]:
    """Those that are not asked again in this round; a new round begins with none but the one that has it."""
    is_new_round = situation.now_s >= assignment.since_s + ROUND_S
    return (assignment.child_id,) if is_new_round else (*assignment.refused_by, assignment.child_id)


def _first(number: int, intent: ServiceIntent, new_id: Callable[[], InstanceId]) -> Assignment:
    instance_id = new_id()
    return Assignment(instance_id, intent.service_id, number, instance_id, intent.spec_revision)


def _renewed(assignment: Assignment, intent: ServiceIntent) -> Assignment:
    """Nobody has an unplaced instance yet, so it simply takes the newest spec."""
    return replace(assignment, spec_revision=intent.spec_revision, child_id=NO_CHILD)


def _finish(assignment: Assignment, situation: Situation) -> list[Command]:
    heard = situation.heard.get(assignment.instance_id)
    has_ended = heard is not None and heard.observation.is_terminal
    if not assignment.is_placed or has_ended or situation.is_lost(assignment):
        return [Forget(assignment)]
    return []


def _roll(current: Sequence[Assignment], situation: Situation, *, is_filled: bool) -> list[Command]:
    newest = situation.intent.spec_revision
    outdated = [each for each in current if each.is_placed and each.spec_revision != newest]
    idle = [each for each in outdated if situation.state(each) is not State.RUNNING or not situation.is_well(each)]
    if idle:
        return [Stop(each) for each in idle]
    renewed = [each for each in current if not each.is_placed or each.spec_revision == newest]
    is_settled = is_filled and all(situation.is_well(each) for each in renewed)
    return [Stop(outdated[0])] if outdated and is_settled else []
