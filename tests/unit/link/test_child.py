"""The lower end alone: what it says, what it refuses, and that nothing on its topics does harm."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.link.child import REPORT_INTERVAL_S, RESYNC
from edge_common.link.events import Connected, Disconnected, End, MessageArrived
from edge_common.link.memory_broker import DEFAULT_MAX_PAYLOAD_BYTES, MemoryBroker
from edge_common.model.errors import HedgerowError, NotFound
from edge_common.model.lifecycle import State
from edge_common.plumbing.clock import FakeClock
from edge_common.wire import topics
from edge_common.wire.codec import encode
from edge_common.wire.messages import Manifest, Request
from tests.unit.link.rig import CHILD, OTHER, WEB, Child, document, seen


def to_json(value: object) -> bytes:
    return json.dumps(value).encode()


class Alone:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.broker = MemoryBroker()
        self.child = Child(self.broker, self.clock)
        self.broker.pump()
        self.said()

    def said(self, topic: str = "") -> list[dict[str, Any]]:
        """What it said since the last time."""
        self.child.work()
        packets = [each for each in self.broker.deliveries if each.is_upload]
        self.broker.pump()
        return [json.loads(each.payload) for each in packets if each.topic.endswith(topic)]

    def hear(self, topic: str, payload: bytes) -> None:
        self.child.link.handle(MessageArrived(End.UPPER, topic, payload))

    def ask(self, kind: str, **body: Any) -> list[dict[str, Any]]:
        self.hear(topics.request(CHILD), encode(Request("q1", kind, body)))
        return self.said("response")


@pytest.fixture
def alone() -> Alone:
    return Alone()


class TestReports:
    def test_the_first_words_are_its_presence_and_everything(self) -> None:
        alone = Alone()
        alone.child.reporter.observations[seen("a").instance_id] = seen("a")
        alone.child.link.handle(Connected(End.UPPER, False))
        presence, report = alone.said()
        assert (presence["is_online"], presence["boot_id"]) == (True, "boot-1")
        assert (report["is_full"], report["boot_id"]) == (True, "boot-1")
        assert [each["instance_id"] for each in report["observations"]] == ["a"]

    def test_several_changes_of_one_instance_are_one_and_a_late_one_is_none(self, alone: Alone) -> None:
        alone.child.observe(seen("a", State.RUNNING, 2), seen("a", State.FAILED, 1), seen("b"))
        (report,) = alone.said("report")
        assert [(each["instance_id"], each["attempt"]) for each in report["observations"]] == [("a", 2), ("b", 0)]
        assert alone.said("report") == []

    def test_an_idle_child_reports_every_interval(self, alone: Alone) -> None:
        alone.clock.advance(REPORT_INTERVAL_S - 0.1)
        assert alone.said("report") == []
        assert alone.child.link.due_in_s() == pytest.approx(0.1)
        alone.clock.advance(0.1)
        assert len(alone.said("report")) == 1

    def test_sequences_have_no_gap(self, alone: Alone) -> None:
        sequences = []
        for number in range(5):
            alone.child.observe(seen(f"i{number}"))
            sequences += [report["sequence"] for report in alone.said("report")]
        assert sequences == list(range(sequences[0], sequences[0] + 5))

    def test_while_cut_off_it_says_nothing_and_remembers_the_newest(self, alone: Alone) -> None:
        alone.child.link.handle(Disconnected(End.UPPER, "gone"))
        alone.child.observe(seen("a", State.CREATING))
        alone.child.observe(seen("a", State.RUNNING))
        assert alone.said() == []
        assert not alone.child.link.is_connected

    def test_a_resync_makes_the_next_report_full(self, alone: Alone) -> None:
        alone.hear(topics.request(CHILD), encode(Request("", RESYNC)))
        alone.hear(topics.request(CHILD), encode(Request("", RESYNC)))
        assert [report["is_full"] for report in alone.said()] == [True]

    def test_the_last_word_of_what_is_gone_is_among_everything(self, alone: Alone) -> None:
        alone.child.observe(seen("there"))
        alone.child.link.observe(seen("gone", State.UNDEPLOYED))
        alone.child.link.say_all()
        (report,) = alone.said("report")
        assert {each["instance_id"]: each["state"] for each in report["observations"]} == {
            "there": State.RUNNING,
            "gone": State.UNDEPLOYED,
        }

    def test_what_no_broker_would_take_stops_nothing_else(self, alone: Alone) -> None:
        huge = "x" * (DEFAULT_MAX_PAYLOAD_BYTES // 8)
        for number in range(9):
            alone.child.observe(seen(f"i{number}", detail=huge))
        assert alone.said("report") == []


class TestDesired:
    def test_changes_are_told_once_and_after_they_are_durable(self, alone: Alone) -> None:
        alone.hear(topics.desired_service(CHILD, WEB), encode(document(WEB, 1)))
        alone.hear(topics.desired(CHILD), encode(Manifest(1, {WEB: 1})))
        assert alone.child.link.acked_revision == 0
        assert alone.child.link.take_changes() == {WEB}
        assert alone.child.link.take_changes() == frozenset()
        assert alone.child.link.acked_revision == 1
        (report,) = alone.said("report")
        assert report["acked_revision"] == 1

    def test_a_service_that_came_and_went_at_once_is_no_longer_there(self, alone: Alone) -> None:
        alone.hear(topics.desired_service(CHILD, WEB), encode(document(WEB, 1)))
        alone.hear(topics.desired(CHILD), encode(Manifest(2, {})))
        assert alone.child.link.take_changes() == {WEB}
        assert alone.child.link.desired == {}
        alone.child.restart()
        assert alone.child.link.desired == {}

    def test_an_emptied_topic_is_no_message(self, alone: Alone) -> None:
        alone.hear(topics.desired_service(CHILD, WEB), b"")
        alone.hear(topics.desired(CHILD), b"")
        assert alone.child.link.rejects.total == 0


class TestQuestions:
    def test_an_answer_carries_the_id_of_its_question(self, alone: Alone) -> None:
        alone.child.reporter.answers["logs"] = {"text": "hello"}
        (response,) = alone.ask("logs", lines=3)
        assert (response["request_id"], response["body"], response["error"]) == ("q1", {"text": "hello"}, "")
        assert alone.child.reporter.asked == [("logs", {"lines": 3})]

    @pytest.mark.parametrize("is_raised", [True, False])
    def test_a_refusal_carries_its_kind_and_its_sentence(self, alone: Alone, is_raised: bool) -> None:
        error = NotFound("No instance x.")
        if is_raised:
            alone.child.reporter.refusal = error
        else:
            alone.child.reporter.answers["logs"] = error
        (response,) = alone.ask("logs")
        assert (response["error"], response["message"]) == ("NotFound", "No instance x.")

    def test_an_answer_that_is_too_large_is_an_error(self, alone: Alone) -> None:
        alone.child.reporter.answers["logs"] = {"text": "x" * (DEFAULT_MAX_PAYLOAD_BYTES + 1)}
        (response,) = alone.ask("logs")
        assert response["error"] == "TooLarge"


class TestGarbage:
    @given(
        st.sampled_from(
            [
                topics.desired(CHILD),
                topics.desired_service(CHILD, WEB),
                topics.request(CHILD),
                topics.report(CHILD),
                topics.desired(OTHER),
                "hedgerow/v1/link/child-1/desired/",
                "hedgerow/v1/link//desired",
                "something/else",
            ]
        ),
        st.binary(min_size=1) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(to_json),
    )
    def test_it_is_counted_and_changes_nothing(self, topic: str, payload: bytes) -> None:
        alone = Alone()
        alone.hear(topic, payload)
        assert alone.child.link.rejects.total == 1
        assert alone.child.link.take_changes() == frozenset()

    def test_what_is_for_another_child_is_not_taken(self, alone: Alone) -> None:
        alone.hear(topics.desired_service(OTHER, WEB), encode(document(WEB, 1)))
        assert alone.child.link.rejects.total == 1
        assert alone.child.link.desired == {}


def test_a_reply_may_come_later(alone: Alone) -> None:
    replies: list[Any] = []

    def answer(kind: str, body: Mapping[str, Any], reply: Any) -> None:
        replies.append(reply)

    alone.child.reporter.answer = answer  # type: ignore[method-assign]
    assert alone.ask("logs") == []
    error: HedgerowError = NotFound("No instance x.")
    replies[0](error)
    assert [each["error"] for each in alone.said("response")] == ["NotFound"]
