import threading
import time
from collections.abc import Callable, Iterator

import pytest

from edge_common.model.errors import Broken, InvalidInput, Overloaded, Temporary
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.mailbox import BATCH, Mailbox
from tests.support import eventually


class Recorder:
    """A shell that writes down what happened to it, and fails when told to."""

    def __init__(self, tick_every_s: float = 60.0) -> None:
        self.log: list[str] = []
        self.tick_every_s = tick_every_s
        self.failing: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.is_stuck = False

    def handle(self, event: object) -> None:
        self.is_stuck = not self.gate.is_set()
        self.gate.wait(30)
        self._note(str(event))

    def settle(self) -> None:
        self._note("settle")

    def tick(self) -> float:
        self._note("tick")
        return self.tick_every_s

    def _note(self, what: str) -> None:
        self.log.append(what)
        if what in self.failing:
            raise ValueError(f"{what} was told to fail")


@pytest.fixture
def shell() -> Recorder:
    return Recorder()


@pytest.fixture
def mailbox(shell: Recorder) -> Iterator[Mailbox]:
    mailbox = Mailbox(shell, capacity=400, name="test")
    mailbox.start()
    eventually(lambda: shell.log == ["tick", "settle"])
    shell.log.clear()
    yield mailbox
    shell.gate.set()
    assert mailbox.stop()


class TestPump:
    def test_events_then_tick_then_settle(self, shell: Recorder) -> None:
        mailbox = Mailbox(shell, clock=FakeClock())
        mailbox.post("a")
        mailbox.post("b")
        assert mailbox.pump() == 60.0
        assert shell.log == ["a", "b", "tick", "settle"]

    def test_nothing_to_do_does_nothing(self, shell: Recorder) -> None:
        clock = FakeClock()
        mailbox = Mailbox(shell, clock=clock)
        mailbox.pump()
        shell.log.clear()
        clock.advance(59.0)
        assert mailbox.pump() == 1.0
        assert shell.log == []
        clock.advance(1.0)
        assert mailbox.pump() == 60.0
        assert shell.log == ["tick", "settle"]

    def test_a_batch_is_bounded(self, shell: Recorder) -> None:
        mailbox = Mailbox(shell, clock=FakeClock())
        mailbox.pump()
        shell.log.clear()
        for number in range(BATCH + 1):
            mailbox.post(number)
        mailbox.pump()
        assert [index for index, what in enumerate(shell.log) if what == "settle"] == [BATCH, BATCH + 2]

    def test_a_failed_settle_is_owed(self, shell: Recorder) -> None:
        mailbox = Mailbox(shell, clock=FakeClock())
        shell.failing = {"settle"}
        mailbox.pump()
        mailbox.pump()
        shell.failing = set()
        mailbox.pump()
        mailbox.pump()
        assert shell.log == ["tick", "settle", "settle", "settle"]


class TestThread:
    def test_a_call_returns_after_its_batch_is_settled(self, mailbox: Mailbox, shell: Recorder) -> None:
        def note() -> str:
            shell.log.append("call")
            return "answer"

        mailbox.post("event")
        assert mailbox.call(note) == "answer"
        assert shell.log[-1] == "settle"
        assert shell.log.index("event") < shell.log.index("call")

    def test_a_call_raises_what_its_closure_raised(self, mailbox: Mailbox) -> None:
        def refuse() -> None:
            raise InvalidInput("No.", "name")

        with pytest.raises(InvalidInput) as refused:
            mailbox.call(refuse)
        assert refused.value.field == "name"

    def test_a_call_whose_batch_does_not_settle_is_told(self, mailbox: Mailbox, shell: Recorder) -> None:
        shell.failing = {"settle"}
        with pytest.raises(Broken, match="told to fail"):
            mailbox.call(lambda: "answer")
        shell.failing = set()
        assert mailbox.call(lambda: "answer") == "answer"

    @pytest.mark.parametrize("what", ["bad", "tick", "settle"])
    def test_failures_do_not_end_it(self, mailbox: Mailbox, shell: Recorder, what: str) -> None:
        shell.failing = {what}
        for event in ("bad", "good"):
            mailbox.post(event)
        eventually(lambda: "good" in shell.log)
        shell.failing = set()
        assert mailbox.call(lambda: "alive") == "alive"

    def test_failures_in_a_row_are_paced(self, mailbox: Mailbox, shell: Recorder) -> None:
        shell.failing = {"settle"}
        started_s = time.monotonic()
        mailbox.post("event")
        eventually(lambda: shell.log.count("settle") >= 4)
        assert time.monotonic() - started_s > 0.1

    def test_a_full_mailbox_refuses_and_counts(self, mailbox: Mailbox, shell: Recorder) -> None:
        stick(mailbox, shell)
        assert [mailbox.post(number) for number in range(402)] == [True] * 400 + [False] * 2
        assert mailbox.refused == 2
        with pytest.raises(Overloaded, match="400 events waiting"):
            mailbox.call(lambda: None)

    def test_a_call_that_gave_up_does_not_run(self, mailbox: Mailbox, shell: Recorder) -> None:
        stick(mailbox, shell)
        with pytest.raises(Overloaded, match="did not get to this"):
            mailbox.call(lambda: shell.log.append("too late"), timeout_s=0.05)
        shell.gate.set()
        mailbox.call(lambda: None)
        assert "too late" not in shell.log

    def test_a_call_that_takes_too_long_may_have_an_effect(self, mailbox: Mailbox, shell: Recorder) -> None:
        shell.gate.clear()
        with pytest.raises(Overloaded, match="may still take effect"):
            mailbox.call(lambda: shell.gate.wait(30), timeout_s=0.05)
        shell.gate.set()

    def test_a_call_from_within_would_never_end(self, mailbox: Mailbox) -> None:
        with pytest.raises(Broken, match="own thread"):
            mailbox.call(lambda: mailbox.call(lambda: None))

    def test_stop_works_off_what_is_queued(self, mailbox: Mailbox, shell: Recorder) -> None:
        for number in range(300):
            mailbox.post(number)
        assert mailbox.stop()
        assert [what for what in shell.log if what != "settle"] == [str(number) for number in range(300)]
        assert not mailbox.post("late")
        with pytest.raises(Temporary):
            mailbox.call(lambda: None)

    def test_stop_gives_up_on_a_stuck_shell_and_frees_callers(self, mailbox: Mailbox, shell: Recorder) -> None:
        stick(mailbox, shell)
        errors: list[type[Exception]] = []
        caller = threading.Thread(target=lambda: errors.append(raised(lambda: mailbox.call(lambda: None))))
        caller.start()
        eventually(lambda: mailbox.waiting() == 1)
        assert mailbox.stop(timeout_s=0.05) is False
        caller.join(10)
        assert errors == [Temporary]

    def test_many_callers_share_a_settle(self, mailbox: Mailbox, shell: Recorder) -> None:
        stick(mailbox, shell)
        answers: list[int] = []
        callers = [
            threading.Thread(target=lambda number=number: answers.append(mailbox.call(lambda: number)))
            for number in range(50)
        ]
        for caller in callers:
            caller.start()
        eventually(lambda: mailbox.waiting() == 50)
        shell.gate.set()
        for caller in callers:
            caller.join(10)
        assert sorted(answers) == list(range(50))
        assert shell.log.count("settle") == 2

    def test_ticks_come_by_themselves(self) -> None:
        shell = Recorder(tick_every_s=0.01)
        mailbox = Mailbox(shell)
        mailbox.start()
        eventually(lambda: shell.log.count("tick") >= 3)
        assert mailbox.stop()


def stick(mailbox: Mailbox, shell: Recorder) -> None:
    """Busy with an event until the gate opens; what comes now has to wait."""
    shell.gate.clear()
    mailbox.post("blocks")
    eventually(lambda: shell.is_stuck)


def raised(work: Callable[[], object]) -> type[Exception]:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whatever it is, the test compares it
        return type(error)
    raise AssertionError("nothing was raised")
