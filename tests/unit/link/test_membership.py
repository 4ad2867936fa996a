"""When a child joins again although it has an identity."""

from pathlib import Path

from edge_common.link.identity import Identity, IdentityFiles
from edge_common.link.membership import ASK_AGAIN_S, Membership
from edge_common.model.errors import Unreachable
from edge_common.model.ids import ChildId
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.mqtt_types import MqttEndpoint
from edge_common.plumbing.tls import TlsFiles
from edge_common.wire.join_messages import MqttAccess

MOVED = MqttAccess("10.0.0.2", 1, "child", "secret")


class Door:
    """A transport that is connected, refused or neither, as a test says."""

    def __init__(self) -> None:
        self.is_connected = False
        self.is_refused = False
        self.renewed: list[MqttEndpoint] = []

    def renew(self, endpoint: MqttEndpoint) -> None:
        self.renewed.append(endpoint)


class Parent:
    def __init__(self) -> None:
        self.asked = 0
        self.is_there = True

    def join(self) -> Identity:
        self.asked += 1
        if not self.is_there:
            raise Unreachable("nobody there")
        return Identity(ChildId("child"), "parent", MOVED, 0.0, 1e12, TlsFiles(Path("ca.pem")))


def test_a_child_that_is_alone_for_long_asks_where_the_broker_is(tmp_path: Path) -> None:
    clock, parent, door = FakeClock(), Parent(), Door()
    membership = Membership(parent.join, IdentityFiles(tmp_path), clock, lambda: 0.5)
    clock.advance(ASK_AGAIN_S * 1.4)
    membership.look(door)
    assert parent.asked == 0
    clock.advance(ASK_AGAIN_S * 0.2)
    membership.look(door)
    assert [endpoint.host for endpoint in door.renewed] == ["10.0.0.2"]
    membership.look(door)
    assert parent.asked == 1


def test_a_parent_that_is_away_is_asked_once_each_time(tmp_path: Path) -> None:
    clock, parent, door = FakeClock(), Parent(), Door()
    parent.is_there = False
    membership = Membership(parent.join, IdentityFiles(tmp_path), clock, lambda: 0.0)
    for _ in range(3):
        clock.advance(ASK_AGAIN_S)
        membership.look(door)
    assert parent.asked == 3
    assert door.renewed == []


def test_a_child_that_is_connected_asks_nothing(tmp_path: Path) -> None:
    clock, parent, door = FakeClock(), Parent(), Door()
    membership = Membership(parent.join, IdentityFiles(tmp_path), clock, lambda: 0.0)
    door.is_connected = True
    clock.advance(ASK_AGAIN_S * 10)
    membership.look(door)
    door.is_connected = False
    membership.look(door)
    assert parent.asked == 0


def test_a_child_that_is_refused_joins_at_once(tmp_path: Path) -> None:
    clock, parent, door = FakeClock(), Parent(), Door()
    membership = Membership(parent.join, IdentityFiles(tmp_path), clock, lambda: 0.0)
    door.is_refused = True
    membership.look(door)
    assert parent.asked == 1
    assert len(door.renewed) == 1
