"""The upper end: who is there, who has acknowledged what, and what a child may not do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.link.events import Connected, Disconnected, End, MessageArrived
from edge_common.link.liveness import ANSWER_S, DEFAULT_LEASE_S, PROOF_S
from edge_common.link.memory_broker import DEFAULT_MAX_PAYLOAD_BYTES, MemoryBroker
from edge_common.model.errors import Unreachable
from edge_common.model.ids import ChildId
from edge_common.model.instance import Observation
from edge_common.model.lifecycle import State
from edge_common.model.node import Readiness
from edge_common.plumbing.clock import FakeClock
from edge_common.wire import topics
from edge_common.wire.codec import encode
from edge_common.wire.messages import Presence, Report, Response
from tests.unit.link.rig import CHILD, DB, OTHER, WEB, Pair, Parent, seen

STRANGER = ChildId("stranger")


class Hearing:
    """A parent of two that hears what a test makes up."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.broker = MemoryBroker()
        self.parent = Parent(self.broker, self.clock, CHILD, OTHER)
        self.broker.pump()
        self.parent.work()
        self.sequence = 0

    def hear(self, topic: str, message: object) -> None:
        payload = message if isinstance(message, bytes) else encode(message)
        self.parent.links.handle(MessageArrived(End.LOWER, topic, payload))

    def report(
        self,
        child_id: ChildId = CHILD,
        acked: int = 0,
        *observations: Observation,
        is_full: bool = True,
        boot_id: str = "boot",
    ) -> None:
        self.sequence += 1
        self.hear(topics.report(child_id), Report(boot_id, self.sequence, acked, is_full, observations))

    def flush(self) -> list[str]:
        self.parent.links.flush()
        said = [packet.topic for packet in self.broker.deliveries if packet.is_upload]
        self.broker.pump()
        return said

    def wait(self, seconds: float) -> Readiness:
        self.clock.advance(seconds)
        self.parent.links.tick()
        return self.readiness()

    def readiness(self) -> Readiness:
        return self.parent.links.readiness(CHILD)


@pytest.fixture
def hearing() -> Hearing:
    return Hearing()


class TestReadiness:
    def test_a_child_is_ready_once_it_has_said_everything(self, hearing: Hearing) -> None:
        assert hearing.readiness() is Readiness.SUSPECT
        hearing.report(is_full=False)
        assert hearing.readiness() is Readiness.SUSPECT
        hearing.report()
        assert hearing.readiness() is Readiness.READY
        assert set(hearing.parent.links.unready()) == {OTHER}
        assert hearing.parent.owner.readiness == [(CHILD, Readiness.READY)]

    def test_one_that_is_not_heard_of_after_a_start_is_lost(self, hearing: Hearing) -> None:
        assert hearing.wait(PROOF_S - 0.1) is Readiness.SUSPECT
        assert hearing.wait(0.2) is Readiness.LOST
        assert hearing.parent.links.unready()[CHILD].unheard_s >= DEFAULT_LEASE_S

    def test_a_broken_connection_makes_it_suspect_at_once_and_lost_when_its_lease_ends(self, hearing: Hearing) -> None:
        hearing.report()
        hearing.hear(topics.presence(CHILD), Presence(is_online=False))
        assert hearing.readiness() is Readiness.SUSPECT
        assert hearing.wait(DEFAULT_LEASE_S - 0.1) is Readiness.SUSPECT
        assert hearing.wait(0.2) is Readiness.LOST
        assert hearing.wait(60) is Readiness.LOST
        hearing.report()
        assert hearing.readiness() is Readiness.READY

    def test_presence_alone_proves_nothing(self, hearing: Hearing) -> None:
        hearing.hear(topics.presence(CHILD), Presence(is_online=True, boot_id="boot"))
        assert hearing.readiness() is Readiness.SUSPECT
        assert hearing.flush() == [topics.request(CHILD)]
        assert hearing.wait(PROOF_S) is Readiness.LOST

    def test_a_child_that_does_not_answer_is_lost_whatever_its_presence_says(self, hearing: Hearing) -> None:
        hearing.report()
        hearing.wait(26)
        assert hearing.readiness() is Readiness.READY
        hearing.wait(ANSWER_S + 0.1)
        assert hearing.readiness() is Readiness.LOST

    def test_nobody_is_lost_while_the_parent_itself_is_cut_off(self, hearing: Hearing) -> None:
        hearing.report()
        hearing.parent.links.handle(Disconnected(End.LOWER, "The broker stopped."))
        assert hearing.wait(600) is Readiness.READY
        hearing.parent.links.handle(Connected(End.LOWER, True))
        assert hearing.wait(1) is Readiness.SUSPECT
        hearing.report()
        assert hearing.wait(20) is Readiness.READY

    def test_a_child_that_does_not_come_back_after_that_is_lost(self, hearing: Hearing) -> None:
        hearing.report()
        hearing.parent.links.handle(Disconnected(End.LOWER, "The broker stopped."))
        hearing.parent.links.handle(Connected(End.LOWER, True))
        assert hearing.wait(PROOF_S + 0.1) is Readiness.LOST

    def test_a_readiness_that_could_not_be_noted_is_noted_later(self, hearing: Hearing) -> None:
        hearing.parent.owner.failure = Unreachable("The database does not answer.")
        hearing.report()
        assert hearing.readiness() is Readiness.SUSPECT
        assert set(hearing.parent.links.unready()) == {CHILD, OTHER}
        hearing.parent.owner.failure = None
        assert hearing.wait(1) is Readiness.READY


class TestAcknowledgement:
    def test_one_that_reports_but_does_not_acknowledge_is_suspect(self, hearing: Hearing) -> None:
        hearing.report()
        hearing.parent.want(WEB, "a")
        hearing.flush()
        hearing.wait(DEFAULT_LEASE_S + 0.1)
        hearing.report()
        assert hearing.readiness() is Readiness.SUSPECT
        hearing.report(acked=1)
        assert hearing.readiness() is Readiness.READY

    def test_also_when_the_parent_was_started_anew(self, hearing: Hearing) -> None:
        hearing.report()
        hearing.parent.want(WEB, "a")
        hearing.flush()
        hearing.parent.restart()
        hearing.broker.pump()
        hearing.parent.work()
        hearing.report(acked=0)
        hearing.clock.advance(DEFAULT_LEASE_S + 0.1)
        hearing.report(acked=0)
        assert hearing.readiness() is Readiness.SUSPECT

    def test_a_stream_of_changes_does_not_make_a_child_suspect_that_keeps_up(self, hearing: Hearing) -> None:
        hearing.report()
        for number in range(1, 100):
            hearing.parent.want(WEB, f"a{number}")
            hearing.flush()
            hearing.clock.advance(0.1)
            hearing.report(acked=number - 1, is_full=False)
            assert hearing.wait(0) is Readiness.READY
        assert {readiness for _, readiness in hearing.parent.owner.readiness} == {Readiness.READY}

    def test_one_that_falls_behind_in_a_stream_of_changes_is_suspect(self, hearing: Hearing) -> None:
        hearing.report()
        for number in range(1, 50):
            hearing.parent.want(WEB, f"a{number}")
            hearing.flush()
            hearing.clock.advance(0.1)
            hearing.report(acked=0, is_full=False)
        assert hearing.wait(0) is Readiness.SUSPECT

    def test_nothing_is_said_to_a_child_that_has_not_reported(self, hearing: Hearing) -> None:
        hearing.parent.want(WEB, "a")
        assert hearing.flush() == []
        assert hearing.parent.links.withdrawn_at(CHILD, WEB) is None
        hearing.report()
        assert hearing.flush() == [topics.desired_service(CHILD, WEB), topics.desired(CHILD)]
        assert hearing.parent.links.withdrawn_at(CHILD, WEB) == 1

    def test_a_message_that_is_too_large_does_not_stop_those_to_others(self, hearing: Hearing) -> None:
        hearing.report(CHILD)
        hearing.report(OTHER)
        names = [f"{number:04}-{'x' * 4_000}" for number in range(DEFAULT_MAX_PAYLOAD_BYTES // 4_000)]
        hearing.parent.want(WEB, *names, child_id=CHILD)
        hearing.parent.want(DB, "d", child_id=OTHER)
        assert topics.desired(OTHER) in hearing.flush()
        hearing.wait(60)


class TestReports:
    def test_what_a_child_holds_is_what_it_spoke_of_since_it_said_everything(self, hearing: Hearing) -> None:
        def held() -> set[str] | None:
            known = hearing.parent.links.held(CHILD)
            return None if known is None else set(known)

        hearing.report(CHILD, 0, seen("a"), is_full=False)
        assert held() is None
        hearing.report(CHILD, 0, seen("a"), seen("b"))
        hearing.report(CHILD, 0, seen("c"), seen("a", State.UNDEPLOYED), is_full=False)
        assert held() == {"b", "c"}
        hearing.report(CHILD, 0, seen("c"))
        assert held() == {"c"}
        hearing.sequence += 1
        hearing.report(CHILD, 0, seen("d"), is_full=False)
        assert held() is None

    def test_a_report_that_could_not_be_kept_leaves_nothing_known(self, hearing: Hearing) -> None:
        hearing.parent.owner.failure = Unreachable("The database does not answer.")
        hearing.report(CHILD, 0, seen("a"))
        assert hearing.parent.links.held(CHILD) is None

    def test_a_repeated_report_is_taken_once(self, hearing: Hearing) -> None:
        report = Report("boot", 1, 0, is_full=True)
        for _ in range(3):
            hearing.hear(topics.report(CHILD), report)
        assert hearing.parent.owner.reports == [(CHILD, report)]

    def test_a_gap_is_asked_about_once(self, hearing: Hearing) -> None:
        hearing.report()
        hearing.flush()
        hearing.sequence += 1
        hearing.report(is_full=False)
        assert hearing.flush() == [topics.request(CHILD)]
        hearing.report(is_full=False)
        assert hearing.flush() == []

    def test_another_boot_is_asked_for_everything(self, hearing: Hearing) -> None:
        hearing.report()
        hearing.report(is_full=False, boot_id="later")
        assert hearing.flush() == [topics.request(CHILD)]


class TestOthers:
    def test_a_stranger_is_not_heard(self, hearing: Hearing) -> None:
        hearing.report(STRANGER)
        hearing.hear(topics.presence(STRANGER), Presence(is_online=True))
        assert (hearing.parent.links.rejects.total, hearing.parent.owner.reports) == (2, [])
        assert hearing.parent.links.readiness(STRANGER) is Readiness.LOST

    def test_one_that_was_forgotten_is_a_stranger(self, hearing: Hearing) -> None:
        hearing.report()
        hearing.parent.want(WEB, "a")
        hearing.flush()
        hearing.parent.links.forget_child(CHILD)
        assert hearing.flush() == [topics.desired_service(CHILD, WEB), topics.desired(CHILD), topics.presence(CHILD)]
        hearing.parent.want(WEB, "b")
        hearing.report()
        assert hearing.flush() == []
        assert hearing.parent.documents.find("link_services") == []
        assert set(hearing.parent.links.unready()) == {OTHER}

    def test_what_could_not_be_saved_is_forgotten_with_its_child(self, hearing: Hearing) -> None:
        hearing.report()
        hearing.flush()
        hearing.parent.want(WEB, "a")
        hearing.parent.documents.is_read_only = True
        with pytest.raises(Unreachable):
            hearing.flush()
        hearing.parent.documents.is_read_only = False
        hearing.parent.links.forget_child(CHILD)
        hearing.parent.links.add_children([CHILD])
        cleared = [topics.desired_service(CHILD, WEB), topics.desired(CHILD), topics.presence(CHILD)]
        assert hearing.flush() == cleared
        assert hearing.parent.documents.find("link_services") == []

    def test_a_child_cannot_answer_for_another(self, hearing: Hearing) -> None:
        hearing.report(CHILD)
        hearing.report(OTHER)
        answers: list[object] = []
        hearing.parent.links.request(CHILD, "logs", {}, 5, answers.append)
        hearing.hear(topics.response(OTHER), Response("question-1", {"text": "lies"}))
        assert answers == []
        hearing.hear(topics.response(CHILD), Response("question-1", {"text": "truth"}))
        assert answers == [{"text": "truth"}]

    @given(
        st.sampled_from(
            [
                topics.report(CHILD),
                topics.presence(CHILD),
                topics.response(CHILD),
                topics.desired(CHILD),
                topics.request(CHILD),
                topics.report(STRANGER),
                "$SYS/broker",
            ]
        ),
        st.binary(min_size=1),
    )
    def test_garbage_is_counted_and_harmless(self, topic: str, payload: bytes) -> None:
        hearing = Hearing()
        hearing.report()
        hearing.hear(topic, payload)
        assert hearing.parent.links.rejects.total == 1
        assert hearing.readiness() is Readiness.READY
        assert len(hearing.parent.owner.reports) == 1


class TestQuestions:
    @pytest.fixture
    def pair(self) -> Pair:
        pair = Pair()
        pair.settle()
        return pair

    def test_a_question_is_answered(self, pair: Pair) -> None:
        pair.child.reporter.answers["logs"] = {"text": "hello"}
        answers: list[object] = []
        pair.parent.links.request(CHILD, "logs", {"lines": 3}, 5, answers.append)
        pair.settle()
        assert answers == [{"text": "hello"}]

    def test_a_child_that_is_away_is_not_asked(self, pair: Pair) -> None:
        pair.broker.isolate(CHILD)
        pair.settle()
        answers: list[object] = []
        pair.parent.links.request(CHILD, "logs", {}, 5, answers.append)
        assert isinstance(answers[0], Unreachable)

    def test_a_question_without_an_answer_ends(self, pair: Pair) -> None:
        answers: list[object] = []
        pair.parent.links.request(CHILD, "unheard-of", {}, 5, answers.append)
        assert pair.parent.links.tick() <= 5
        pair.run(6)
        assert [type(each) for each in answers] == [Unreachable]

    def test_a_question_that_cannot_be_sent_fails_at_once(self, pair: Pair) -> None:
        answers: list[object] = []
        huge = {"text": "x" * (DEFAULT_MAX_PAYLOAD_BYTES + 1)}
        pair.parent.links.request(CHILD, "exec", huge, 5, answers.append)
        assert len(answers) == 1

    def test_what_the_child_says_of_instances_is_passed_on_untouched(self, pair: Pair) -> None:
        pair.child.observe(seen("a", exit_code=3))
        pair.settle()
        assert pair.parent.owner.reports[-1][1].observations == (seen("a", exit_code=3),)
