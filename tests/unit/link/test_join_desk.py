"""The join desk on a store and a broker in memory: who gets in, and why the others do not."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_common.link.broker_admin import MemoryBrokerAdmin
from edge_common.link.join_refusals import Ground, JoinRefused
from edge_common.link.join_tokens import JOIN_TOKENS, new_secret
from edge_common.link.members import CHILDREN, DAY_S, joined_children
from edge_common.link.nonces import NONCE_LIFE_S
from edge_common.model.errors import InvalidInput, Overloaded, Unreachable
from edge_common.model.ids import ChildId
from edge_common.plumbing.pki import certificate_end_s, is_issued_by, make_key, matches_key
from edge_common.wire.join_messages import ChildKind, JoinRequest, JoinStatus
from tests.fakes.newcomer import ADDRESS, Child, Parent


class BrokerAway:
    def admit(self, child_id: ChildId, password: str) -> None:
        raise Unreachable("The broker is away.")

    def evict(self, child_id: ChildId) -> None:
        raise Unreachable("The broker is away.")


@pytest.fixture
def parent(tmp_path: Path) -> Parent:
    return Parent(tmp_path)


@pytest.fixture
def child() -> Child:
    return Child()


def refused(parent: Parent, request: JoinRequest, ground: Ground, words: str, log: pytest.LogCaptureFixture) -> None:
    """Turned away with these words, an operator finds why in the log, and nothing came of it."""
    before = parent.admin.passwords.copy(), list(parent.joined), joined_children(parent.documents)
    log.clear()
    with log.at_level(logging.WARNING), pytest.raises(JoinRefused, match=words) as refusal:
        parent.join(request)
    assert refusal.value.ground is ground
    (line,) = [record.getMessage() for record in log.records if "event=join_refused" in record.getMessage()]
    assert f"reason={ground} " in line
    assert f"address={ADDRESS}" in line
    assert "child=" in line
    assert request.token == "" or request.token.split(".")[1:2] == [""] or request.token not in line
    assert (parent.admin.passwords, parent.joined, joined_children(parent.documents)) == before


class TestAdmitted:
    def test_a_good_token_opens_the_broker_and_brings_a_certificate(self, parent: Parent, child: Child) -> None:
        request = replace(child.request(parent.desk.hello(), parent.token()), info={"cpus": 4})
        answer = parent.join(request)
        assert (answer.child_id, answer.status, answer.parent_name) == (child.child_id, JoinStatus.ADMITTED, "garden")
        assert answer.mqtt is not None
        assert (answer.mqtt.host, answer.mqtt.port, answer.mqtt.username) == ("broker.example", 10003, child.child_id)
        assert parent.admin.passwords == {child.child_id: answer.mqtt.password}
        assert matches_key(answer.certificate, child.key)
        assert is_issued_by(answer.certificate, answer.ca)
        assert answer.ca == parent.authority.certificate_pem
        (joined,) = parent.joined
        assert (joined.child_id, joined.name, joined.info, joined.is_new) == (child.child_id, "shed", {"cpus": 4}, True)

    def test_no_token_is_kept_in_the_clear(self, parent: Parent, child: Child) -> None:
        token = parent.token()
        parent.join(child.request(parent.desk.hello(), token))
        assert token.split(".")[1] not in str(parent.documents.find(CHILDREN)) + str(parent.documents.find(JOIN_TOKENS))

    def test_the_same_child_stays_the_same_without_a_token_and_under_another_name(
        self, parent: Parent, child: Child
    ) -> None:
        first = parent.join(child.request(parent.desk.hello(), parent.token()))
        second = parent.join(replace(child, name="greenhouse").request(parent.desk.hello()))
        assert first.mqtt is not None
        assert second.mqtt is not None
        assert second.child_id == first.child_id
        assert second.mqtt.password != first.mqtt.password
        assert [joined.is_new for joined in parent.joined] == [True, False]
        (kept,) = parent.documents.find(CHILDREN)
        assert kept["name"] == "greenhouse"

    def test_a_known_child_needs_no_token_that_is_still_good(self, parent: Parent, child: Child) -> None:
        token = parent.token(max_uses=1)
        parent.join(child.request(parent.desk.hello(), token))
        parent.clock.advance(2 * DAY_S)
        parent.join(child.request(parent.desk.hello(), token))
        assert parent.tokens.records()[0].uses == 1

    def test_a_parent_that_forgot_everything_knows_the_child_again_by_its_id(
        self, parent: Parent, child: Child
    ) -> None:
        first = parent.join(child.request(parent.desk.hello(), parent.token()))
        parent.documents.delete(CHILDREN, first.child_id)
        assert parent.join(child.request(parent.desk.hello(), parent.token())).child_id == first.child_id

    def test_a_join_that_the_broker_missed_may_be_tried_again(self, parent: Parent, child: Child) -> None:
        token = parent.token(max_uses=1)
        away = parent.desk_with(BrokerAway())
        with pytest.raises(Unreachable):
            away.join(child.request(away.hello(), token), ADDRESS)
        assert parent.joined == []
        parent.join(child.request(parent.desk.hello(), token))
        assert len(parent.documents.find(CHILDREN)) == 1
        assert len(parent.joined) == 1

    def test_a_join_of_which_the_links_could_not_hear_may_be_tried_again(self, parent: Parent, child: Child) -> None:
        """Else the child would talk to a parent that takes it for a stranger, until one of them starts anew."""
        token = parent.token(max_uses=1)
        deaf = parent.desk_with(parent.admin, lambda _: False)
        with pytest.raises(Overloaded, match="try again"):
            deaf.join(child.request(deaf.hello(), token), ADDRESS)
        assert parent.join(child.request(parent.desk.hello(), token)).status is JoinStatus.ADMITTED

    def test_within_the_grace_its_key_brings_a_child_back_and_renews_its_certificate(
        self, parent: Parent, child: Child
    ) -> None:
        first = parent.join(child.request(parent.desk.hello(), parent.token()))
        parent.clock.advance((30 + 364) * DAY_S)
        assert certificate_end_s(first.certificate) < parent.clock.now_s()
        second = parent.join(child.request(parent.desk.hello()))
        assert certificate_end_s(second.certificate) > parent.clock.now_s()


class TestRefused:
    def test_without_a_token_where_there_is_no_waiting_room(
        self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture
    ) -> None:
        refused(parent, child.request(parent.desk.hello()), Ground.ROOM_CLOSED, "needs a join token", caplog)

    @pytest.mark.parametrize("token", ["nonsense", f"ab.{'x' * 43}", "a.b.c"])
    def test_a_wrong_token(self, parent: Parent, child: Child, token: str, caplog: pytest.LogCaptureFixture) -> None:
        refused(parent, child.request(parent.desk.hello(), token), Ground.WRONG_TOKEN, "not one of this parent", caplog)

    def test_a_token_with_another_secret(self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture) -> None:
        token = f"{parent.token().partition('.')[0]}.{new_secret()}"
        refused(parent, child.request(parent.desk.hello(), token), Ground.WRONG_TOKEN, "not one of this parent", caplog)

    def test_an_expired_token(self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture) -> None:
        token = parent.token(life_s=60)
        parent.clock.advance(60)
        refused(parent, child.request(parent.desk.hello(), token), Ground.EXPIRED_TOKEN, "has expired", caplog)

    def test_a_revoked_token(self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture) -> None:
        token = parent.token()
        parent.tokens.revoke(token.partition(".")[0])
        refused(parent, child.request(parent.desk.hello(), token), Ground.REVOKED_TOKEN, "was revoked", caplog)

    def test_a_rotated_token(self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture) -> None:
        token = parent.token()
        renewed, _ = parent.tokens.rotate(token.partition(".")[0])
        refused(parent, child.request(parent.desk.hello(), token), Ground.WRONG_TOKEN, "not one of this parent", caplog)
        assert parent.join(child.request(parent.desk.hello(), str(renewed)))

    def test_a_token_that_is_used_up(self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture) -> None:
        token = parent.token(max_uses=1)
        parent.join(Child().request(parent.desk.hello(), token))
        refused(parent, child.request(parent.desk.hello(), token), Ground.USED_UP_TOKEN, "as often as it may", caplog)

    def test_another_kind(self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture) -> None:
        request = child.request(parent.desk.hello(), parent.token(), kind=ChildKind.CLUSTER)
        refused(parent, request, Ground.WRONG_KIND, "node joins garden here, not a cluster", caplog)

    def test_a_nonce_that_is_too_old(self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture) -> None:
        request = child.request(parent.desk.hello(), parent.token())
        parent.clock.advance(NONCE_LIFE_S + 1)
        refused(parent, request, Ground.STALE_NONCE, "older than 60 s", caplog)

    @pytest.mark.parametrize("nonce", ["", ".", "..", "0.0.0", "zz.1.2", "\N{SNOWMAN}.1.2", "1" * 500])
    def test_a_nonce_of_nobody(
        self, parent: Parent, child: Child, nonce: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        hello = replace(parent.desk.hello(), nonce=nonce)
        refused(parent, child.request(hello, parent.token()), Ground.STALE_NONCE, "not from here", caplog)

    def test_a_recorded_request(self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture) -> None:
        request = child.request(parent.desk.hello(), parent.token())
        parent.join(request)
        refused(parent, request, Ground.REPLAYED, "good for one time only", caplog)

    def test_who_claims_anothers_id_with_the_others_certificate_request(
        self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture
    ) -> None:
        parent.join(child.request(parent.desk.hello(), parent.token()))
        thief = Child()
        request = thief.request(parent.desk.hello(), csr_of=child.key)
        refused(parent, request, Ground.BAD_PROOF, "not a signature", caplog)
        assert child.child_id in caplog.text

    def test_whose_id_belongs_to_another_key(
        self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture
    ) -> None:
        parent.members.admit(child.child_id, ChildKind.NODE, "shed", "0" * 64, "operator")
        refused(parent, child.request(parent.desk.hello()), Ground.ANOTHERS_ID, "belongs to another key", caplog)

    @pytest.mark.parametrize("change", [{"name": "x"}, {"token": "y"}, {"kind": ChildKind.CLUSTER}, {"proof": "AAAA"}])
    def test_a_request_that_was_changed_on_the_way(
        self, parent: Parent, child: Child, change: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        request = replace(child.request(parent.desk.hello(), parent.token()), **change)
        refused(parent, request, Ground.BAD_PROOF, "not a signature", caplog)

    def test_a_request_that_was_made_for_another_parent(
        self, parent: Parent, child: Child, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = Parent(tmp_path / "other")
        hello = replace(parent.desk.hello(), ca=other.authority.certificate_pem)
        refused(parent, child.request(hello, parent.token()), Ground.BAD_PROOF, "not a signature", caplog)

    def test_a_forgotten_child(self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture) -> None:
        parent.join(child.request(parent.desk.hello(), parent.token()))
        parent.doors.forget(child.child_id, is_forced=False)
        refused(parent, child.request(parent.desk.hello()), Ground.FORGOTTEN, "operator forgot", caplog)
        assert parent.join(child.request(parent.desk.hello(), parent.token())).status is JoinStatus.ADMITTED
        assert [joined.is_new for joined in parent.joined] == [True, True]

    def test_who_comes_after_the_grace(self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture) -> None:
        parent.join(child.request(parent.desk.hello(), parent.token()))
        parent.clock.advance((30 + 366) * DAY_S)
        refused(parent, child.request(parent.desk.hello()), Ground.GRACE_OVER, "ended too long ago", caplog)
        assert parent.join(child.request(parent.desk.hello(), parent.token())).status is JoinStatus.ADMITTED

    def test_what_is_no_certificate_request(self, parent: Parent, child: Child) -> None:
        with pytest.raises(InvalidInput, match="certificate signing request"):
            parent.join(replace(child.request(parent.desk.hello()), csr="nonsense"))

    def test_who_is_forgotten_while_joining(self, parent: Parent, child: Child) -> None:
        parent.join(child.request(parent.desk.hello(), parent.token()))
        desk = parent.desk_with(parent.admin, lambda joined: parent.doors.forget(joined.child_id, is_forced=True))
        with pytest.raises(JoinRefused) as refusal:
            desk.join(child.request(desk.hello()), ADDRESS)
        assert refusal.value.ground is Ground.FORGOTTEN
        assert parent.admin.passwords == {}
        assert parent.dropped == [child.child_id, child.child_id]


class TestWaitingRoom:
    @pytest.fixture
    def parent(self, tmp_path: Path) -> Parent:
        return Parent(tmp_path, is_room_open=True)

    def test_waits_until_an_operator_admits_it(self, parent: Parent, child: Child) -> None:
        for _ in range(2):
            answer = parent.join(child.request(parent.desk.hello()))
            assert (answer.status, answer.mqtt, answer.certificate) == (JoinStatus.WAITING, None, "")
        assert parent.admin.passwords == {}
        (newcomer,) = parent.room.newcomers()
        assert (newcomer.child_id, newcomer.name, newcomer.address) == (child.child_id, "shed", ADDRESS)
        parent.doors.answer("admit", {"child": child.child_id})
        assert parent.room.newcomers() == []
        assert parent.join(child.request(parent.desk.hello())).status is JoinStatus.ADMITTED

    def test_who_was_refused_is_told_so_for_a_day(
        self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture
    ) -> None:
        parent.join(child.request(parent.desk.hello()))
        parent.doors.answer("refuse", {"child": child.child_id})
        refused(parent, child.request(parent.desk.hello()), Ground.TURNED_DOWN, "operator refused", caplog)
        parent.clock.advance(DAY_S)
        assert parent.join(child.request(parent.desk.hello())).status is JoinStatus.WAITING

    def test_a_bad_token_does_not_lead_into_the_waiting_room(
        self, parent: Parent, child: Child, caplog: pytest.LogCaptureFixture
    ) -> None:
        refused(parent, child.request(parent.desk.hello(), "x"), Ground.WRONG_TOKEN, "not one of this parent", caplog)
        assert parent.room.newcomers() == []

    def test_a_token_helps_who_waits(self, parent: Parent, child: Child) -> None:
        parent.join(child.request(parent.desk.hello()))
        assert parent.join(child.request(parent.desk.hello(), parent.token())).status is JoinStatus.ADMITTED
        assert parent.room.newcomers() == []

    @pytest.mark.parametrize("is_forgotten", [True, False])
    def test_a_forgotten_child_and_one_past_its_grace_wait_like_any_other(
        self, parent: Parent, child: Child, is_forgotten: bool
    ) -> None:
        parent.join(child.request(parent.desk.hello(), parent.token()))
        if is_forgotten:
            parent.doors.forget(child.child_id, is_forced=False)
        else:
            parent.clock.advance((30 + 366) * DAY_S)
        assert parent.join(child.request(parent.desk.hello())).status is JoinStatus.WAITING
        parent.doors.answer("admit", {"child": child.child_id})
        assert parent.join(child.request(parent.desk.hello())).status is JoinStatus.ADMITTED


def test_a_key_of_another_child_gets_no_certificate(parent: Parent, child: Child) -> None:
    parent.join(child.request(parent.desk.hello(), parent.token()))
    with pytest.raises(InvalidInput, match="not of the key of child"):
        parent.members.certify(child.child_id, make_key().make_csr())


def test_the_memory_broker_forgets() -> None:
    admin = MemoryBrokerAdmin()
    admin.admit(ChildId("a"), "secret")
    admin.evict(ChildId("a"))
    assert admin.passwords == {}
