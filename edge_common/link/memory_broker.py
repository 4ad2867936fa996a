"""A broker in memory for tests and the simulation: deterministic, without threads and without a clock.

Whatever a client or the broker sends waits as a `Packet` until someone calls `pump`, which asks a policy for each one's
fate. As on a real connection a packet is never lost without a cut, and what was cut off is sent again after the
reconnect; one sender's publications reach the broker in order.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from edge_common.link.memory_faults import Fate, InOrder, Packet, Policy
from edge_common.link.transport import TransportEvents, Will
from edge_common.model.errors import Overloaded, TooLarge

DEFAULT_MAX_QUEUED = 1_000
DEFAULT_MAX_PAYLOAD_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class _Session:
    """What the broker knows of a client; outlives its connections."""

    filters: set[str] = field(default_factory=set)
    queued: deque[Packet] = field(default_factory=deque)


class MemoryBroker:
    def __init__(self, policy: Policy | None = None, max_queued: int = DEFAULT_MAX_QUEUED) -> None:
        self.policy: Policy = InOrder() if policy is None else policy
        self.retained: dict[str, bytes] = {}
        self.max_queued = max_queued
        self.dropped = 0  # messages to sessions whose queue was full
        self._is_up = True
        self._sessions: dict[str, _Session] = {}
        self._clients: dict[str, MemoryTransport] = {}
        self._unreachable: set[str] = set()
        self._silent: set[str] = set()
        self._refused: set[str] = set()
        self._outbox: list[Packet] = []
        self._delayed: list[Packet] = []
        self._stuck: list[Packet] = []  # of those that are silent

    @property
    def deliveries(self) -> tuple[Packet, ...]:
        """What is on its way, oldest first."""
        return (*self._stuck, *self._delayed, *self._outbox)

    def pump(self, max_packets: int | None = None) -> int:
        """Reconnects whoever can, then delivers until nothing waits but what is delayed or stuck. Returns how many."""
        self._outbox[:0] = self._delayed
        self._delayed.clear()
        delivered = 0
        while max_packets is None or delivered < max_packets:
            self._reconnect()
            if not self._outbox:
                break
            delivered += self._step()
        return delivered

    def cut(self, client_id: str) -> None:
        """Breaks the connection; its owner reconnects at the next pump, if it can."""
        client = self._clients.get(client_id)
        if client is None or not client.is_connected:
            return
        self._disconnect(client, "The connection was cut.")
        if client.will is not None:
            self._accept(client.will.topic, client.will.payload, client.will.is_retained)

    def isolate(self, client_id: str) -> None:
        self._unreachable.add(client_id)
        self.cut(client_id)

    def silence(self, client_id: str) -> None:
        """As when its cable is pulled: nothing passes, and nobody notices until it is cut or healed."""
        self._silent.add(client_id)

    def heal(self, client_id: str) -> None:
        self._unreachable.discard(client_id)
        self._silent.discard(client_id)
        self._outbox[:0] = [packet for packet in self._stuck if packet.client_id == client_id]
        self._stuck = [packet for packet in self._stuck if packet.client_id != client_id]

    def refuse(self, client_id: str) -> None:
        """As when its credentials were withdrawn."""
        self._refused.add(client_id)
        self.cut(client_id)

    def admit(self, client_id: str) -> None:
        self._refused.discard(client_id)

    def stop(self, *, forgets: bool = False) -> None:
        """`forgets`: sessions and retained messages are lost too. Wills are not sent."""
        self._is_up = False
        for client in list(self._clients.values()):
            self._disconnect(client, "The broker stopped.")
        if forgets:
            self.retained.clear()
            self._sessions.clear()

    def start(self) -> None:
        self._is_up = True

    def expire_session(self, client_id: str) -> None:
        self._sessions.pop(client_id, None)

    def attach(self, client: "MemoryTransport") -> None:
        self._clients[client.client_id] = client

    def detach(self, client: "MemoryTransport", *, sends_will: bool) -> None:
        if self._clients.get(client.client_id) is not client:
            return
        if sends_will:
            self.cut(client.client_id)
        else:
            self._disconnect(client, "")
        del self._clients[client.client_id]

    def send(self, packet: Packet) -> None:
        self._outbox.append(packet)

    def subscribe(self, client_id: str, topics: Iterable[str]) -> None:
        for wanted in topics:
            self._sessions[client_id].filters.add(wanted)
            for topic, payload in self.retained.items():
                if matches(wanted, topic):
                    self._outbox.append(Packet(client_id, False, topic, payload, True))

    def unsubscribe(self, client_id: str, topics: Iterable[str]) -> None:
        self._sessions[client_id].filters.difference_update(topics)

    def _step(self) -> int:
        """How many packets moved."""
        position = self._oldest_of(self.policy.choose(self._outbox))
        packet = self._outbox.pop(position)
        if packet.client_id in self._silent:
            self._stuck.append(packet)
            return 0
        match self.policy.fate(packet):
            case Fate.DELIVER:
                self._deliver(packet)
            case Fate.DUPLICATE:
                self._deliver(packet)
                if packet.is_upload:
                    self._deliver(packet)
                else:
                    self._outbox.append(packet)
            case Fate.DELAY:
                self._delay(packet)
            case Fate.CUT:
                self._outbox.insert(position, packet)
                self.cut(packet.client_id)
        return 1

    def _oldest_of(self, position: int) -> int:
        """One client's uploads share a connection, so the oldest goes first, whichever was chosen."""
        chosen = self._outbox[position]
        if not chosen.is_upload:
            return position
        return next(i for i, p in enumerate(self._outbox) if p.is_upload and p.client_id == chosen.client_id)

    def _delay(self, packet: Packet) -> None:
        """With an upload wait all later ones of that client: they share a connection."""
        self._delayed.append(packet)
        if packet.is_upload:
            mine = [other.is_upload and other.client_id == packet.client_id for other in self._outbox]
            self._delayed += [other for other, is_mine in zip(self._outbox, mine, strict=True) if is_mine]
            self._outbox = [other for other, is_mine in zip(self._outbox, mine, strict=True) if not is_mine]

    def _deliver(self, packet: Packet) -> None:
        if packet.is_upload:
            self._accept(packet.topic, packet.payload, packet.is_retained)
            return
        client = self._clients.get(packet.client_id)
        if client is not None and client.is_connected:
            client.events.on_message(packet.topic, packet.payload, packet.is_retained)

    def _accept(self, topic: str, payload: bytes, is_retained: bool) -> None:
        if is_retained and payload:
            self.retained[topic] = payload
        elif is_retained:
            self.retained.pop(topic, None)
        for client_id, session in self._sessions.items():
            if not any(matches(wanted, topic) for wanted in session.filters):
                continue
            packet = Packet(client_id, False, topic, payload, False)
            client = self._clients.get(client_id)
            if client is not None and client.is_connected:
                self._outbox.append(packet)
            else:
                self._queue(session, packet)

    def _queue(self, session: _Session, packet: Packet) -> None:
        if len(session.queued) >= self.max_queued:
            self.dropped += 1
        else:
            session.queued.append(packet)

    def _reconnect(self) -> None:
        for client in list(self._clients.values()):
            if client.is_connected or not self._is_up or client.client_id in self._unreachable | self._silent:
                continue
            if client.client_id in self._refused:
                client.turn_down()
            else:
                self._connect(client)

    def _connect(self, client: "MemoryTransport") -> None:
        session = self._sessions.get(client.client_id)
        has_session = session is not None
        if session is None:
            session = self._sessions[client.client_id] = _Session()
        self._outbox += session.queued
        session.queued.clear()
        client.open(has_session)

    def _disconnect(self, client: "MemoryTransport", reason: str) -> None:
        """What was on its way goes back to where it is kept: uploads to the client, the rest to the session."""
        if not client.is_connected:
            return
        mine = [packet for packet in self.deliveries if packet.client_id == client.client_id]
        self._outbox = [packet for packet in self._outbox if packet.client_id != client.client_id]
        self._delayed = [packet for packet in self._delayed if packet.client_id != client.client_id]
        self._stuck = [packet for packet in self._stuck if packet.client_id != client.client_id]
        session = self._sessions[client.client_id]
        for packet in mine:
            if not packet.is_upload:
                self._queue(session, packet)
        client.close([packet for packet in mine if packet.is_upload])
        if reason:
            client.events.on_disconnected(reason)


class MemoryTransport:
    """A `Transport` on a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, client_id: str, events: TransportEvents, will: Will | None = None) -> None:
        self.client_id = client_id
        self.events = events
        self.will = will
        self._broker = broker
        self._filters: dict[str, None] = {}
        self._unsent: deque[Packet] = deque()
        self._is_connected = False
        self._is_refused = False

    @property
    def is_connected(self) -> bool:
        return self._is_connected

    @property
    def is_refused(self) -> bool:
        return self._is_refused

    def publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> None:
        if len(payload) > DEFAULT_MAX_PAYLOAD_BYTES:
            raise TooLarge(f"A message of {len(payload)} bytes is more than the {DEFAULT_MAX_PAYLOAD_BYTES} allowed.")
        packet = Packet(self.client_id, True, topic, payload, is_retained)
        if self._is_connected:
            self._broker.send(packet)
        elif len(self._unsent) >= self._broker.max_queued:
            raise Overloaded(f"{len(self._unsent)} messages already wait for a connection to the broker.")
        else:
            self._unsent.append(packet)

    def subscribe(self, topics: Sequence[str]) -> None:
        self._filters.update(dict.fromkeys(topics))
        if self._is_connected:
            self._broker.subscribe(self.client_id, topics)

    def unsubscribe(self, topics: Sequence[str]) -> None:
        for topic in topics:
            self._filters.pop(topic, None)
        if self._is_connected:
            self._broker.unsubscribe(self.client_id, topics)

    def start(self) -> None:
        self._broker.attach(self)

    def stop(self) -> None:
        self._broker.detach(self, sends_will=False)

    def kill(self) -> None:
        """As kill -9 of the owner: the will is sent, and what it had not got rid of is lost."""
        self._broker.detach(self, sends_will=True)
        self._unsent.clear()

    def open(self, has_session: bool) -> None:
        self._is_connected, self._is_refused = True, False
        self._broker.subscribe(self.client_id, self._filters)
        while self._unsent:
            self._broker.send(self._unsent.popleft())
        self.events.on_connected(has_session)

    def close(self, unsent: Iterable[Packet]) -> None:
        self._is_connected = False
        self._unsent.extend(unsent)

    def turn_down(self) -> None:
        if not self._is_refused:
            self._is_refused = True
            self.events.on_disconnected("The broker does not know these credentials.")


@lru_cache(maxsize=1 << 16)
def matches(wanted: str, topic: str) -> bool:
    """MQTT's rule: `+` is one level, a last `#` is any number, none too; neither reaches into `$` topics."""
    if topic.startswith("$") and wanted[:1] in {"+", "#"}:
        return False
    pattern, levels = wanted.split("/"), topic.split("/")
    for index, part in enumerate(pattern):
        if part == "#":
            return True
        if index >= len(levels) or part not in {"+", levels[index]}:
            return False
    return len(pattern) == len(levels)
