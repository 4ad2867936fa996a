"""The upper end of all links of a tier: says what is wanted of each child, hears what each reports, knows who is there.

Decides nothing about instances. All calls come from the mailbox's thread.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from edge_common.link.certifier import Certifier, Certify
from edge_common.link.child import RESYNC
from edge_common.link.events import Connected, Disconnected, LinkEvent, MessageArrived
from edge_common.link.link_store import LinkChange, LinkStore
from edge_common.link.liveness import DEFAULT_LEASE_S, Liveness
from edge_common.link.publisher import ChildDocuments, DesiredContent, Outgoing, topics_of
from edge_common.link.questions import Answered, Questions
from edge_common.link.rejects import Rejects
from edge_common.link.transport import Transport
from edge_common.model.errors import HedgerowError, InvalidInput, Overloaded, TooLarge, Unreachable
from edge_common.model.ids import ChildId, InstanceId, ServiceId
from edge_common.model.lifecycle import State
from edge_common.model.network import Subnet
from edge_common.model.node import ChildHealth, Readiness
from edge_common.plumbing.clock import Clock
from edge_common.wire import topics
from edge_common.wire.codec import decode, encode
from edge_common.wire.messages import Presence, Report, Request, Response

logger = logging.getLogger(__name__)

REPEAT_AFTER_S = 5.0
MAX_REPEAT_AFTER_S = 300.0
RETAINED_S = 1.0
"""A child that just connected hears what the broker retained; what it has not acknowledged soon after, it lacks."""
MAX_CHECK_S = 5.0


class Owner(Protocol):
    """The service above the links."""

    def content(self, child_id: ChildId, service_id: ServiceId) -> DesiredContent | None:
        """What this child is to do for this service now; None for nothing."""

    def on_report(self, child_id: ChildId, report: Report) -> None: ...

    def on_readiness(self, child_id: ChildId, readiness: Readiness) -> None:
        """Called when it changed."""


SubnetsOf = Callable[[ChildId], tuple[Subnet, ...]]


def _no_subnets(_: ChildId) -> tuple[Subnet, ...]:
    return ()


@dataclass(slots=True)
class _Child:
    """`awaited_revision` is the one whose acknowledgement is timed.

    `held` are the instances of which it said a word in or since its last full report, and not that they are gone; None
    when something may have been missed.
    """

    documents: ChildDocuments
    liveness: Liveness
    is_synced: bool = False
    boot_id: str = ""
    sequence: int = 0
    acked_revision: int = 0
    held: set[InstanceId] | None = None
    awaited_revision: int = 0
    readiness: Readiness = Readiness.SUSPECT
    repeat_after_s: float = REPEAT_AFTER_S
    repeat_at_s: float = field(default=float("inf"))


class ParentLinks:
    def __init__(
        self,
        transport: Transport,
        store: LinkStore,
        owner: Owner,
        clock: Clock,
        new_id: Callable[[], str],
        lease_s: float = DEFAULT_LEASE_S,
        certify: Certify | None = None,
        subnets_of: SubnetsOf = _no_subnets,
    ) -> None:
        self._transport = transport
        self._store = store
        self._owner = owner
        self._clock = clock
        self._lease_s = lease_s
        self._certifier = Certifier(certify)
        self._subnets_of = subnets_of
        self._children: dict[ChildId, _Child] = {}
        self._dirty: set[ChildId] = set()
        self._unready: dict[ChildId, None] = {}
        self._unsaved: list[tuple[LinkChange, list[Outgoing]]] = []
        self._is_connected = False
        self._questions = Questions(new_id)
        self.rejects = Rejects("parent")

    @property
    def is_connected(self) -> bool:
        return self._is_connected

    def __contains__(self, child_id: object) -> bool:
        return child_id in self._children

    def child_ids(self) -> Collection[ChildId]:
        return self._children.keys()

    def unready(self) -> dict[ChildId, ChildHealth]:
        """How those do that are not READY."""
        return {
            child_id: ChildHealth(self._children[child_id].readiness, self.unheard_s(child_id))
            for child_id in self._unready
        }

    def add_children(self, child_ids: Iterable[ChildId]) -> None:
        """Begin to listen to these. Those that are known already stay as they are.

        What was said to them before is compared with what is wanted now: we may have died between the two.
        """
        new = [child_id for child_id in child_ids if child_id not in self._children]
        for child_id in new:
            revision, published = self._store.load(child_id)
            liveness = Liveness(self._lease_s, None)
            liveness.must_prove(self._clock.monotonic_s())
            documents = ChildDocuments(
                child_id, revision, published, dirty=set(published), subnets=self._store.subnets(child_id)
            )
            self._children[child_id] = _Child(documents, liveness)
            self._unready[child_id] = None
            self._dirty.add(child_id)
        if new:
            self._transport.subscribe(topics_of(new))

    def forget_child(self, child_id: ChildId) -> None:
        """Nothing of it is kept, here or in the broker. A child that is not known is as good as forgotten."""
        self._store.forget(child_id)
        self._unsaved = [(change, said) for change, said in self._unsaved if change.child_id != child_id]
        child = self._children.pop(child_id, None)
        if child is None:
            return
        self._dirty.discard(child_id)
        self._unready.pop(child_id, None)
        self._certifier.forget(child_id)
        self._transport.unsubscribe(topics_of([child_id]))
        said = [topics.desired_service(child_id, service_id) for service_id in child.documents.published]
        for topic in (*said, topics.desired(child_id), topics.presence(child_id)):
            self._say(Outgoing(topic, b""), is_retained=True)

    def mark(self, child_id: ChildId, service_id: ServiceId) -> None:
        """What this child is to do for this service may have changed; `flush` finds out."""
        child = self._children.get(child_id)
        if child is not None:
            child.documents.dirty.add(service_id)
            self._dirty.add(child_id)

    def mark_subnets(self, child_id: ChildId) -> None:
        """Its part of the overlay's addresses may have changed."""
        if child_id in self._children:
            self._dirty.add(child_id)

    def readiness(self, child_id: ChildId) -> Readiness:
        child = self._children.get(child_id)
        return child.readiness if child else Readiness.LOST

    def unheard_s(self, child_id: ChildId) -> float:
        """For how long it has not been there; 0.0 while it is."""
        child = self._children.get(child_id)
        if child is None:
            return float("inf")
        since_s = child.liveness.unheard_since_s
        return 0.0 if since_s is None else max(0.0, self._clock.monotonic_s() - since_s)

    def published_revision(self, child_id: ChildId, service_id: ServiceId) -> int:
        """The manifest at which this service's document last changed or was dropped, as far as it is known."""
        child = self._children.get(child_id)
        if child is None:
            return 0
        published = child.documents.published.get(service_id)
        return published.revision if published else child.documents.revision

    def withdrawn_at(self, child_id: ChildId, service_id: ServiceId) -> int | None:
        """The revision from which this service's document is as it is wanted now; None while that was not said yet."""
        child = self._children.get(child_id)
        if child is None or service_id in child.documents.dirty:
            return None
        return self.published_revision(child_id, service_id)

    def held(self, child_id: ChildId) -> Collection[InstanceId] | None:
        """Of which instances it said a word in or since its last full report; None while that is not known."""
        child = self._children.get(child_id)
        return child.held if child else None

    def revisions(self, child_id: ChildId) -> tuple[int, int]:
        """(desired, acknowledged)."""
        child = self._children.get(child_id)
        return (child.documents.revision, child.acked_revision) if child else (0, 0)

    def request(
        self, child_id: ChildId, kind: str, body: Mapping[str, Any], timeout_s: float, on_answer: Answered
    ) -> None:
        """Ask; `on_answer` gets the body or an error, once."""
        if child_id not in self._children or not self._children[child_id].liveness.is_online:
            on_answer(Unreachable(f"{child_id} is not connected now, so it cannot be asked for {kind}. Try later."))
            return
        try:
            request = self._questions.ask(child_id, kind, body, self._clock.monotonic_s() + timeout_s, on_answer)
        except Overloaded as error:
            on_answer(error)
            return
        if not self._say(Outgoing(topics.request(child_id), encode(request)), is_retained=False):
            self._questions.fail(request.request_id, Overloaded("Too many messages wait for the broker. Try later."))

    def handle(self, event: LinkEvent) -> None:
        match event:
            case Connected():
                self._is_connected = True
                for child in self._children.values():
                    child.liveness.must_prove(self._clock.monotonic_s())
            case Disconnected(reason=reason):
                if self._is_connected:
                    logger.warning("event=links_down reason=%r", reason)
                self._is_connected = False
            case MessageArrived(topic=topic, payload=payload):
                self._receive(topic, payload)

    def flush(self) -> None:
        """Make the new revisions durable, then say them. A child that has not reported yet is left alone."""
        for child_id in sorted(each for each in self._dirty if self._children[each].is_synced):
            documents = self._children[child_id].documents
            settled = documents.settle(self._owner.content, self._subnets_of(child_id))
            self._dirty.discard(child_id)
            if settled is not None:
                self._unsaved.append(settled)
        if not self._unsaved:
            return
        self._store.save(change for change, _ in self._unsaved)
        saved, self._unsaved = self._unsaved, []
        for change, messages in saved:
            if change.child_id in self._children:
                self._publish(self._children[change.child_id], messages)

    def tick(self) -> float:
        """Check who is there and who has not acknowledged. Returns the seconds until it should be called again."""
        now_s = self._clock.monotonic_s()
        self._questions.expire(now_s)
        due_s = now_s + MAX_CHECK_S
        for child_id, child in self._children.items():
            due_s = min(due_s, self._check(child_id, child, now_s))
        return max(0.02, min(due_s, self._questions.next_deadline_s()) - now_s)

    def _publish(self, child: _Child, messages: Iterable[Outgoing]) -> None:
        if child.liveness.unacked_since_s is None:
            self._await_ack(child, self._clock.monotonic_s())
        for message in messages:
            if not self._say(message, is_retained=True):
                break

    def _await_ack(self, child: _Child, now_s: float) -> None:
        """Times the newest revision only: under a stream of changes a child that is well never has them all."""
        child.awaited_revision = child.documents.revision
        child.liveness.unacked_since_s = now_s
        child.repeat_at_s = now_s + child.repeat_after_s

    def _check(self, child_id: ChildId, child: _Child, now_s: float) -> float:
        """Returns when to look again."""
        liveness = child.liveness
        if not self._is_connected:
            return now_s + MAX_CHECK_S
        if liveness.wants_asking(now_s) or (liveness.is_online and not child.is_synced and liveness.asked_s is None):
            self._ask_resync(child_id, child, now_s)
        liveness.check(now_s)
        self._note_readiness(child_id, child, now_s)
        is_behind = liveness.is_online and child.acked_revision < child.documents.revision
        if is_behind and now_s >= child.repeat_at_s and not self._unsaved:
            self._repeat(child_id, child, now_s)
        return self._next_look_s(child, now_s)

    def _repeat(self, child_id: ChildId, child: _Child, now_s: float) -> None:
        child.repeat_after_s = min(child.repeat_after_s * 2, MAX_REPEAT_AFTER_S)
        child.repeat_at_s = now_s + child.repeat_after_s
        logger.info("event=repeat_desired child=%s revision=%d", child_id, child.documents.revision)
        self._publish(child, child.documents.repeat(self._owner.content, child.acked_revision))
        if child.documents.dirty:
            self._dirty.add(child_id)

    def _next_look_s(self, child: _Child, now_s: float) -> float:
        liveness = child.liveness
        looks = [now_s + MAX_CHECK_S]
        if liveness.unheard_since_s is not None and child.readiness is not Readiness.LOST:
            looks.append(liveness.unheard_since_s + liveness.lease_s)
        if liveness.is_online and child.acked_revision < child.documents.revision:
            looks.append(child.repeat_at_s)
            looks.append((liveness.unacked_since_s or now_s) + liveness.lease_s)
        return min(look for look in looks if look > now_s)

    def _note_readiness(self, child_id: ChildId, child: _Child, now_s: float) -> None:
        readiness = child.liveness.readiness(now_s, is_synced=child.is_synced)
        if readiness is not child.readiness:
            logger.info("event=readiness child=%s before=%s after=%s", child_id, child.readiness, readiness)
            before = child.readiness
            self._set_readiness(child_id, child, readiness)
            try:
                self._owner.on_readiness(child_id, readiness)
            except HedgerowError:
                self._set_readiness(child_id, child, before)
                raise

    def _set_readiness(self, child_id: ChildId, child: _Child, readiness: Readiness) -> None:
        child.readiness = readiness
        if readiness is Readiness.READY:
            self._unready.pop(child_id, None)
        else:
            self._unready[child_id] = None

    def _ask_resync(self, child_id: ChildId, child: _Child, now_s: float) -> None:
        child.liveness.asked_s = now_s
        self._say(Outgoing(topics.request(child_id), encode(Request("", RESYNC))), is_retained=False)

    def _receive(self, topic: str, payload: bytes) -> None:
        parsed = topics.parse(topic)
        child = self._children.get(parsed[0]) if parsed else None
        if parsed is None or child is None:
            self.rejects.count(topic, "not a child of ours")
            return
        try:
            self._accept(parsed[0], child, parsed[1], payload)
        except HedgerowError as error:
            self.rejects.count(topic, str(error))

    def _accept(self, child_id: ChildId, child: _Child, kind: topics.Kind, payload: bytes) -> None:
        if kind is topics.Kind.REPORT:
            self._take_report(child_id, child, decode(Report, payload))
        elif kind is topics.Kind.PRESENCE:
            if payload:
                self._take_presence(child_id, child, decode(Presence, payload))
        elif kind is topics.Kind.RESPONSE:
            self._questions.answer(child_id, decode(Response, payload))
        else:
            raise InvalidInput(f"A parent is never sent a {kind}.")

    def _take_presence(self, child_id: ChildId, child: _Child, presence: Presence) -> None:
        now_s = self._clock.monotonic_s()
        if not presence.is_online:
            child.liveness.gone(now_s)
        elif presence.boot_id != child.boot_id or not child.is_synced or not child.liveness.is_online:
            self._ask_resync(child_id, child, now_s)
        self._note_readiness(child_id, child, now_s)

    def _take_report(self, child_id: ChildId, child: _Child, report: Report) -> None:
        now_s = self._clock.monotonic_s()
        is_same_boot = report.boot_id == child.boot_id
        if is_same_boot and report.sequence <= child.sequence:
            return
        is_gap = not (is_same_boot and report.sequence == child.sequence + 1)
        child.boot_id, child.sequence = report.boot_id, report.sequence
        child.liveness.heard(now_s)
        self._take_ack(child_id, child, report.acked_revision, now_s)
        if report.is_full:
            child.is_synced = True
            child.held = set()
            child.repeat_at_s = min(child.repeat_at_s, now_s + RETAINED_S)
            if child.documents.dirty:
                self._dirty.add(child_id)
        elif is_gap:
            child.held = None
            self._ask_resync(child_id, child, now_s)
        _note_held(child, report)
        self._note_claim(child_id, report)
        if report.csr:
            self._renew(child_id, report.csr, now_s)
        self._hand_over(child_id, child, report)
        self._note_readiness(child_id, child, now_s)

    def _renew(self, child_id: ChildId, csr: str, now_s: float) -> None:
        answer = self._certifier.answer(child_id, csr, now_s)
        if answer is not None:
            self._say(Outgoing(topics.request(child_id), encode(answer)), is_retained=False)

    def _note_claim(self, child_id: ChildId, report: Report) -> None:
        """Who describes another than itself is not believed, and an operator should know."""
        described = [ChildId(report.node.node_id)] if report.node else []
        described += [ChildId(report.cluster.cluster_id)] if report.cluster else []
        for claimed in described:
            if claimed != child_id:
                self.rejects.count(f"{topics.report(child_id)}#claim", f"child {child_id} claims to be {claimed:.64}")

    def _hand_over(self, child_id: ChildId, child: _Child, report: Report) -> None:
        """A report that could not be kept is as good as lost, so the next one has to find a gap."""
        try:
            self._owner.on_report(child_id, report)
        except HedgerowError as error:
            logger.warning("event=report_not_kept child=%s reason=%r", child_id, str(error))
            child.boot_id = ""
            child.held = None

    def _take_ack(self, child_id: ChildId, child: _Child, revision: int, now_s: float) -> None:
        if revision > child.documents.revision:
            logger.error(
                "event=revision_unknown child=%s theirs=%d ours=%d: our store is older than what the child heard",
                child_id, revision, child.documents.revision,
            )  # fmt: skip
            child.documents.overtake(revision)
            self._dirty.add(child_id)
        child.acked_revision = revision
        if revision >= child.documents.revision:
            child.liveness.unacked_since_s = None
            child.repeat_after_s = REPEAT_AFTER_S
        elif child.liveness.unacked_since_s is None or revision >= child.awaited_revision:
            child.repeat_after_s = REPEAT_AFTER_S
            self._await_ack(child, now_s)

    def _say(self, message: Outgoing, *, is_retained: bool) -> bool:
        try:
            self._transport.publish(message.topic, message.payload, is_retained=is_retained)
        except (Overloaded, TooLarge) as error:
            logger.warning("event=publish_refused topic=%s reason=%r", message.topic, str(error))
            return False
        return True


def _note_held(child: _Child, report: Report) -> None:
    if child.held is None:
        return
    for observation in report.observations:
        if observation.state is State.UNDEPLOYED:
            child.held.discard(observation.instance_id)
        else:
            child.held.add(observation.instance_id)
