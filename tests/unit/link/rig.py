"""Both ends of a link over the broker in memory, with a clock that stands still until it is told to go on."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_common.link.certifier import Certify
from edge_common.link.child import ChildLink, Description, Reply, last_will
from edge_common.link.desired_store import DocumentDesiredStore
from edge_common.link.events import Connected, Disconnected, End, LinkEvent, MessageArrived
from edge_common.link.link_store import DocumentLinkStore
from edge_common.link.memory_broker import MemoryBroker, MemoryTransport
from edge_common.link.parent import ParentLinks
from edge_common.link.publisher import DesiredContent
from edge_common.link.renewal import Renewal
from edge_common.model.errors import HedgerowError, Unreachable
from edge_common.model.ids import ApplicationId, ChildId, InstanceId, ServiceId
from edge_common.model.instance import Observation
from edge_common.model.lifecycle import State
from edge_common.model.network import Subnet
from edge_common.model.node import Readiness
from edge_common.model.service import ServiceSpec
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.wire.messages import AssignedInstance, DesiredService, Report

CHILD = ChildId("child-1")
OTHER = ChildId("child-2")
WEB = ServiceId("web")
DB = ServiceId("db")


def spec(service_id: str = WEB, **changes: Any) -> ServiceSpec:
    return ServiceSpec(
        ServiceId(service_id), ApplicationId("app"), f"{service_id}.test", "container", "busybox", **changes
    )


def document(service_id: str, revision: int, *instances: str) -> DesiredService:
    assigned = tuple(AssignedInstance(InstanceId(each), number) for number, each in enumerate(instances or ("i",)))
    return DesiredService(ServiceId(service_id), revision, 1, spec(service_id), assigned)


def content(service_id: str, *instances: str, spec_revision: int = 1) -> DesiredContent:
    assigned = tuple(AssignedInstance(InstanceId(each), number) for number, each in enumerate(instances))
    return DesiredContent(spec_revision, spec(service_id), assigned)


def seen(instance_id: str, state: State = State.RUNNING, attempt: int = 0, **more: Any) -> Observation:
    return Observation(InstanceId(instance_id), WEB, 0, state, attempt=attempt, **more)


class FailingDocuments(MemoryDocuments):
    """A database that goes away when told to: for all, for writes, or just before it says that it has written."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.is_read_only = False
        self.loses_answers = False

    def bulk(self, writes: Any) -> list[bool]:
        self._check_there()
        if self.is_read_only:
            raise Unreachable("The database does not answer.")
        done = super().bulk(writes)
        if self.loses_answers:
            raise Unreachable("The database does not answer.")
        return done

    def find(self, *args: Any, **more: Any) -> Any:
        self._check_there()
        return super().find(*args, **more)

    def _check_there(self) -> None:
        if self.is_away:
            raise Unreachable("The database does not answer.")


class Inbox:
    """Transport callbacks into a list: what a mailbox is in production."""

    def __init__(self, end: End) -> None:
        self._end = end
        self.events: list[LinkEvent] = []

    def on_connected(self, has_session: bool) -> None:
        self.events.append(Connected(self._end, has_session))

    def on_disconnected(self, reason: str) -> None:
        self.events.append(Disconnected(self._end, reason))

    def on_message(self, topic: str, payload: bytes, is_retained: bool) -> None:
        self.events.append(MessageArrived(self._end, topic, payload))

    def take(self) -> list[LinkEvent]:
        taken, self.events = self.events, []
        return taken


@dataclass
class FakeOwner:
    wanted: dict[tuple[ChildId, ServiceId], DesiredContent] = field(default_factory=dict)
    reports: list[tuple[ChildId, Report]] = field(default_factory=list)
    readiness: list[tuple[ChildId, Readiness]] = field(default_factory=list)
    failure: HedgerowError | None = None

    def content(self, child_id: ChildId, service_id: ServiceId) -> DesiredContent | None:
        return self.wanted.get((child_id, service_id))

    def on_report(self, child_id: ChildId, report: Report) -> None:
        self._fail()
        self.reports.append((child_id, report))

    def on_readiness(self, child_id: ChildId, readiness: Readiness) -> None:
        self._fail()
        self.readiness.append((child_id, readiness))

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


@dataclass
class FakeReporter:
    observations: dict[InstanceId, Observation] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    answers: dict[str, Mapping[str, Any] | HedgerowError] = field(default_factory=dict)
    refusal: HedgerowError | None = None

    def all_observations(self) -> Iterable[Observation]:
        return list(self.observations.values())

    def describe(self, *, is_full: bool, acked_revision: int) -> Description:
        return Description()

    def answer(self, kind: str, body: Mapping[str, Any], reply: Reply) -> None:
        self.asked.append((kind, body))
        if self.refusal is not None:
            raise self.refusal
        if kind in self.answers:
            reply(self.answers[kind])


class Child:
    """The lower end, its disk and its service; `restart` is a kill -9 and a start."""

    def __init__(
        self,
        broker: MemoryBroker,
        clock: FakeClock,
        child_id: ChildId = CHILD,
        make_renewal: Callable[[], Renewal | None] = lambda: None,
    ) -> None:
        self.child_id = child_id
        self._make_renewal = make_renewal
        self.documents = FailingDocuments()
        self.reporter = FakeReporter()
        self._broker = broker
        self._clock = clock
        self._boots = itertools.count(1)
        self.start()

    def start(self) -> None:
        self.inbox = Inbox(End.UPPER)
        self.transport = MemoryTransport(self._broker, self.child_id, self.inbox, last_will(self.child_id))
        store = DocumentDesiredStore(self.documents)
        boot_id = f"boot-{next(self._boots)}"
        renewal = self._make_renewal()
        self.link = ChildLink(
            self.child_id, boot_id, self.transport, store, self.reporter, self._clock, renewal=renewal
        )
        self.transport.start()

    def restart(self, *, loses_disk: bool = False) -> None:
        self.transport.kill()
        if loses_disk:
            self.documents = FailingDocuments()
        self.start()

    def observe(self, *observations: Observation) -> None:
        for each in observations:
            self.reporter.observations[each.instance_id] = each
            self.link.observe(each)

    def work(self) -> None:
        for event in self.inbox.take():
            self.link.handle(event)
        self.link.take_changes()
        self.link.flush()

    @property
    def instances(self) -> set[str]:
        return {each.instance_id for held in self.link.desired.values() for each in held.instances}


class Parent:
    """The upper end, its store and its service; `restart` is a kill -9 and a start."""

    def __init__(
        self, broker: MemoryBroker, clock: FakeClock, *children: ChildId, certify: Certify | None = None
    ) -> None:
        self._certify = certify
        self.documents = FailingDocuments()
        self.owner = FakeOwner()
        self.subnets: dict[ChildId, tuple[Subnet, ...]] = {}
        self.children = list(children)
        self._broker = broker
        self._clock = clock
        self._ids = map("question-{}".format, itertools.count(1))
        self.start()

    def start(self) -> None:
        self.inbox = Inbox(End.LOWER)
        self.transport = MemoryTransport(self._broker, "parent", self.inbox)
        store = DocumentLinkStore(self.documents)
        self.links = ParentLinks(
            self.transport,
            store,
            self.owner,
            self._clock,
            lambda: next(self._ids),
            certify=self._certify,
            subnets_of=lambda child_id: self.subnets.get(child_id, ()),
        )
        self.links.add_children(self.children)
        self.transport.start()

    def restart(self) -> None:
        self.transport.kill()
        self.start()

    def want(self, service_id: ServiceId, *instances: str, child_id: ChildId = CHILD, spec_revision: int = 1) -> None:
        if instances:
            self.owner.wanted[child_id, service_id] = content(service_id, *instances, spec_revision=spec_revision)
        else:
            self.owner.wanted.pop((child_id, service_id), None)
        self.links.mark(child_id, service_id)

    def give(self, *subnets: Subnet, child_id: ChildId = CHILD) -> None:
        self.subnets[child_id] = subnets
        self.links.mark_subnets(child_id)

    def work(self) -> None:
        for event in self.inbox.take():
            self.links.handle(event)
        self.links.flush()


class Pair:
    def __init__(self, broker: MemoryBroker | None = None) -> None:
        self.clock = FakeClock()
        self.broker = broker or MemoryBroker()
        self.parent = Parent(self.broker, self.clock, CHILD)
        self.child = Child(self.broker, self.clock)

    @classmethod
    def of(cls, clock: FakeClock, broker: MemoryBroker, parent: Parent, child: Child) -> "Pair":
        made = cls.__new__(cls)
        made.clock, made.broker, made.parent, made.child = clock, broker, parent, child
        return made

    def settle(self) -> None:
        """Until nobody has anything more to say."""
        for _ in range(50):
            self.child.work()
            self.parent.work()
            if not self.broker.pump() and not self.child.inbox.events and not self.parent.inbox.events:
                return
        raise AssertionError("The two ends do not stop talking.")

    def run(self, seconds: float, step_s: float = 0.5) -> None:
        """Lets time pass, with the ticks that a service would get."""
        self.settle()
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            self.parent.links.tick()
            self.settle()

    def readiness(self) -> Readiness:
        return self.parent.links.readiness(CHILD)
