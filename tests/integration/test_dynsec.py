"""What mosquitto lets a child do: with its own topics everything it needs, with all others nothing."""

import json
from collections.abc import Iterator

import pytest
from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_common.link.broker_roles import CONTROL_ANSWERS, CONTROL_TOPIC
from edge_common.link.dynsec import DynsecAdmin
from edge_common.model.errors import Forbidden, Unreachable
from edge_common.model.ids import ChildId
from edge_common.plumbing.mqtt_types import MqttEndpoint
from tests.parts.mosquitto import Mosquitto, private_mosquitto
from tests.support import eventually, free_port

pytestmark = pytest.mark.real

OWN = "hedgerow/v1/link/child-1"
OTHER = "hedgerow/v1/link/child-2"
CHILD = ChildId("child-1")
SUCCESS, GRANTED_QOS_1, NO_SUBSCRIBERS, NOT_AUTHORIZED = 0, 1, 16, 135


class Probe:
    """A bare client that tells the broker's answers as they are."""

    def __init__(self, endpoint: MqttEndpoint, client_id: str) -> None:
        self.connect_code: int | None = None
        self.codes: dict[int, int] = {}
        self.messages: list[tuple[str, bytes]] = []
        self._client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set(endpoint.username, endpoint.password)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda _c, _d, mid, reasons, _p: self.codes.update({mid: reasons[0].value})
        self._client.on_publish = lambda _c, _d, mid, reason, _p: self.codes.update({mid: reason.value})
        self._client.on_message = lambda _c, _d, m: self.messages.append((m.topic, bytes(m.payload)))
        self._client.connect(endpoint.host, endpoint.port)
        self._until(lambda: self.connect_code is not None)

    def subscribe(self, topic: str) -> int:
        _, mid = self._client.subscribe(topic, options=SubscribeOptions(qos=1))
        return self._code(mid)

    def publish(self, topic: str, payload: bytes = b"x") -> int:
        return self._code(self._client.publish(topic, payload, qos=1).mid)

    def hear(self) -> list[tuple[str, bytes]]:
        self._until(lambda: bool(self.messages))
        return self.messages

    def is_cut_off(self) -> bool:
        return self._client.loop(0.01) != MQTTErrorCode.MQTT_ERR_SUCCESS

    def close(self) -> None:
        self._client.disconnect()

    def _code(self, mid: int | None) -> int:
        assert mid is not None
        self._until(lambda: mid in self.codes)
        return self.codes[mid]

    def _until(self, condition: object) -> None:
        def step() -> bool:
            self._client.loop(0.05)
            return bool(condition()) if callable(condition) else False

        eventually(step, interval_s=0.0)

    def _on_connect(self, _c: Client, _d: object, _f: ConnectFlags, reason: ReasonCode, _p: object) -> None:
        self.connect_code = reason.value


@pytest.fixture(scope="module")
def mosquitto() -> Iterator[Mosquitto]:
    with private_mosquitto() as broker:
        broker.admin.admit(CHILD, "secret")
        broker.admin.admit(ChildId("child-2"), "secret-2")
        yield broker


@pytest.fixture
def child(mosquitto: Mosquitto) -> Iterator[Probe]:
    probe = Probe(mosquitto.endpoint(CHILD, "secret"), CHILD)
    yield probe
    probe.close()


@pytest.fixture
def parent(mosquitto: Mosquitto) -> Iterator[Probe]:
    probe = Probe(mosquitto.endpoint("cluster"), "a-parent")
    yield probe
    probe.close()


class TestChild:
    @pytest.mark.parametrize("word", ["report", "presence", "response"])
    def test_may_publish_what_it_has_to_say(self, child: Probe, word: str) -> None:
        assert child.publish(f"{OWN}/{word}") in {SUCCESS, NO_SUBSCRIBERS}

    @pytest.mark.parametrize(
        "topic",
        [
            f"{OWN}/desired",
            f"{OWN}/desired/web",
            f"{OWN}/request",
            OWN,
            f"{OWN}/report/deeper",
            f"{OWN}/anything",
            f"{OTHER}/report",
            f"{OTHER}/presence",
            f"{OTHER}/desired",
            f"{OTHER}/request",
            CONTROL_TOPIC,
            CONTROL_ANSWERS,
            "$SYS/broker/uptime",
            "elsewhere",
        ],
    )
    def test_may_publish_nowhere_else(self, child: Probe, topic: str) -> None:
        assert child.publish(topic) == NOT_AUTHORIZED

    @pytest.mark.parametrize("word", ["desired", "desired/#", "desired/+", "desired/web", "request"])
    def test_may_hear_what_it_is_to_do(self, child: Probe, word: str) -> None:
        assert child.subscribe(f"{OWN}/{word}") == GRANTED_QOS_1

    @pytest.mark.parametrize(
        "topic",
        [
            "#",
            "+/#",
            "hedgerow/#",
            "hedgerow/v1/link/#",
            "hedgerow/v1/link/+/desired",
            "hedgerow/v1/link/+/desired/#",
            f"{OWN}/#",
            f"{OWN}/+",
            f"{OWN}/report",
            f"{OTHER}/desired",
            f"{OTHER}/desired/#",
            f"{OTHER}/request",
            f"{OTHER}/report",
            f"{OTHER}/#",
            "$SYS/#",
            "$CONTROL/#",
            "$CONTROL/dynamic-security/#",
            CONTROL_ANSWERS,
            f"$share/group/{OTHER}/desired",
            "$share/group/#",
        ],
    )
    def test_may_hear_nothing_else(self, child: Probe, topic: str) -> None:
        assert child.subscribe(topic) == NOT_AUTHORIZED

    def test_may_not_use_anothers_client_id(self, mosquitto: Mosquitto) -> None:
        assert Probe(mosquitto.endpoint(CHILD, "secret"), "child-2").connect_code == NOT_AUTHORIZED
        assert Probe(mosquitto.endpoint(CHILD, "secret"), "root").connect_code == NOT_AUTHORIZED

    @pytest.mark.parametrize(("user", "password"), [(CHILD, "wrong"), (CHILD, ""), ("nobody", "secret")])
    def test_needs_its_own_password(self, mosquitto: Mosquitto, user: str, password: str) -> None:
        assert Probe(mosquitto.endpoint(user, password), user).connect_code == NOT_AUTHORIZED


class TestParent:
    def test_talks_with_its_children(self, parent: Probe, child: Probe) -> None:
        assert parent.subscribe("hedgerow/v1/link/+/report") == GRANTED_QOS_1
        assert child.subscribe(f"{OWN}/desired/#") == GRANTED_QOS_1
        assert parent.publish(f"{OWN}/desired", b"do") == SUCCESS
        assert child.hear() == [(f"{OWN}/desired", b"do")]
        assert child.publish(f"{OWN}/report", b"done") == SUCCESS
        assert parent.hear() == [(f"{OWN}/report", b"done")]

    @pytest.mark.parametrize("topic", ["#", "hedgerow/#", "$SYS/#", "elsewhere"])
    def test_hears_nothing_but_links(self, parent: Probe, topic: str) -> None:
        assert parent.subscribe(topic) == NOT_AUTHORIZED


class TestDynsecAdmin:
    def test_admitting_again_changes_the_password_and_ends_the_old_connection(self, mosquitto: Mosquitto) -> None:
        child_id = ChildId("child-3")
        mosquitto.admin.admit(child_id, "first")
        old = Probe(mosquitto.endpoint(child_id, "first"), child_id)
        mosquitto.admin.admit(child_id, "second")
        eventually(old.is_cut_off)
        assert Probe(mosquitto.endpoint(child_id, "first"), child_id).connect_code == NOT_AUTHORIZED
        assert Probe(mosquitto.endpoint(child_id, "second"), child_id).connect_code == SUCCESS

    def test_the_evicted_are_out_at_once_and_evicting_again_is_harmless(self, mosquitto: Mosquitto) -> None:
        child_id = ChildId("child-4")
        mosquitto.admin.admit(child_id, "secret")
        probe = Probe(mosquitto.endpoint(child_id, "secret"), child_id)
        mosquitto.admin.evict(child_id)
        mosquitto.admin.evict(child_id)
        eventually(probe.is_cut_off)
        assert Probe(mosquitto.endpoint(child_id, "secret"), child_id).connect_code == NOT_AUTHORIZED

    def test_an_admission_survives_kill_9_of_the_broker(self) -> None:
        with private_mosquitto() as broker:
            broker.admin.admit(CHILD, "secret")
            broker.kill()
            broker.start()
            assert Probe(broker.endpoint(CHILD, "secret"), CHILD).connect_code == SUCCESS

    def test_a_child_is_no_admin(self, mosquitto: Mosquitto) -> None:
        with pytest.raises(Forbidden, match="refused"):
            DynsecAdmin(mosquitto.endpoint(CHILD, "secret")).admit(CHILD, "mine")

    def test_a_wrong_password_is_told(self, mosquitto: Mosquitto) -> None:
        with pytest.raises(Forbidden, match="refused the connection"):
            DynsecAdmin(mosquitto.endpoint("root", "wrong")).evict(CHILD)

    def test_a_broker_that_is_away_is_told(self) -> None:
        nowhere = MqttEndpoint("127.0.0.1", free_port(), "root", "x")
        with pytest.raises(Unreachable, match="unreachable"):
            DynsecAdmin(nowhere, timeout_s=1).evict(CHILD)

    def test_no_password_is_kept_in_the_clear(self, mosquitto: Mosquitto) -> None:
        kept = (mosquitto.data_dir / "dynamic-security.json").read_text()
        assert "root-password" not in kept
        assert "secret" not in json.dumps(json.loads(kept)["clients"])
