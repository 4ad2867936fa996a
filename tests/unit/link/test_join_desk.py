"""The join desk on a store and a broker in memory."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge_common.link.broker_admin import MemoryBrokerAdmin
from edge_common.link.join_desk import CHILDREN, JOIN_TOKENS, Joined, ParentAddress, TokenJoinDesk
from edge_common.link.join_tokens import child_id_of, new_secret, new_token
from edge_common.model.errors import Broken, Unauthenticated, Unreachable
from edge_common.model.ids import ChildId
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.open import open_documents
from edge_common.wire.join_messages import ChildKind, JoinRequest


class BrokerAway:
    def admit(self, child_id: ChildId, password: str) -> None:
        raise Unreachable("The broker is away.")

    def evict(self, child_id: ChildId) -> None:
        raise Unreachable("The broker is away.")


class Parent:
    def __init__(self, folder: Path) -> None:
        self.documents = open_documents("memory:")
        self.admin = MemoryBrokerAdmin()
        self.joined: list[Joined] = []
        self.address = ParentAddress("garden", "broker.example", 10003)
        self.desk = TokenJoinDesk(self.documents, self.admin, self.address, self.joined.append, FakeClock())
        self.token_file = folder / "join-token"
        self.desk.ensure_token(self.token_file, ChildKind.NODE)

    @property
    def token(self) -> str:
        return self.token_file.read_text()

    def request(self, name: str = "shed", token: str | None = None) -> JoinRequest:
        return JoinRequest(ChildKind.NODE, name, new_secret(), self.token if token is None else token)


@pytest.fixture
def parent(tmp_path: Path) -> Parent:
    return Parent(tmp_path)


class TestAdmit:
    def test_a_good_token_opens_the_broker(self, parent: Parent) -> None:
        request = replace(parent.request(), info={"cpus": 4})
        answer = parent.desk.admit(request)
        assert answer.child_id == child_id_of(request.secret) == answer.mqtt.username
        assert (answer.parent_name, answer.mqtt.host, answer.mqtt.port) == ("garden", "broker.example", 10003)
        assert parent.admin.passwords == {answer.child_id: answer.mqtt.password}
        assert parent.joined == [Joined(answer.child_id, ChildKind.NODE, "shed", {"cpus": 4}, True)]

    def test_no_secret_and_no_token_is_kept_in_the_clear(self, parent: Parent) -> None:
        request = parent.request()
        parent.desk.admit(request)
        kept = str(parent.documents.find(CHILDREN)) + str(parent.documents.find(JOIN_TOKENS))
        assert request.secret not in kept
        assert parent.token.strip().partition(".")[2] not in kept

    def test_the_same_child_stays_the_same_without_a_token_and_under_another_name(self, parent: Parent) -> None:
        request = parent.request()
        first = parent.desk.admit(request)
        second = parent.desk.admit(replace(request, token="", name="greenhouse"))
        assert second.child_id == first.child_id
        assert second.mqtt.password != first.mqtt.password
        assert [joined.is_new for joined in parent.joined] == [True, False]
        (kept,) = parent.documents.find(CHILDREN)
        assert kept["name"] == "greenhouse"

    def test_a_copied_token_makes_another_child(self, parent: Parent) -> None:
        assert parent.desk.admit(parent.request()).child_id != parent.desk.admit(parent.request()).child_id

    def test_a_parent_that_forgot_everything_knows_the_child_again_by_its_id(self, parent: Parent) -> None:
        request = parent.request()
        first = parent.desk.admit(request)
        parent.documents.delete(CHILDREN, first.child_id)
        assert parent.desk.admit(request).child_id == first.child_id

    @pytest.mark.parametrize("token", ["", "nonsense", str(new_token())], ids=["empty", "nonsense", "unknown"])
    def test_a_bad_token_is_refused_and_changes_nothing(self, parent: Parent, token: str) -> None:
        with pytest.raises(Unauthenticated, match="join token is not valid"):
            parent.desk.admit(parent.request(token=token))
        assert parent.documents.find(CHILDREN) == []
        assert parent.admin.passwords == {}
        assert parent.joined == []

    def test_a_token_with_another_secret_is_refused(self, parent: Parent) -> None:
        token_id = parent.token.partition(".")[0]
        with pytest.raises(Unauthenticated):
            parent.desk.admit(parent.request(token=f"{token_id}.{new_secret()}"))

    def test_a_token_is_good_for_one_kind_only(self, parent: Parent) -> None:
        with pytest.raises(Unauthenticated, match="admits a node, not a cluster"):
            parent.desk.admit(replace(parent.request(), kind=ChildKind.CLUSTER))

    def test_an_identity_is_good_for_one_kind_only(self, parent: Parent) -> None:
        request = parent.request()
        parent.desk.admit(request)
        with pytest.raises(Unauthenticated, match="a node's, not a cluster's"):
            parent.desk.admit(replace(request, kind=ChildKind.CLUSTER))

    def test_a_join_that_the_broker_missed_may_be_tried_again(self, parent: Parent) -> None:
        request = parent.request()
        broken = TokenJoinDesk(parent.documents, BrokerAway(), parent.address, parent.joined.append, FakeClock())
        with pytest.raises(Unreachable):
            broken.admit(request)
        assert parent.joined == []
        parent.desk.admit(request)
        assert len(parent.documents.find(CHILDREN)) == 1
        assert len(parent.joined) == 1


class TestEnsureToken:
    def test_is_for_the_owner_only_and_made_once(self, parent: Parent) -> None:
        before = parent.token
        parent.desk.ensure_token(parent.token_file, ChildKind.NODE)
        assert parent.token == before
        assert parent.token_file.stat().st_mode & 0o777 == 0o600
        assert len(parent.documents.find(JOIN_TOKENS)) == 1

    def test_works_again_after_the_store_was_lost(self, parent: Parent) -> None:
        parent.documents.delete(JOIN_TOKENS, parent.token.partition(".")[0])
        parent.desk.ensure_token(parent.token_file, ChildKind.NODE)
        assert parent.desk.admit(parent.request())

    def test_a_damaged_file_is_told(self, parent: Parent) -> None:
        parent.token_file.write_text("oops")
        with pytest.raises(Broken, match="delete it"):
            parent.desk.ensure_token(parent.token_file, ChildKind.NODE)
