"""The lower end of a link: what a cluster is to its root and a node to its cluster.

Holds the desired set, reports what changes, answers questions. Decides nothing. All calls come from the
mailbox's thread.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from edge_common.link.desired_set import DesiredChange
from edge_common.link.desired_store import DesiredStore
from edge_common.link.events import Connected, Disconnected, LinkEvent, MessageArrived
from edge_common.link.rejects import Rejects
from edge_common.link.renewal import CERTIFICATE, Renewal
from edge_common.link.transport import Transport, Will
from edge_common.model.cluster import ClusterInfo, Summary
from edge_common.model.errors import HedgerowError, InvalidInput, Overloaded, TooLarge
from edge_common.model.ids import ChildId, InstanceId, ServiceId
from edge_common.model.instance import Observation, fold
from edge_common.model.network import Subnet
from edge_common.model.node import NodeInfo, Usage
from edge_common.plumbing.clock import Clock
from edge_common.wire import topics
from edge_common.wire.codec import decode, encode
from edge_common.wire.messages import DesiredService, Manifest, Presence, Report, Request, Response

logger = logging.getLogger(__name__)

REPORT_INTERVAL_S = 10.0
RESYNC = "resync"

Reply = Callable[[Mapping[str, Any] | HedgerowError], None]


@dataclass(frozen=True, slots=True)
class Description:
    """What a child says of itself; only what is not None is sent."""

    node: NodeInfo | None = None
    cluster: ClusterInfo | None = None
    summary: Summary | None = None
    usage: Usage | None = None


class Reporter(Protocol):
    """The service above the link."""

    def all_observations(self) -> Iterable[Observation]: ...

    def describe(self, *, is_full: bool, acked_revision: int) -> Description:
        """With `is_full` all of it, else what may have changed since the last time."""

    def answer(self, kind: str, body: Mapping[str, Any], reply: Reply) -> None:
        """May reply later and from another thread, but once. Raises an error of the tree to refuse at once."""


def last_will(child_id: ChildId) -> Will:
    return Will(topics.presence(child_id), encode(Presence(is_online=False)))


class ChildLink:
    def __init__(
        self,
        child_id: ChildId,
        boot_id: str,
        transport: Transport,
        store: DesiredStore,
        reporter: Reporter,
        clock: Clock,
        report_interval_s: float = REPORT_INTERVAL_S,
        renewal: Renewal | None = None,
    ) -> None:
        self.child_id = child_id
        self._boot_id = boot_id
        self._transport = transport
        self._store = store
        self._reporter = reporter
        self._clock = clock
        self._report_interval_s = report_interval_s
        self._renewal = renewal
        self._desired = store.load()
        self._acked_revision = self._desired.revision
        self._unsaved_puts: dict[ServiceId, DesiredService] = {}
        self._unsaved_removed: set[ServiceId] = set()
        self._changes: dict[InstanceId, Observation] = {}
        self._sequence = 0
        self._is_connected = False
        self._wants_full = True
        self._wants_report = False
        self._next_report_s = 0.0
        self.rejects = Rejects(str(child_id))
        transport.subscribe(topics.heard_by_child(child_id))

    @property
    def desired(self) -> Mapping[ServiceId, DesiredService]:
        return self._desired.documents

    @property
    def subnets(self) -> tuple[Subnet, ...]:
        """Our part of the overlay's addresses, as our parent last said it in full."""
        return self._desired.subnets

    @property
    def acked_revision(self) -> int:
        """The newest manifest held in full, on disk."""
        return self._acked_revision

    @property
    def is_connected(self) -> bool:
        return self._is_connected

    def handle(self, event: LinkEvent) -> None:
        match event:
            case Connected():
                self._is_connected = True
                self._wants_full = True
                self._say(topics.presence(self.child_id), Presence(is_online=True, boot_id=self._boot_id), retain=True)
            case Disconnected(reason=reason):
                if self._is_connected:
                    logger.warning("event=link_down child=%s reason=%r", self.child_id, reason)
                self._is_connected = False
            case MessageArrived(topic=topic, payload=payload):
                self._receive(topic, payload)

    def take_changes(self) -> frozenset[ServiceId]:
        """Make what arrived durable and say which services it concerns. What is not durable is not acknowledged.

        One that held nothing before then says everything: only now does its silence about an instance mean anything.
        """
        changed = frozenset(self._unsaved_puts) | self._unsaved_removed
        if changed or self._acked_revision != self._desired.revision:
            desired = self._desired
            self._store.save(desired.revision, self._unsaved_puts.values(), self._unsaved_removed, desired.subnets)
            self._unsaved_puts.clear()
            self._unsaved_removed.clear()
            self._wants_full |= self._acked_revision == 0
            self._acked_revision = self._desired.revision
            self._wants_report = True
        return changed

    def observe(self, observation: Observation) -> None:
        """Say this in the next report. Of several for one instance only the greatest is sent."""
        self._changes[observation.instance_id] = fold(self._changes.get(observation.instance_id), observation)

    def say_all(self) -> None:
        """Say everything in the next report: something may have been missed."""
        self._wants_full = True

    def touch(self) -> None:
        """The description changed: send it with the next flush."""
        self._wants_report = True

    def flush(self) -> None:
        """Send a report when there is something to say. While cut off, changes wait and the newest of each is kept."""
        if not self._is_connected:
            return
        now_s = self._clock.monotonic_s()
        if self._changes or self._wants_full or self._wants_report or now_s >= self._next_report_s:
            self._send_report(now_s)

    def due_in_s(self) -> float:
        if not self._is_connected:
            return self._report_interval_s
        return max(0.0, self._next_report_s - self._clock.monotonic_s())

    def _send_report(self, now_s: float) -> None:
        is_full = self._wants_full
        said = self._reporter.describe(is_full=is_full, acked_revision=self._acked_revision)
        # Of what is gone for good only a change still speaks: it must not be lost among all there is.
        observed = {each.instance_id: each for each in self._reporter.all_observations()} if is_full else {}
        observations = {**self._changes, **observed}
        self._sequence += 1
        report = Report(
            self._boot_id,
            self._sequence,
            self._acked_revision,
            is_full,
            tuple(observations.values()),
            said.node,
            said.cluster,
            said.summary,
            said.usage,
            self._renewal.csr() if self._renewal else "",
        )
        if not self._say(topics.report(self.child_id), report):
            self._wants_full = True
            return
        self._changes.clear()
        self._wants_full = self._wants_report = False
        self._next_report_s = now_s + self._report_interval_s

    def _say(self, topic: str, message: object, *, retain: bool = False) -> bool:
        try:
            self._transport.publish(topic, encode(message), is_retained=retain)
        except (Overloaded, TooLarge) as error:
            logger.warning("event=publish_refused topic=%s reason=%r", topic, str(error))
            return False
        return True

    def _receive(self, topic: str, payload: bytes) -> None:
        parsed = topics.parse(topic)
        if parsed is None or parsed[0] != self.child_id:
            self.rejects.count(topic, "not a topic of this link")
            return
        try:
            self._accept(parsed[1], payload)
        except HedgerowError as error:
            self.rejects.count(topic, str(error))

    def _accept(self, kind: topics.Kind, payload: bytes) -> None:
        if kind is topics.Kind.DESIRED_SERVICE:
            if payload:
                self._apply(self._desired.offer_document(decode(DesiredService, payload)))
        elif kind is topics.Kind.DESIRED:
            if payload:
                self._apply(self._desired.offer_manifest(decode(Manifest, payload)))
        elif kind is topics.Kind.REQUEST:
            self._answer(decode(Request, payload))
        else:
            raise InvalidInput(f"A child is never sent a {kind}.")

    def _apply(self, change: DesiredChange) -> None:
        if change.put is not None:
            self._unsaved_puts[change.put.service_id] = change.put
            self._unsaved_removed.discard(change.put.service_id)
        for service_id in change.removed:
            self._unsaved_puts.pop(service_id, None)
            self._unsaved_removed.add(service_id)

    def _answer(self, request: Request) -> None:
        if request.kind == RESYNC:
            self._wants_full = True
            return
        if request.kind == CERTIFICATE:
            self._take_certificate(request.body.get("certificate"))
            return

        def reply(answer: Mapping[str, Any] | HedgerowError) -> None:
            if isinstance(answer, HedgerowError):
                self._refuse(request, answer)
            elif not self._say(topics.response(self.child_id), Response(request.request_id, answer)):
                self._refuse(request, TooLarge(f"The answer to {request.kind} is more than can be sent. Ask for less."))

        try:
            self._reporter.answer(request.kind, request.body, reply)
        except HedgerowError as error:
            reply(error)

    def _take_certificate(self, certificate: object) -> None:
        if self._renewal is None or not isinstance(certificate, str):
            raise InvalidInput("A certificate came that was not asked for.")
        self._renewal.take(certificate)

    def _refuse(self, request: Request, error: HedgerowError) -> None:
        refusal = Response(request.request_id, error=type(error).__name__, message=str(error))
        self._say(topics.response(self.child_id), refusal)
