"""A certificate over its life, on a clock that is told to go on: renewed over the live link, or after an absence."""

import logging
from pathlib import Path

import pytest

from edge_common.link.certifier import CERTIFY_GAP_S
from edge_common.link.identity import IdentityFiles
from edge_common.link.join_refusals import Ground, JoinRefused
from edge_common.link.memory_broker import MemoryBroker
from edge_common.link.renewal import ASK_AGAIN_S, CertificateRenewal
from edge_common.model.errors import Broken
from edge_common.model.ids import ChildId
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.pki import certificate_end_s, make_key, matches_key
from edge_common.wire.join_messages import JoinAnswer, JoinStatus
from tests.fakes import newcomer
from tests.unit.link.rig import Child, Pair, Parent

DAY_S = 86_400.0
LIFE_S = 30 * DAY_S


class Joined:
    """A child that joined, with its files, and both ends of its link."""

    def __init__(self, folder: Path) -> None:
        self.gate = newcomer.Parent(folder / "parent")
        self.clock: FakeClock = self.gate.clock
        self.files = IdentityFiles(folder / "child")
        self.files.keep_ca(self.gate.authority.certificate_pem)
        self.child = newcomer.Child(self.files.key())
        self.keep(self.join(self.gate.token()))
        self.broker = MemoryBroker()
        self.child_id = self.child.child_id
        self.asked: list[ChildId] = []
        self.parent = Parent(self.broker, self.clock, self.child_id, certify=self.certify)
        self.lower = Child(self.broker, self.clock, self.child_id, lambda: CertificateRenewal(self.files, self.clock))
        self.pair = Pair.of(self.clock, self.broker, self.parent, self.lower)
        self.pair.settle()

    def join(self, token: str = "") -> JoinAnswer:
        return self.gate.join(self.child.request(self.gate.desk.hello(), token))

    def keep(self, answer: JoinAnswer) -> None:
        assert answer.mqtt is not None
        self.files.keep(answer.child_id, answer.parent_name, answer.mqtt, answer.certificate)

    def certify(self, child_id: ChildId, csr: str) -> str:
        self.asked.append(child_id)
        return self.gate.members.certify(child_id, csr)

    def ends_s(self) -> float:
        identity = self.files.load()
        assert identity is not None
        assert certificate_end_s(identity.tls.certificate.read_text()) == identity.certificate_ends_s  # type: ignore[union-attr]
        return identity.certificate_ends_s

    def wait(self, seconds: float) -> None:
        """With the silence that a sleeping clock is, then half a minute as it is in life."""
        self.clock.advance(seconds)
        self.pair.run(30, 1.0)


@pytest.fixture
def at(tmp_path: Path) -> Joined:
    return Joined(tmp_path)


class TestOverTheLink:
    def test_at_half_of_its_life_the_child_gets_another(self, at: Joined) -> None:
        first = at.ends_s()
        at.wait(LIFE_S / 2 - 2 * DAY_S)
        assert at.asked == []
        at.wait(2 * DAY_S)
        assert at.asked == [at.child_id]
        assert at.ends_s() > first + 14 * DAY_S
        kept = at.gate.members.get(at.child_id)
        assert kept is not None
        assert kept.certificate_ends_s == at.ends_s()
        at.wait(DAY_S)
        assert len(at.asked) == 1

    def test_over_years_it_never_ends(self, at: Joined) -> None:
        for _ in range(60):
            at.wait(10 * DAY_S)
            assert at.ends_s() > at.clock.now_s()

    def test_an_answer_that_got_lost_is_asked_for_again(self, at: Joined) -> None:
        first = at.ends_s()
        at.clock.advance(LIFE_S / 2)
        for _ in range(30):
            at.pair.child.work()
            at.pair.parent.work()
            at.broker.pump()
            at.clock.advance(1)
            at.pair.child.inbox.take()
        assert at.ends_s() == first
        at.wait(ASK_AGAIN_S)
        assert at.ends_s() > first

    def test_a_restarted_child_goes_on_from_its_files(self, at: Joined) -> None:
        first = at.ends_s()
        at.clock.advance(LIFE_S / 2 + DAY_S)
        at.lower.restart()
        at.pair.run(30, 1.0)
        assert at.ends_s() > first

    def test_a_parent_signs_no_other_key(self, at: Joined, caplog: pytest.LogCaptureFixture) -> None:
        first = at.ends_s()
        thief = make_key()
        at.lower.link._renewal = Insists(thief.make_csr())
        at.lower.link.touch()
        with caplog.at_level(logging.WARNING):
            at.pair.run(5)
        assert f"event=certificate_not_renewed child={at.child_id}" in caplog.text
        assert "not of the key of child" in caplog.text
        assert at.ends_s() == first

    def test_a_child_that_asks_all_the_time_is_not_answered_all_the_time(self, at: Joined) -> None:
        at.lower.link._renewal = Insists(at.files.key().make_csr())
        for _ in range(int(CERTIFY_GAP_S)):
            at.lower.link.touch()
            at.pair.run(1, 1.0)
        assert len(at.asked) <= 2

    def test_a_forgotten_child_gets_none(self, at: Joined) -> None:
        first = at.ends_s()
        at.gate.members.forget(at.child_id)
        at.wait(LIFE_S / 2 + DAY_S)
        assert at.asked
        assert at.ends_s() == first


class TestTheChildChecks:
    def test_a_certificate_of_another_ca_is_not_kept(self, at: Joined, tmp_path: Path) -> None:
        other = newcomer.Parent(tmp_path / "other")
        first = at.ends_s()
        made = other.authority.issue_child(at.files.key().make_csr(), at.child_id, at.clock.now_s(), LIFE_S)
        with pytest.raises(Broken, match="another CA"):
            CertificateRenewal(at.files, at.clock).take(made)
        assert at.ends_s() == first

    def test_a_certificate_for_another_key_is_not_kept(self, at: Joined) -> None:
        made = at.gate.authority.issue_child(make_key().make_csr(), at.child_id, at.clock.now_s(), LIFE_S)
        with pytest.raises(Broken, match="another key"):
            CertificateRenewal(at.files, at.clock).take(made)

    def test_nonsense_is_not_kept(self, at: Joined) -> None:
        with pytest.raises(Broken, match="cannot be read"):
            CertificateRenewal(at.files, at.clock).take("nonsense")


class TestOffline:
    def test_past_the_end_its_key_brings_it_back_within_the_grace(self, at: Joined) -> None:
        at.broker.isolate(at.child_id)
        at.clock.advance(LIFE_S + 300 * DAY_S)
        assert at.ends_s() < at.clock.now_s()
        answer = at.join()
        assert answer.status is JoinStatus.ADMITTED
        assert answer.child_id == at.child_id
        at.keep(answer)
        assert at.ends_s() > at.clock.now_s()
        assert matches_key(answer.certificate, at.files.key())

    def test_later_it_needs_a_token(self, at: Joined) -> None:
        at.clock.advance(LIFE_S + 366 * DAY_S)
        with pytest.raises(JoinRefused) as refusal:
            at.join()
        assert refusal.value.ground is Ground.GRACE_OVER
        at.keep(at.join(at.gate.token()))
        assert at.ends_s() > at.clock.now_s()

    def test_nobody_else_comes_back_in_its_name(self, at: Joined) -> None:
        at.clock.advance(LIFE_S + DAY_S)
        thief = newcomer.Child()
        with pytest.raises(JoinRefused) as refusal:
            at.gate.join(thief.request(at.gate.desk.hello(), csr_of=at.child.key))
        assert refusal.value.ground is Ground.BAD_PROOF


class Insists:
    """A child that wants a certificate in every report."""

    def __init__(self, csr: str) -> None:
        self._csr = csr

    def csr(self) -> str:
        return self._csr

    def take(self, certificate: str) -> None:
        assert certificate


def test_a_child_without_a_renewal_takes_no_certificate(caplog: pytest.LogCaptureFixture) -> None:
    pair = Pair()
    pair.settle()
    pair.parent.links.request(pair.child.child_id, "certificate", {"certificate": "x"}, 5, lambda _: None)
    pair.settle()
    assert "was not asked for" in caplog.text
