"""One bounded queue and one thread: everything that changes a service's state happens here, one thing at a time."""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Generic, Protocol, TypeVar

from edge_common.model.errors import Broken, Overloaded, Temporary
from edge_common.plumbing.clock import Clock, SystemClock

logger = logging.getLogger(__name__)
T = TypeVar("T")

BATCH = 256
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_COMPLAIN_EVERY_S = 5.0


class Shell(Protocol):
    """What the mailbox drives. All three are called from its thread only."""

    def handle(self, event: object) -> None: ...

    def settle(self) -> float | None:
        """After each batch of events and each tick: reconcile what became dirty, make it durable, flush links.

        Returns within how many seconds it wants a tick, None when the next one does. Called again soon when it raises.
        """

    def tick(self) -> float:
        """Returns the most seconds until it wants to be called again."""


class Mailbox:
    def __init__(
        self, handler: Shell, capacity: int = 10_000, name: str = "mailbox", clock: Clock | None = None
    ) -> None:
        self._shell = handler
        self._name = name
        self._clock = clock or SystemClock()
        self._queue: queue.Queue[object] = queue.Queue(capacity)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._stopping = threading.Event()
        self._tick_at_s = self._clock.monotonic_s()
        self._is_settle_owed = False
        self._failures_in_a_row = 0
        self._count_lock = threading.Lock()
        self._refused = 0
        self._complained_at_s = -_COMPLAIN_EVERY_S

    @property
    def refused(self) -> int:
        """Events that `post` has turned away since the start."""
        return self._refused

    def waiting(self) -> int:
        return self._queue.qsize()

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Takes nothing new, works off what is queued, ends the thread; False when that took longer than allowed."""
        self._stopping.set()
        if not self._thread.is_alive():
            self._cancel_waiting()
            return True
        try:
            self._queue.put_nowait(_Wake())
        except queue.Full:
            logger.debug("mailbox=%s is full while stopping", self._name)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.warning("mailbox=%s did not stop within timeout_s=%s", self._name, timeout_s)
            self._cancel_waiting()
            return False
        return True

    def post(self, event: object) -> bool:
        """Never blocks. False when the queue is full or the mailbox stops: the event is dropped and counted."""
        if not self._stopping.is_set():
            try:
                self._queue.put_nowait(event)
                return True
            except queue.Full:
                pass
        self._count_refused(event)
        return False

    def call(self, fn: Callable[[], T], timeout_s: float = 10.0) -> T:
        """Runs `fn` in the mailbox's thread and returns what it returned once its batch is settled, that is, durable.

        Raises what `fn` raised; Overloaded when the queue is full or the time runs out; Temporary when the mailbox
        stops; Broken when settling failed.
        """
        if threading.current_thread() is self._thread:
            raise Broken(f"Mailbox {self._name} was called from its own thread. Call the function itself.")
        if self._stopping.is_set():
            raise Temporary("The service is stopping. Try again when it is back.")
        call = _Call(fn)
        try:
            self._queue.put_nowait(call)
        except queue.Full:
            raise Overloaded(f"The service has {self._queue.qsize()} events waiting. Try again later.") from None
        return self._outcome(call, timeout_s)

    def pump(self) -> float:
        """Instead of `start`, for simulation and tests: does what is due now in the caller's thread.

        Returns the seconds until the next tick.
        """
        while True:
            self._round(self._drain([]))
            if self._queue.empty():
                return max(0.0, self._tick_at_s - self._clock.monotonic_s())

    def _outcome(self, call: "_Call[T]", timeout_s: float) -> T:
        try:
            return call.future.result(timeout_s)
        except FutureTimeout:
            if call.future.done():
                return call.future.result()
            if call.future.cancel():
                raise Overloaded(f"The service did not get to this within {timeout_s} s. Try again later.") from None
            raise Overloaded(
                f"The service did not finish this within {timeout_s} s; it may still take effect. Look, then try again."
            ) from None
        except CancelledError:
            raise Temporary("The service is stopping. Try again when it is back.") from None

    def _run(self) -> None:
        while not (self._stopping.is_set() and self._queue.empty()):
            self._round(self._drain(self._wait()))
            if self._failures_in_a_row > 1:
                self._stopping.wait(self._pause_s())
        self._cancel_waiting()

    def _wait(self) -> list[object]:
        if self._stopping.is_set():
            return []
        timeout_s = max(0.0, self._tick_at_s - self._clock.monotonic_s())
        if self._is_settle_owed:
            timeout_s = min(timeout_s, _FIRST_PAUSE_S)
        try:
            return [self._queue.get(timeout=timeout_s)]
        except queue.Empty:
            return []

    def _drain(self, batch: list[object]) -> list[object]:
        while len(batch) < BATCH:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return batch

    def _round(self, batch: list[object]) -> None:
        is_due = self._clock.monotonic_s() >= self._tick_at_s
        if not (batch or is_due or self._is_settle_owed):
            return
        failures = sum(not self._deliver(item) for item in batch)
        if is_due:
            failures += not self._tick()
        failure = self._settle()
        for item in batch:
            if isinstance(item, _Call):
                item.release(failure)
        is_well = not failures and failure is None
        self._failures_in_a_row = 0 if is_well else self._failures_in_a_row + 1

    def _deliver(self, item: object) -> bool:
        if isinstance(item, _Call):
            item.run()
            return True
        if isinstance(item, _Wake):
            return True
        try:
            self._shell.handle(item)
            return True
        except Exception:
            logger.exception("mailbox=%s could not handle event=%s", self._name, type(item).__name__)
            return False

    def _tick(self) -> bool:
        try:
            delay_s, is_well = self._shell.tick(), True
        except Exception:
            logger.exception("mailbox=%s tick failed", self._name)
            delay_s, is_well = _LONGEST_PAUSE_S, False
        self._tick_at_s = self._clock.monotonic_s() + delay_s
        return is_well

    def _settle(self) -> Exception | None:
        try:
            hurry_s = self._shell.settle()
            self._is_settle_owed = False
            if hurry_s is not None:
                self._tick_at_s = min(self._tick_at_s, self._clock.monotonic_s() + hurry_s)
            return None
        except Exception as error:
            logger.exception("mailbox=%s could not settle", self._name)
            self._is_settle_owed = True
            return error

    def _pause_s(self) -> float:
        return float(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self._failures_in_a_row - 2, 10)))

    def _count_refused(self, event: object) -> None:
        with self._count_lock:
            self._refused += 1
            now_s = self._clock.monotonic_s()
            if now_s - self._complained_at_s < _COMPLAIN_EVERY_S:
                return
            self._complained_at_s = now_s
        logger.warning(
            "mailbox=%s refused event=%s refused_in_all=%d waiting=%d",
            self._name, type(event).__name__, self._refused, self._queue.qsize(),
        )  # fmt: skip

    def _cancel_waiting(self) -> None:
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return
            if isinstance(item, _Call):
                item.future.cancel()


class _Wake:
    """Ends the wait of an idle thread."""


class _Call(Generic[T]):
    """A closure and its waiting caller, who may have given up before its turn: then it does not run."""

    def __init__(self, fn: Callable[[], T]) -> None:
        self.future: Future[T] = Future()
        self._fn = fn
        self._results: list[T] = []
        self._error: Exception | None = None

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self._results.append(self._fn())
        except Exception as error:  # noqa: BLE001 - the caller's, who decides what to do about it
            self._error = error

    def release(self, settle_failure: Exception | None) -> None:
        if self._error is not None:
            self.future.set_exception(self._error)
        elif self._results and settle_failure is not None:
            broken = Broken(f"The change could not be completed: {settle_failure}")
            broken.__cause__ = settle_failure
            self.future.set_exception(broken)
        elif self._results:
            self.future.set_result(self._results[0])
