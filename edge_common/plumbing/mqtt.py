"""One lasting MQTT 5 connection: reconnects for ever, queues a bounded amount, repeats its subscriptions.

paho-mqtt does the protocol; the loop around it is ours, and only its thread touches paho. So publications keep their
order across a reconnect, paho never holds more than the broker's receive maximum, and stopping is prompt.
"""

import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_common.model.errors import HedgerowError
from edge_common.plumbing.mqtt_outbox import MqttOutbox, Outgoing
from edge_common.plumbing.mqtt_types import LastWill, Listener, MqttEndpoint, MqttTuning
from edge_common.plumbing.tls import RenewingContext, renewing_context
from edge_common.plumbing.tls_errors import explain, is_refusal

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 20  # mosquitto's default receive maximum
PACKET_OVERHEAD_BYTES = 64 * 1024  # the longest topic, generously
CREDENTIALS_REFUSED = {133, 134, 135, 138}  # client id not valid, bad user name or password, not authorised, banned
STABLE_AFTER_S = 5.0  # a shorter connection does not reset the back-off
DRAIN_TIMEOUT_S = 1.0
_SYSTEM_RANDOM = SystemRandom()


class MqttTransport:
    """Thread-safe; start and stop it once."""

    def __init__(
        self,
        endpoint: MqttEndpoint,
        client_id: str,
        listener: Listener,
        will: LastWill | None = None,
        tuning: MqttTuning | None = None,
        chance: Callable[[], float] = _SYSTEM_RANDOM.random,
    ) -> None:
        self._endpoint = endpoint
        self._name = client_id
        self._listener = listener
        self._tuning = tuning or MqttTuning()
        self._chance = chance
        self._outbox = MqttOutbox(self._tuning.max_queued, self._tuning.max_queued_bytes, MAX_IN_FLIGHT)
        self._lock = threading.Lock()
        self._filters: dict[str, None] = {}
        self._filter_changes: list[tuple[bool, str]] = []
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._stopping = threading.Event()
        self._hurry = threading.Event()  # ends the wait for the next attempt
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{client_id}", daemon=True)
        self._is_connected = False
        self._is_refused = False
        self._end_reason = ""
        self._last_logged = ""
        self._tls: RenewingContext | None = None
        self._client = self._make_client(will)

    @property
    def is_connected(self) -> bool:
        return self._is_connected

    @property
    def is_refused(self) -> bool:
        return self._is_refused

    def publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> None:
        self._outbox.put(Outgoing(topic, payload, is_retained), self._tuning.max_payload_bytes)
        self._wake()

    def subscribe(self, topics: Sequence[str]) -> None:
        with self._lock:
            self._filters.update(dict.fromkeys(topics))
            self._filter_changes += [(True, topic) for topic in topics]
        self._wake()

    def unsubscribe(self, topics: Sequence[str]) -> None:
        with self._lock:
            for topic in topics:
                self._filters.pop(topic, None)
            self._filter_changes += [(False, topic) for topic in topics]
        self._wake()

    def renew(self, endpoint: MqttEndpoint) -> None:
        """Use these credentials and this address from the next attempt to connect, which follows at once."""
        self._endpoint = endpoint
        self._is_refused = False
        self._hurry.set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._hurry.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(2 * self._tuning.connect_timeout_s + 2 * DRAIN_TIMEOUT_S)  # TCP, then TLS

    def _make_client(self, will: LastWill | None) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._name,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(MAX_IN_FLIGHT)  # has no effect once connected
        client.connect_timeout = self._tuning.connect_timeout_s
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=will.is_retained)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        return client

    def _wake(self) -> None:
        try:
            self._waker.send(b"\0")
        except BlockingIOError:
            return  # it is full of wake-ups already

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began_s = time.monotonic()
            self._end_reason = ""
            try:
                self._connect_and_serve()
            except OSError as error:
                self._end_reason = explain(error, self._broker)
                self._is_refused = is_refusal(error)
            except HedgerowError as error:
                self._end_reason = str(error)
                self._is_refused = False
            except Exception:
                logger.exception("event=mqtt_broken client=%s", self._name)
                self._end_reason = "The MQTT client failed; see the log."
            self._ended()
            failures = 0 if time.monotonic() - began_s >= STABLE_AFTER_S else failures + 1
            self._hurry.wait(self._retry_after_s(failures))
            if not self._stopping.is_set():
                self._hurry.clear()

    @property
    def _broker(self) -> str:
        return f"The broker at {self._endpoint.host}:{self._endpoint.port}"

    def _retry_after_s(self, failures: int) -> float:
        longest_s = min(self._tuning.last_retry_s, self._tuning.first_retry_s * 2.0 ** min(failures, 16))
        return longest_s * (0.5 + self._chance() / 2)

    def _connect_and_serve(self) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._tuning.session_expiry_s
        properties.MaximumPacketSize = self._tuning.max_payload_bytes + PACKET_OVERHEAD_BYTES
        endpoint = self._endpoint
        self._client.username_pw_set(endpoint.username, endpoint.password)
        self._use_tls(endpoint)
        self._client.connect(
            endpoint.host,
            endpoint.port,
            keepalive=self._tuning.keepalive_s,
            clean_start=False,
            properties=properties,
        )
        connection = self._client.socket()
        if connection is not None:
            self._serve(connection)
        failure = self._tls.failure if self._tls is not None else None
        if failure is not None:
            self._end_reason = explain(failure, self._broker)
            self._is_refused = is_refusal(failure)

    def _use_tls(self, endpoint: MqttEndpoint) -> None:
        """paho takes one context and keeps it: once there was TLS there is no way back to plain text."""
        if self._tls is None and endpoint.tls is not None:
            self._tls = renewing_context(endpoint.tls)
            self._client.tls_set_context(self._tls)
        if self._tls is not None:
            self._tls.files = endpoint.tls

    def _serve(self, connection: "SocketLike") -> None:
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        while self._client.socket() is not None:
            if self._stopping.is_set():
                self._say_goodbye(poller, connection)
                return
            self._turn(poller, connection)

    def _turn(self, poller: "select.poll", connection: "SocketLike") -> None:
        """Waits a little for the network or a wake-up, then does what there is to do.

        TLS may hold bytes that it decrypted already: the descriptor is silent about those.
        """
        client = self._client
        descriptor = connection.fileno()
        holds_bytes = isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
        poller.register(descriptor, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        events = dict(poller.poll(0 if holds_bytes else self._tuning.keepalive_s * 250))
        ready = events.get(descriptor, 0)
        if self._woken.fileno() in events:
            self._woken.recv(4_096)
        if holds_bytes or ready & ~select.POLLOUT:
            client.loop_read()
        if ready & select.POLLOUT and client.socket() is not None:
            client.loop_write()
        if client.socket() is not None:
            client.loop_misc()
        if self._is_connected and client.socket() is not None:
            self._change_filters()
            self._feed()

    def _say_goodbye(self, poller: "select.poll", connection: "SocketLike") -> None:
        deadline_s = time.monotonic() + DRAIN_TIMEOUT_S
        while self._is_connected and not self._outbox.is_empty and time.monotonic() < deadline_s:
            if self._client.socket() is None:
                return
            self._turn(poller, connection)
        self._client.disconnect()

    def _ended(self) -> None:
        self._is_connected = False
        reason = self._end_reason or "The connection ended."
        if self._stopping.is_set():
            return
        if reason != self._last_logged:
            logger.warning("event=mqtt_disconnected client=%s reason=%r", self._name, reason)
            self._last_logged = reason
        self._tell(lambda: self._listener.on_disconnected(reason))

    def _tell(self, event: Callable[[], None]) -> None:
        """A listener that fails has had its chance: the broker would send the same message again for ever."""
        try:
            event()
        except Exception:
            logger.exception("event=listener_failed client=%s", self._name)

    def _change_filters(self) -> None:
        with self._lock:
            changes, self._filter_changes = self._filter_changes, []
        for is_wanted, topic in changes:
            if is_wanted:
                self._client.subscribe(topic, options=SubscribeOptions(qos=1))
            else:
                self._client.unsubscribe(topic)

    def _feed(self) -> None:
        while (message := self._outbox.take()) is not None:
            info = self._client.publish(message.topic, message.payload, qos=1, retain=message.is_retained)
            self._outbox.sent(info.mid, message)

    def _on_connect(
        self, _client: Client, _data: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._is_refused = reason.value in CREDENTIALS_REFUSED
        if reason.is_failure:
            self._end_reason = f"The broker refused the connection: {reason}."
            return
        logger.info("event=mqtt_connected client=%s has_session=%s", self._name, flags.session_present)
        self._last_logged = ""
        with self._lock:
            self._filter_changes = [(True, topic) for topic in self._filters]
        self._is_connected = True
        self._tell(lambda: self._listener.on_connected(flags.session_present))

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if not self._end_reason:
            self._end_reason = f"The connection to the broker ended: {reason}."

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self._tell(lambda: self._listener.on_message(message.topic, bytes(message.payload), message.retain))

    def _on_publish(
        self, _client: Client, _data: Any, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        message = self._outbox.done(mid)
        if reason.is_failure and message is not None:
            logger.error("event=publish_refused client=%s topic=%s reason=%s", self._name, message.topic, reason)

    def _on_subscribe(
        self, _client: Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            logger.error("event=subscription_refused client=%s reason=%s", self._name, reasons[0])
