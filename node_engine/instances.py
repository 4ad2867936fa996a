"""The instances of this node: what is wanted meets what is there, and the difference becomes operations."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.instance import Observation
from edge_common.model.lifecycle import TERMINAL, Health, State
from edge_common.model.network import PortMapping
from edge_common.plumbing.clock import Clock
from edge_common.wire.messages import DesiredService
from node_engine.core.network import Place
from node_engine.core.operations import Operation, Outcome, StartTask
from node_engine.core.ports_in_use import hindrance
from node_engine.core.reconcile import Situation, Step, advance, done, failed
from node_engine.core.record import Moment, Record, kept, observation_of, with_sealed
from node_engine.core.restart import after_probes
from node_engine.core.seen import Seen
from node_engine.core.strays import removal
from node_engine.core.task import Task, TaskKey, TaskState
from node_engine.events import Observed, OperationDone, Progressed, TaskChanged
from node_engine.health_watch import Judgement
from node_engine.networks import Networks
from node_engine.observer import Observer
from node_engine.operator import Operator
from node_engine.ports import RecordStore
from node_engine.wishes import Wishes

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Round:
    """What one settling decides, before any of it takes effect."""

    moment: Moment
    records: dict[InstanceId, Record] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    wakes: dict[InstanceId, float] = field(default_factory=dict)
    waiting: dict[InstanceId, None] = field(default_factory=dict)


class Instances:
    """All calls come from the mailbox's thread."""

    def __init__(
        self,
        store: RecordStore,
        operator: Operator,
        observer: Observer,
        networks: Networks,
        seen: Seen,
        clock: Clock,
    ) -> None:
        self._store = store
        self._networks = networks
        self._operator = operator
        self._observer = observer
        self._seen = seen
        self._clock = clock
        self._records = {record.instance_id: record for record in store.load()}
        self._told: dict[InstanceId, Observation] = {}
        self._untold: dict[InstanceId, None] = {}
        self._unsaved: set[InstanceId] = set()
        self._wishes = Wishes()
        self._dirty: dict[InstanceId, None] = dict.fromkeys(sorted(self._records))
        self._wakes: dict[InstanceId, float] = {}

    @property
    def records(self) -> Mapping[InstanceId, Record]:
        return self._records

    def want(
        self, service_ids: Iterable[ServiceId], desired: Mapping[ServiceId, DesiredService], *, is_complete: bool
    ) -> None:
        """What is wanted of these services now. `is_complete`: this and what was said before is all that is wanted."""
        self._mark(self._wishes.take(service_ids, desired))
        if is_complete and not self._wishes.is_complete:
            self._wishes.complete()
            self._mark_all()

    def handle(self, event: TaskChanged | Observed | OperationDone | Progressed) -> None:
        match event:
            case OperationDone(operation=operation):
                self._operator.ended(operation)
                self._operation_done(event)
                self._mark([operation.key.instance_id])
            case TaskChanged(runtime=runtime, task=None):
                self._observer.request(runtime)
            case TaskChanged(runtime=runtime, task=Task() as task):
                self._task_changed(runtime, task)
            case Observed():
                is_first = not self._seen.has_observed(event.runtime)
                self._mark(sorted(self._observer.take(event, self._operator.busy)))
                if is_first:
                    self._mark_all()
            case Progressed(key=key, text=text):
                self._progressed(key, text)

    def attached(self, place: Place) -> None:
        """It has this network from now on; of one that is not known here it is swept again."""
        record = self._records.get(place.instance_id)
        if record is not None and (record.ip, record.ip_v6) != (place.ip, place.ip_v6):
            self._records[place.instance_id] = replace(record, ip=place.ip, ip_v6=place.ip_v6)
            self._unsaved.add(place.instance_id)
            self._untold[place.instance_id] = None

    def needs_network(self, instance_id: InstanceId) -> bool:
        """Whether something of it may still be there, or is to come."""
        record = self._records.get(instance_id)
        if instance_id in self._operator.busy or self._seen.tasks_of(instance_id):
            return True
        if record is None:
            return not (self._wishes.is_complete and self._observer.has_seen_all())
        is_to_come = self._wishes.is_wanted(instance_id) and record.state not in TERMINAL
        return is_to_come or record.task_attempt is not None

    def ports_of(self, instance_id: InstanceId) -> tuple[PortMapping, ...]:
        record = self._records.get(instance_id)
        return record.spec.ports if record else ()

    def judge(self, judgement: Judgement) -> None:
        """One that is being stopped is left to end: who shuts down answers no probe."""
        record = self._records.get(judgement.key.instance_id)
        if record is None or record.key != judgement.key or record.state is not State.RUNNING:
            return
        if not self._wishes.is_wanted(record.instance_id):
            return
        if judgement.why:
            logger.warning("event=unhealthy task=%s why=%r", record.key, judgement.why)
            after = after_probes(record, judgement.why, Moment(self._clock.now_s(), self._clock.monotonic_s()))
        else:
            detail = "" if judgement.health is Health.HEALTHY else judgement.detail
            after = replace(record, health=judgement.health, detail=detail)
        if after != record:
            self._records[record.instance_id] = after
            self._unsaved.add(record.instance_id)
            self._untold[record.instance_id] = None
            self._mark([record.instance_id])

    def settle(self) -> list[Observation]:
        """Decide, make it durable, then begin the operations. Returns what changed, in the parent's words.

        What finds no room is decided again when the next operation has ended.
        """
        self._observer.settle()
        decided = _Round(Moment(self._clock.now_s(), self._clock.monotonic_s()))
        for instance_id in sorted(self._dirty, key=self._wishes.is_wanted):
            self._decide(instance_id, decided)
        self._save(decided)
        for instance_id in self._dirty:
            self._wakes.pop(instance_id, None)
        self._wakes |= decided.wakes
        self._dirty = decided.waiting
        self._records |= decided.records
        self._untold |= dict.fromkeys(decided.records)
        for operation in decided.operations:
            self._seen.touch(operation.key.instance_id)
            self._operator.begin(operation)
        return self._news()

    def wake(self) -> float | None:
        """Look again at those whose time has come; returns the seconds until the next one's."""
        now_s = self._clock.monotonic_s()
        self._mark([each for each, due_s in self._wakes.items() if due_s <= now_s])
        return min((due_s - now_s for due_s in self._wakes.values() if due_s > now_s), default=None)

    def all_observations(self) -> list[Observation]:
        return [observation_of(record) for record in self._records.values()]

    def forget_gone(self) -> list[InstanceId]:
        """Drop what the parent has been told the last of; returns those."""
        gone = [
            each
            for each, record in self._records.items()
            if record.state is State.UNDEPLOYED and not self._wishes.is_wanted(each) and each not in self._operator.busy
        ]
        if gone:
            self._store.save((), gone)
        for instance_id in gone:
            del self._records[instance_id]
            self._told.pop(instance_id, None)
            self._dirty.pop(instance_id, None)
            self._unsaved.discard(instance_id)
            self._untold.pop(instance_id, None)
        return gone

    def _mark(self, instance_ids: Iterable[InstanceId]) -> None:
        self._dirty |= dict.fromkeys(instance_ids)

    def _mark_all(self) -> None:
        self._mark(sorted({*self._records, *self._wishes.instances(), *self._seen.instances()}))

    def _operation_done(self, event: OperationDone) -> None:
        operation, failure = event.operation, event.failure
        instance_id = operation.key.instance_id
        self._seen.touch(instance_id)
        self._networks.touch(instance_id)
        if failure is None and isinstance(operation, StartTask):
            self._seen.note(operation.runtime, Task(operation.key, TaskState.RUNNING))
        elif failure is None:
            self._seen.gone(operation.key)
        elif failure.outcome is Outcome.UNKNOWN:
            self._seen.doubt(instance_id, operation.runtime)
            self._observer.request(operation.runtime)
        record = self._records.get(instance_id)
        if record is None:
            self._seen.gone(operation.key)  # a stray that is still there is found again at the next look
            return
        moment = Moment(self._clock.now_s(), self._clock.monotonic_s())
        if failure is None:
            after = done(record, operation, is_wanted=self._wishes.is_wanted(instance_id), moment=moment)
            logger.info("event=operation_done operation=%s task=%s", type(operation).__name__, operation.key)
        else:
            after = failed(record, operation, failure, moment)
        self._records[instance_id] = after
        self._unsaved.add(instance_id)
        self._untold[instance_id] = None

    def _task_changed(self, runtime: str, task: Task) -> None:
        """Of a task that was taken away meanwhile this is old news."""
        instance_id, attempt = task.key.instance_id, task.key.attempt
        record = self._records.get(instance_id)
        is_ours = record is not None and record.task_attempt == attempt
        if is_ours or attempt in self._seen.tasks_of(instance_id):
            self._seen.note(runtime, task)
            self._mark([instance_id])

    def _progressed(self, key: TaskKey, text: str) -> None:
        record = self._records.get(key.instance_id)
        if (
            record is not None
            and record.key == key
            and record.state is State.CREATING
            and key.instance_id in self._operator.busy
        ):
            self._records[key.instance_id] = replace(record, detail=text)
            self._untold[key.instance_id] = None

    def _decide(self, instance_id: InstanceId, decided: _Round) -> None:
        record = self._records.get(instance_id) or self._wishes.first_record(instance_id, decided.moment)
        if record is None:
            self._decide_stray(instance_id, decided)
            return
        record = with_sealed(record, self._wishes.sealed(instance_id))
        situation = self._situation(record, decided)
        step = advance(record, situation)
        after = self._admit(step, decided)
        if situation.hindrance:
            decided.waiting[instance_id] = None
        if step.wake_s is not None:
            decided.wakes[instance_id] = step.wake_s
        if after != self._records.get(instance_id):
            decided.records[instance_id] = after

    def _admit(self, step: Step, decided: _Round) -> Record:
        """The record with the step's operation when there is room for it, else without."""
        if step.operation is None:
            return step.record
        if not self._operator.fits(step.operation, decided.operations):
            decided.waiting[step.record.instance_id] = None
            return step.record
        decided.operations.append(step.operation)
        begun = step.begun
        if isinstance(step.operation, StartTask) and not self._networks.is_overlay:
            begun = replace(begun, ip="", ip_v6="")
        return begun

    def _decide_stray(self, instance_id: InstanceId, decided: _Round) -> None:
        if not self._wishes.is_complete or instance_id in self._operator.busy:
            return
        operation = removal(self._seen.tasks_of(instance_id), self._seen.runtime_of(instance_id))
        if operation is None:
            return
        if self._operator.fits(operation, decided.operations):
            logger.info("event=stray_found task=%s", operation.key)
            decided.operations.append(operation)
        else:
            decided.waiting[instance_id] = None

    def _situation(self, record: Record, decided: _Round) -> Situation:
        instance_id, runtime = record.instance_id, record.spec.runtime
        is_wanted = self._wishes.is_wanted(instance_id)
        may_start = is_wanted and record.state is State.CREATING
        return Situation(
            is_wanted=is_wanted,
            tasks=self._seen.tasks_of(instance_id),
            is_observed=not self._observer.knows(runtime) or self._seen.is_sure(instance_id, runtime),
            moment=decided.moment,
            is_busy=instance_id in self._operator.busy,
            hindrance=self._hindrance(record, decided) if may_start else "",
        )

    def _hindrance(self, record: Record, decided: _Round) -> str:
        missing = record.missing_values
        if missing:
            return f"waiting for the {missing[0].kind} {missing[0].name}, which has not come yet"
        waits = hindrance(record, self._leaving(decided)) if record.spec.ports else ""
        return waits or self._networks.hindrance(record.instance_id, record.spec)

    def _leaving(self, decided: _Round) -> Iterable[Record]:
        for instance_id, known in self._records.items():
            record = decided.records.get(instance_id, known)
            has_task = record.task_attempt is not None or instance_id in self._operator.busy
            if has_task and not self._wishes.is_wanted(instance_id):
                yield record

    def _save(self, decided: _Round) -> None:
        puts = [self._records[each] for each in sorted(self._unsaved - decided.records.keys())]
        for instance_id, record in decided.records.items():
            known = self._records.get(instance_id)
            if instance_id in self._unsaved or known is None or kept(record) != kept(known):
                puts.append(record)
        if puts:
            self._store.save(puts, ())
        self._unsaved.clear()

    def _news(self) -> list[Observation]:
        untold, self._untold = self._untold, {}
        news = []
        for instance_id in untold:
            said = observation_of(self._records[instance_id])
            if self._told.get(instance_id) != said:
                self._told[instance_id] = said
                news.append(said)
        return news
