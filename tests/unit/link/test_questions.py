"""Every question gets one answer, also when the child gives none."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from edge_common.link.questions import MAX_OPEN, Questions
from edge_common.model.errors import Conflict, HedgerowError, NotFound, Overloaded, Temporary, Unreachable
from edge_common.wire.messages import Request, Response
from tests.unit.link.rig import CHILD, OTHER

Answer = Mapping[str, Any] | HedgerowError


class Asked:
    def __init__(self) -> None:
        self.questions = Questions(map("q{}".format, itertools.count(1)).__next__)
        self.answers: list[Answer] = []

    def ask(self, deadline_s: float = 10.0) -> Request:
        return self.questions.ask(CHILD, "logs", {"lines": 3}, deadline_s, self.answers.append)


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_an_answer_reaches_who_asked_once(asked: Asked) -> None:
    request = asked.ask()
    for _ in range(2):
        asked.questions.answer(CHILD, Response(request.request_id, {"text": "hello"}))
    assert asked.answers == [{"text": "hello"}]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("NotFound", NotFound), ("Conflict", Conflict), ("HedgerowError", HedgerowError), ("SystemExit", Temporary)],
)
def test_an_error_comes_back_as_one_of_the_tree(asked: Asked, name: str, kind: type[HedgerowError]) -> None:
    request = asked.ask()
    asked.questions.answer(CHILD, Response(request.request_id, error=name, message="No such instance."))
    (answer,) = asked.answers
    assert (type(answer), str(answer)) == (kind, "No such instance.")


def test_nobody_else_may_answer(asked: Asked) -> None:
    request = asked.ask()
    asked.questions.answer(OTHER, Response(request.request_id, {"text": "lies"}))
    assert asked.answers == []
    asked.questions.answer(CHILD, Response(request.request_id, {"text": "truth"}))
    assert asked.answers == [{"text": "truth"}]


def test_no_answer_in_time_is_an_error_and_a_late_one_is_dropped(asked: Asked) -> None:
    request = asked.ask(deadline_s=10.0)
    asked.ask(deadline_s=20.0)
    assert asked.questions.next_deadline_s() == 10.0
    asked.questions.expire(9.9)
    assert asked.answers == []
    asked.questions.expire(10.0)
    asked.questions.answer(CHILD, Response(request.request_id))
    assert [type(each) for each in asked.answers] == [Unreachable]
    assert asked.questions.next_deadline_s() == 20.0


def test_a_question_that_could_not_be_sent_fails_at_once(asked: Asked) -> None:
    asked.questions.fail(asked.ask().request_id, Overloaded("The queue is full."))
    asked.questions.fail("unknown", Overloaded("The queue is full."))
    assert [type(each) for each in asked.answers] == [Overloaded]


def test_too_many_open_questions_are_refused(asked: Asked) -> None:
    for _ in range(MAX_OPEN):
        asked.ask()
    with pytest.raises(Overloaded):
        asked.ask()
