"""What a node knows of one instance; kept on disk before anything is done for it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.instance import Observation
from edge_common.model.lifecycle import TERMINAL, Health, Reason, State
from edge_common.model.service import ServiceSpec
from edge_common.model.values import SealedValue, ValueRef
from node_engine.core.task import TaskKey, TaskPlan


@dataclass(frozen=True, slots=True)
class Moment:
    """`wall_s` is for people, `monotonic_s` for deadlines."""

    wall_s: float
    monotonic_s: float


@dataclass(frozen=True, slots=True)
class Record:
    """An instance keeps the spec it first came with: a newer one reaches a service as new instances.

    So it keeps the values of that spec, too, sealed for this node: it may have to start again without a network.

    `health` is what the probes of the running attempt found last, and UNKNOWN while nothing was found.
    `attempt` is the one that runs or is to be made next. `task_attempt` is the one of which something may exist in the
    runtime, None when nothing can. `restarts` counts since the last long run, `failed_starts` since the last start.
    `ip` and `ip_v6` are those of its own network, "" with the host's. The fields from `not_before_s` on are on the
    monotonic clock and end with the engine; None is "not known".
    """

    instance_id: InstanceId
    service_id: ServiceId
    instance_number: int
    spec: ServiceSpec
    spec_revision: int
    attempt: int = 1
    task_attempt: int | None = None
    state: State = State.CREATING
    reason: Reason = Reason.NONE
    detail: str = ""
    health: Health = Health.UNKNOWN
    exit_code: int | None = None
    restarts: int = 0
    failed_starts: int = 0
    started_at_s: float = 0.0
    changed_at_s: float = 0.0
    not_before_s: float | None = None
    running_since_s: float | None = None
    retry_cleanup_s: float | None = None
    failed_cleanups: int = 0
    sealed: tuple[SealedValue, ...] = ()
    ip: str = ""
    ip_v6: str = ""

    @property
    def key(self) -> TaskKey:
        return TaskKey(self.instance_id, self.attempt)

    @property
    def plan(self) -> TaskPlan:
        return TaskPlan(self.key, self.spec, self.instance_number, sealed=self.sealed)

    @property
    def missing_values(self) -> tuple[ValueRef, ...]:
        """What the spec names and nobody has sent yet."""
        held = {(each.value_id, each.version) for each in self.sealed}
        return tuple(ref for ref in self.spec.values if (ref.value_id, ref.version) not in held)


def with_sealed(record: Record, sent: Iterable[SealedValue]) -> Record:
    """With what of `sent` its own spec names. What was sent before and is not any more is kept."""
    wanted = {(ref.value_id, ref.version) for ref in record.spec.values}
    if not wanted:
        return record
    held = {(each.value_id, each.version): each for each in (*record.sealed, *sent)}
    sealed = tuple(each for key, each in held.items() if key in wanted)
    return record if sealed == record.sealed else replace(record, sealed=sealed)


def kept(record: Record) -> Record:
    """The part that outlives the engine."""
    return replace(record, not_before_s=None, running_since_s=None, retry_cleanup_s=None, failed_cleanups=0)


def health_of(record: Record) -> Health:
    """Who has no probes is well as long as it runs."""
    if record.state is not State.RUNNING:
        return Health.UNKNOWN
    if not record.spec.probes.are_there:
        return Health.HEALTHY
    return Health.STARTING if record.health is Health.UNKNOWN else record.health


def observation_of(record: Record) -> Observation:
    return Observation(
        record.instance_id,
        record.service_id,
        record.instance_number,
        record.state,
        attempt=record.attempt,
        reason=record.reason,
        detail=record.detail,
        health=health_of(record),
        exit_code=record.exit_code,
        namespace_ip="" if record.state in TERMINAL else record.ip,
        namespace_ip_v6="" if record.state in TERMINAL else record.ip_v6,
        changed_at_s=record.changed_at_s,
    )
