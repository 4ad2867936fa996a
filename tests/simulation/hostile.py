"""A child with valid credentials that says anything at all on its own topics."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from edge_common.link.memory_broker import MemoryBroker
from edge_common.link.memory_faults import Packet
from edge_common.model.ids import ChildId
from edge_common.model.lifecycle import Reason, State
from edge_common.wire import topics

MAX_DEPTH = 5
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, -2.5, 1e308, 2**31, 2**63, 2**70),
    *("", "x", "ä" * 300, "\ud800", "../../etc", "$share/a/#", "+", "#", "9" * 400),
    *([], {}, [[]], [None], {"v": 2}, {"": ""}, [1, "a", None]),
)


@dataclass(slots=True)
class Hostile:
    """`names` are ids that it may know of: instances, services, children, whosever they are."""

    random: Random
    broker: MemoryBroker
    child_id: ChildId
    names: Sequence[str]
    heard: list[bytes] = field(default_factory=list)

    def attack(self) -> None:
        topic = self.random.choice(topics.heard_by_parent(self.child_id))
        makers: Sequence[Callable[[str], bytes]] = (self._noise, self._damaged, self._changed, self._crafted)
        payload = self.random.choice(makers)(topic)
        self.broker.send(Packet(self.child_id, True, topic, payload, self.random.random() < 0.2))

    def _noise(self, topic: str) -> bytes:
        del topic
        return self.random.randbytes(self.random.choice((0, 1, 10, 500)))

    def _damaged(self, topic: str) -> bytes:
        payload = bytearray(self._valid(topic))
        for _ in range(self.random.choice((1, 2, 8))):
            payload[self.random.randrange(len(payload))] = self.random.randrange(256)
        return bytes(payload[: self.random.choice((len(payload), len(payload), len(payload) // 2))])

    def _changed(self, topic: str) -> bytes:
        message = json.loads(self._valid(topic))
        for _ in range(self.random.choice((1, 1, 2, 4))):
            message = self._with_change(message, 0)
        return json.dumps(message).encode()

    def _crafted(self, topic: str) -> bytes:
        return self._valid(topic)

    def _valid(self, topic: str) -> bytes:
        """Of the right shape for the topic, about anybody's instances."""
        if topic == topics.report(self.child_id):
            return json.dumps(self._report()).encode()
        if topic == topics.presence(self.child_id):
            online = self.random.random() < 0.7
            return json.dumps({"v": 1, "is_online": online, "boot_id": self._boot()}).encode()
        answer = {"v": 1, "request_id": self._name(), "body": {self._name(): self._odd()}, "error": "", "message": ""}
        return json.dumps(answer).encode()

    def _report(self) -> dict[str, Any]:
        report: dict[str, Any] = {
            "v": 1,
            "boot_id": self._boot(),
            "sequence": self.random.choice((1, 2, 3, 100, 2**40)),
            "acked_revision": self.random.choice((0, 1, 5, 2**40)),
            "is_full": self.random.random() < 0.5,
            "observations": [self._observation() for _ in range(self.random.choice((0, 1, 5, 30)))],
        }
        if self.random.random() < 0.3:
            report["node"] = {"node_id": self._name(), "name": self._name(), "capacity": {"cpu_millis": 10**9}}
        if self.random.random() < 0.3:
            report["cluster"] = {"cluster_id": self._name(), "name": self._name()}
        if self.random.random() < 0.2:
            report["summary"] = {"pools": [{"count": -5}], "instance_count": -1, "counted_revision": 2**50}
        return report

    def _observation(self) -> dict[str, Any]:
        return {
            "instance_id": self._name(),
            "service_id": self._name(),
            "instance_number": self.random.choice((0, 1, 2, -1, 99)),
            "state": self.random.choice(list(State)).value,
            "attempt": self.random.choice((0, 1, 7, 2**40)),
            "succession": self.random.choice((0, 1, 9)),
            "reason": self.random.choice(list(Reason)).value,
            "node_id": self._name(),
            "changed_at_s": self.random.choice((0.0, 1e12)),
        }

    def _with_change(self, value: Any, depth: int) -> Any:
        if depth < MAX_DEPTH and isinstance(value, dict) and value and self.random.random() < 0.8:
            key = self.random.choice(sorted(value))
            if self.random.random() < 0.15:
                return {name: each for name, each in value.items() if name != key}
            return {**value, key: self._with_change(value[key], depth + 1)}
        if depth < MAX_DEPTH and isinstance(value, list) and value and self.random.random() < 0.8:
            place = self.random.randrange(len(value))
            return [*value[:place], self._with_change(value[place], depth + 1), *value[place + 1 :]]
        return self._odd()

    def _odd(self) -> Any:
        return self._name() if self.random.random() < 0.3 else self.random.choice(ODD_VALUES)

    def _name(self) -> str:
        return self.random.choice((*self.names, self.child_id))

    def _boot(self) -> str:
        return self.random.choice(("0001", "0002", "zz", ""))
