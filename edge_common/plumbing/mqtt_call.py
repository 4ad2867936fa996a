"""One question to an MQTT broker and its answer, over a connection of its own; blocks the calling thread."""

import secrets
import time
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_common.model.errors import Forbidden, HedgerowError, Unreachable
from edge_common.plumbing.mqtt_types import MqttEndpoint
from edge_common.plumbing.tls import renewing_context
from edge_common.plumbing.tls_errors import explain, is_refusal

KEEPALIVE_S = 10


class _Exchange:
    def __init__(self, ask_topic: str, answer_topic: str, payload: bytes, is_answer: Callable[[bytes], bool]) -> None:
        self._ask_topic = ask_topic
        self._answer_topic = answer_topic
        self._payload = payload
        self._is_answer = is_answer
        self.answer: bytes | None = None
        self.error: HedgerowError | None = None

    @property
    def is_over(self) -> bool:
        return self.answer is not None or self.error is not None

    def on_connect(
        self, client: Client, _data: Any, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self.error = Forbidden(f"The broker refused the connection: {reason}.")
        else:
            client.subscribe(self._answer_topic, options=SubscribeOptions(qos=1))

    def on_subscribe(
        self, client: Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if reasons[0].is_failure:
            self.error = Forbidden(f"The broker does not let this user hear {self._answer_topic}.")
        else:
            client.publish(self._ask_topic, self._payload, qos=1)

    def on_publish(
        self, _client: Client, _data: Any, _mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self.error = Forbidden(f"The broker does not let this user publish to {self._ask_topic}.")

    def on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if self._is_answer(bytes(message.payload)):
            self.answer = bytes(message.payload)


def exchange(
    endpoint: MqttEndpoint,
    ask_topic: str,
    answer_topic: str,
    payload: bytes,
    is_answer: Callable[[bytes], bool],
    timeout_s: float,
) -> bytes:
    """Raises Unreachable when no answer came in time, Forbidden when the broker does not let this user, or does not
    accept its certificate."""
    deadline_s = time.monotonic() + timeout_s
    talk = _Exchange(ask_topic, answer_topic, payload, is_answer)
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"{endpoint.username}-call-{secrets.token_hex(8)}",
        protocol=MQTTProtocolVersion.MQTTv5,
    )
    client.username_pw_set(endpoint.username, endpoint.password)
    client.connect_timeout = timeout_s
    client.on_connect = talk.on_connect
    client.on_subscribe = talk.on_subscribe
    client.on_publish = talk.on_publish
    client.on_message = talk.on_message
    tls = renewing_context(endpoint.tls)
    if endpoint.tls is not None:
        client.tls_set_context(tls)
    broker = f"The MQTT broker at {endpoint.host}:{endpoint.port}"
    try:
        client.connect(endpoint.host, endpoint.port, keepalive=KEEPALIVE_S)
        while not talk.is_over and (left_s := deadline_s - time.monotonic()) > 0:
            if client.loop(left_s) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
    except OSError as error:
        raise (Forbidden if is_refusal(error) else Unreachable)(explain(error, broker)) from error
    finally:
        client.disconnect()
    if tls.failure is not None:
        raise Forbidden(explain(tls.failure, broker))
    if talk.error is not None:
        raise talk.error
    if talk.answer is None:
        raise Unreachable(f"{broker} did not answer within {timeout_s:g} s.")
    return talk.answer
