"""The node's shell: one mailbox's worth of events in, the link and the instances settled after each batch."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from edge_common.link.child import REPORT_INTERVAL_S, ChildLink
from edge_common.link.desired_store import DesiredStore
from edge_common.link.events import Connected, Disconnected, MessageArrived
from edge_common.link.renewal import Renewal
from edge_common.link.transport import Transport
from edge_common.model.ids import ChildId, InstanceId
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.sealing import SealingKey, new_sealing_key
from node_engine.core.seen import Seen
from node_engine.events import (
    AddressFound,
    LogsTrimmed,
    NetworkAttached,
    NetworkCorrected,
    NetworkGranted,
    NetworkLooked,
    NetworkRefused,
    Observed,
    OperationDone,
    ProbeAnswered,
    Progressed,
    QuestionAnswered,
    TaskChanged,
)
from node_engine.health_watch import HealthWatch
from node_engine.instances import Instances
from node_engine.networks import HostNetwork, Networks, connecting
from node_engine.observer import Observer
from node_engine.operator import MAX_STARTS, Operator, Post, opening_with
from node_engine.ports import Logs, Network, Pool, Probe, Prober, RecordStore, Runtime
from node_engine.questions import Questions
from node_engine.reporter import NodeReporter, Profile

logger = logging.getLogger(__name__)

TICK_S = 1.0
"""The longest sleep. A wait that begins between two ticks is noticed at the next one."""
TRIM_S = 10.0
ADDRESS_S = 60.0


@dataclass(frozen=True, slots=True)
class NodeParts:
    """All that a node needs of the world.

    `pool` carries out operations, `probing` asks instances how they are, `chores` does all else that takes time.
    """

    profile: Profile
    boot_id: str
    transport: Transport
    desired: DesiredStore
    records: RecordStore
    runtimes: Mapping[str, Runtime]
    pool: Pool
    chores: Pool
    probing: Pool
    prober: Prober
    probe: Probe
    logs: Logs
    clock: Clock
    post: Post
    max_starts: int = MAX_STARTS
    report_interval_s: float = REPORT_INTERVAL_S
    sealing: SealingKey = field(default_factory=new_sealing_key)
    renewal: Renewal | None = None
    network: Network = field(default_factory=HostNetwork)


def node_service(parts: NodeParts) -> "NodeService":
    seen = Seen()
    observer = Observer(parts.runtimes, seen, parts.chores, parts.clock)
    networks = Networks(parts.network, parts.chores, parts.clock)
    prepare = connecting(parts.network, parts.post, opening_with(parts.sealing))
    operator = Operator(parts.runtimes, parts.pool, parts.clock, parts.post, parts.max_starts, prepare)
    instances = Instances(parts.records, operator, observer, networks, seen, parts.clock)
    health = HealthWatch(parts.prober, parts.probing, parts.clock)
    questions = Questions(instances.records, parts.runtimes, parts.logs, parts.chores)
    profile = replace(parts.profile, sealing_key=parts.sealing.public)
    reporter = NodeReporter(profile, instances, observer, networks, questions, parts.probe, parts.clock)
    link = ChildLink(
        ChildId(parts.profile.node_id),
        parts.boot_id,
        parts.transport,
        parts.desired,
        reporter,
        parts.clock,
        parts.report_interval_s,
        parts.renewal,
    )
    return NodeService(parts, link, instances, observer, networks, health, reporter, questions)


class NodeService:
    def __init__(
        self,
        parts: NodeParts,
        link: ChildLink,
        instances: Instances,
        observer: Observer,
        networks: Networks,
        health: HealthWatch,
        reporter: NodeReporter,
        questions: Questions,
    ) -> None:
        self.link = link
        self.instances = instances
        self._observer = observer
        self._networks = networks
        self._health = health
        self._reporter = reporter
        self._questions = questions
        self._logs = parts.logs
        self._probe = parts.probe
        self._chores = parts.chores
        self._clock = parts.clock
        self._post = parts.post
        self._trim_at_s = parts.clock.monotonic_s() + TRIM_S
        self._address_at_s = parts.clock.monotonic_s()
        self._logs_to_remove: list[InstanceId] = []
        instances.want(link.desired, link.desired, is_complete=link.acked_revision > 0)
        health.follow(instances.records.values())
        self._is_watching = False

    def handle(self, event: object) -> None:
        match event:
            case Connected() | Disconnected() | MessageArrived():
                self.link.handle(event)
            case TaskChanged() | Observed() | OperationDone() | Progressed():
                self.instances.handle(event)
            case ProbeAnswered():
                judgement = self._health.heard(event)
                if judgement is not None:
                    self.instances.judge(judgement)
            case NetworkAttached() | NetworkCorrected() | NetworkGranted() | NetworkLooked() | NetworkRefused():
                self._networks.handle(event)
                if isinstance(event, NetworkAttached):
                    self.instances.attached(event.place)
            case QuestionAnswered():
                self._questions.answered()
            case AddressFound(address=address):
                self._reporter.address_found(address)
            case LogsTrimmed():
                self._trim_at_s = self._clock.monotonic_s() + TRIM_S
            case _:
                raise TypeError(f"A node knows no event {type(event).__name__}.")

    def settle(self) -> float | None:
        changed = self.link.take_changes()
        self.instances.want(changed, self.link.desired, is_complete=self.link.acked_revision > 0)
        news = self.instances.settle()
        self._networks.settle(self.instances, self.link.subnets)
        for observation in news:
            self.link.observe(observation)
        self._health.follow(self.instances.records[each.instance_id] for each in news)
        self.link.flush()
        if self.link.is_connected:
            self._logs_to_remove += self.instances.forget_gone()
        self._remove_logs()
        return self._health.ask()

    def tick(self) -> float:
        if not self._is_watching:
            self._is_watching = True
            self._observer.watch(self._post)
        now_s = self._clock.monotonic_s()
        if now_s >= self._trim_at_s and self._chore(self._trim):
            self._trim_at_s = float("inf")
        if now_s >= self._address_at_s and self._chore(self._find_address):
            self._address_at_s = now_s + ADDRESS_S
        if self._reporter.has_news():
            self.link.touch()
        wake_s = self.instances.wake()
        return min(
            TICK_S,
            self.link.due_in_s(),
            self._observer.due_in_s(),
            self._networks.due_in_s(),
            TICK_S if wake_s is None else wake_s,
        )

    def _chore(self, job: Callable[[], object | None]) -> bool:
        if not self._chores.room():
            return False
        self._chores.submit(job)
        return True

    def _trim(self) -> LogsTrimmed:
        try:
            self._logs.trim()
        except Exception:
            logger.exception("event=trim_broke")
        return LogsTrimmed()

    def _find_address(self) -> AddressFound | None:
        try:
            return AddressFound(self._probe.address())
        except Exception:
            logger.exception("event=probe_broke")
            return None

    def _remove_logs(self) -> None:
        while self._logs_to_remove and self._chore(partial(self._remove_log, self._logs_to_remove[-1])):
            self._logs_to_remove.pop()

    def _remove_log(self, instance_id: InstanceId) -> None:
        try:
            self._logs.remove(instance_id)
        except Exception:
            logger.exception("event=log_removal_broke instance=%s", instance_id)
