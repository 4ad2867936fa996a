"""Which instances a service has, where they are, and what is known of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from edge_common.model.ids import ChildId, ClusterId, InstanceId, ServiceId
from edge_common.model.instance import Assignment, HeardObservation
from edge_common.model.lifecycle import Desired, State
from edge_common.model.node import Readiness
from root_orchestrator.core.records import ClusterRecord, ServiceIntent
from root_orchestrator.core.status import Status, instance_status


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where instances are and how they do, looked up once for a whole answer."""

    assignments: Mapping[ServiceId, Sequence[Assignment]]
    heard: Mapping[InstanceId, HeardObservation]
    clusters: Mapping[ChildId, ClusterRecord]
    now_s: float


def whereabouts(
    assignments: Iterable[Assignment],
    heard: Iterable[HeardObservation],
    clusters: Iterable[ClusterRecord],
    now_s: float,
) -> Whereabouts:
    by_service: dict[ServiceId, list[Assignment]] = {}
    for assignment in assignments:
        by_service.setdefault(assignment.service_id, []).append(assignment)
    return Whereabouts(
        assignments=by_service,
        heard={item.observation.instance_id: item for item in heard},
        clusters={ChildId(cluster.info.cluster_id): cluster for cluster in clusters},
        now_s=now_s,
    )


@dataclass(frozen=True, slots=True)
class Instance:
    """A slot that is wanted, or one that is going. `assignment` None: the scheduler has not seen it yet."""

    number: int
    assignment: Assignment | None
    heard: HeardObservation | None
    status: Status


def find_instance(service: ServiceIntent, number: int, where: Whereabouts) -> Instance | None:
    """While two versions share a slot, the one that runs."""
    found = [instance for instance in instances_of(service, where) if instance.number == number]
    running = (each for each in found if each.status.name == State.RUNNING)
    return next(running, found[-1] if found else None)


def instances_of(service: ServiceIntent, where: Whereabouts) -> list[Instance]:
    """By number. Of a slot all that shall run, which are two where an update puts a new one beside an old one."""
    placements = where.assignments.get(service.service_id, ())
    assigned: dict[int, list[Assignment]] = {}
    for assignment in sorted(placements, key=_currency):
        known = assigned.get(assignment.instance_number, [])
        shares = assignment.desired is Desired.RUNNING and known and known[-1].desired is Desired.RUNNING
        assigned[assignment.instance_number] = [*known, assignment] if shares else [assignment]
    found: list[Instance] = []
    for number in sorted({*service.slots, *assigned}):
        sharing: list[Assignment | None] = [*assigned.get(number, ())]
        for each in sharing or [None]:
            heard = where.heard.get(each.instance_id) if each else None
            found.append(Instance(number, each, heard, _with_cluster(each, heard, where)))
    return found


def _currency(assignment: Assignment) -> tuple[bool, float]:
    """The last of a slot's placements by this is the one to show: one that shall run before one that goes."""
    return (assignment.desired is Desired.RUNNING, assignment.since_s)


def _with_cluster(assignment: Assignment | None, heard: HeardObservation | None, where: Whereabouts) -> Status:
    """The status, which says so when it comes from a cluster that is not heard now."""
    status = instance_status(assignment, heard, where.now_s)
    cluster = where.clusters.get(assignment.child_id) if assignment else None
    if cluster is None or cluster.readiness is Readiness.READY:
        return status
    silent_s = where.now_s - cluster.heard_at_s
    note = f"Cluster {cluster.info.name} is {cluster.readiness}, last heard {silent_s:.0f} s ago."
    return replace(status, detail=f"{status.detail} {note}".strip())


def cluster_of(instance: Instance) -> ClusterId | None:
    if instance.assignment is None or not instance.assignment.is_placed:
        return None
    return ClusterId(instance.assignment.child_id)
