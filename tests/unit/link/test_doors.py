"""What an operator may ask about who comes in, and what each answer does."""

from pathlib import Path
from typing import Any

import pytest

from edge_common.link.broker_admin import MemoryBrokerAdmin
from edge_common.link.entrance import entrance_settings, parent_address
from edge_common.link.members import CHILDREN, DAY_S, KEEP_FORGOTTEN_S, joined_children
from edge_common.model.errors import Conflict, InvalidInput, NotFound, Unreachable
from edge_common.model.ids import ChildId
from edge_common.wire.join_messages import ChildKind
from tests.fakes.newcomer import Child, Parent


class Moody(MemoryBrokerAdmin):
    is_away = False

    def evict(self, child_id: ChildId) -> None:
        if self.is_away:
            raise Unreachable("The broker is away.")
        super().evict(child_id)


@pytest.fixture
def parent(tmp_path: Path) -> Parent:
    return Parent(tmp_path, is_room_open=True)


@pytest.fixture
def child(parent: Parent) -> Child:
    made = Child()
    parent.join(made.request(parent.desk.hello(), parent.token()))
    return made


class TestForget:
    def test_one_that_is_there_only_by_force(self, parent: Parent, child: Child) -> None:
        parent.ready.add(child.child_id)
        with pytest.raises(Conflict, match=r"^Node shed is there and ready"):
            parent.doors.answer("forget", {"child": "shed"})
        assert joined_children(parent.documents) == [child.child_id]
        answer = parent.doors.answer("forget", {"child": "shed", "is_forced": True})
        assert answer == {"child_id": child.child_id, "name": "shed"}
        assert joined_children(parent.documents) == []
        assert parent.admin.passwords == {}
        assert parent.dropped == [child.child_id]

    def test_one_that_is_away_at_once_by_id_or_name(self, parent: Parent, child: Child) -> None:
        parent.doors.answer("forget", {"child": child.child_id})
        assert parent.dropped == [child.child_id]

    def test_what_the_broker_missed_is_completed_when_asked_again(self, tmp_path: Path) -> None:
        admin = Moody()
        parent, child = Parent(tmp_path, admin=admin), Child()
        parent.join(child.request(parent.desk.hello(), parent.token()))
        admin.is_away = True
        with pytest.raises(Unreachable):
            parent.doors.answer("forget", {"child": "shed"})
        assert parent.dropped == []
        admin.is_away = False
        parent.doors.answer("forget", {"child": "shed"})
        assert admin.passwords == {}
        assert parent.dropped == [child.child_id]

    def test_a_name_means_the_one_that_is_there(self, parent: Parent, child: Child) -> None:
        parent.doors.answer("forget", {"child": "shed"})
        other = Child()
        parent.join(other.request(parent.desk.hello(), parent.token()))
        assert parent.doors.answer("forget", {"child": "shed"})["child_id"] == other.child_id

    def test_a_name_that_two_have_is_refused(self, parent: Parent, child: Child) -> None:
        parent.join(Child().request(parent.desk.hello(), parent.token()))
        with pytest.raises(InvalidInput, match="2 are called 'shed'"):
            parent.doors.answer("forget", {"child": "shed"})
        assert child.child_id in joined_children(parent.documents)

    def test_one_that_is_unknown(self, parent: Parent) -> None:
        with pytest.raises(NotFound):
            parent.doors.answer("forget", {"child": "nobody"})

    def test_marks_go_after_a_year(self, parent: Parent, child: Child) -> None:
        parent.doors.answer("forget", {"child": child.child_id})
        parent.clock.advance(KEEP_FORGOTTEN_S + DAY_S)
        parent.join(Child(name="barn").request(parent.desk.hello(), parent.token()))
        parent.doors.answer("forget", {"child": "barn"})
        assert parent.documents.get(CHILDREN, child.child_id) is None


class TestTokens:
    def test_life_of_one(self, parent: Parent) -> None:
        made = parent.doors.answer("join_tokens", {"action": "create", "life_s": 3_600.0, "max_uses": 2, "note": "n"})
        assert made["token"].startswith(f"{made['token_id']}.")
        assert made["token"].endswith(parent.authority.fingerprint)
        (listed,) = parent.doors.answer("join_tokens", {"action": "list"})["tokens"]
        assert "token" not in listed
        assert (listed["state"], listed["max_uses"], listed["note"]) == ("good", 2, "n")
        rotated = parent.doors.answer("join_tokens", {"action": "rotate", "token_id": made["token_id"]})
        assert rotated["token"] != made["token"]
        revoked = parent.doors.answer("join_tokens", {"action": "revoke", "token_id": made["token_id"]})
        assert revoked["state"] == "revoked"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "action"),
            ({"action": "steal"}, "action"),
            ({"action": "create", "life_s": 1.0}, "life_s"),
            ({"action": "create", "life_s": 1e12}, "life_s"),
            ({"action": "create", "max_uses": 0}, "max_uses"),
            ({"action": "create", "note": "x" * 257}, "note"),
            ({"action": "create", "note": "a\nb"}, "note"),
            ({"action": 7}, "action"),
        ],
    )
    def test_nonsense_is_refused(self, parent: Parent, body: dict[str, Any], field: str) -> None:
        with pytest.raises(InvalidInput) as refusal:
            parent.doors.answer("join_tokens", body)
        assert refusal.value.field == field


def test_an_unknown_question_is_refused(parent: Parent) -> None:
    with pytest.raises(InvalidInput, match="no question"):
        parent.doors.answer("open_sesame", {})


def test_refused_newcomers_are_shown_until_they_may_ask_again(parent: Parent) -> None:
    newcomer = Child()
    parent.join(newcomer.request(parent.desk.hello()))
    parent.doors.answer("refuse", {"child": newcomer.child_id})
    (shown,) = parent.doors.answer("waiting", {})["newcomers"]
    assert (shown["state"], shown["refused_until"]) == ("refused", parent.clock.now_s() + DAY_S)
    assert parent.doors.answer("admit", {"child": newcomer.child_id})["state"] == "admitted"


@pytest.mark.parametrize(
    ("mode", "host", "is_open"),
    [
        ("auto", "127.0.0.1", False),
        ("auto", "::1", False),
        ("auto", "0.0.0.0", True),
        ("auto", "192.0.2.1", True),
        ("on", "127.0.0.1", True),
        ("off", "192.0.2.1", False),
    ],
)
def test_the_waiting_room_follows_the_address(tmp_path: Path, mode: str, host: str, is_open: bool) -> None:
    assert entrance_settings(ChildKind.NODE, tmp_path, host, mode, DAY_S).is_room_open is is_open


def test_a_mode_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="auto, on, off"):
        entrance_settings(ChildKind.NODE, tmp_path, "127.0.0.1", "sometimes", DAY_S)


@pytest.mark.parametrize(
    ("child_host", "tls", "host", "is_tls"),
    [
        ("", "auto", "127.0.0.1", False),
        ("", "on", "127.0.0.1", True),
        ("broker.example", "auto", "broker.example", True),
    ],
)
def test_children_are_told_where_the_broker_is_and_whether_it_speaks_tls(
    child_host: str, tls: str, host: str, is_tls: bool
) -> None:
    address = parent_address("garden", "127.0.0.1", 10003, child_host, 0, tls)
    assert (address.mqtt_host, address.mqtt_port, address.is_tls) == (host, 10003, is_tls)
