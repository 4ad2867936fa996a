"""A few threads, started when first needed, and a bounded queue before them."""

import logging
import queue
import threading
import time
from collections.abc import Callable

from edge_common.model.errors import Overloaded

logger = logging.getLogger(__name__)

Job = Callable[[], object | None]
_POST_RETRY_S = 0.05


class ThreadPool:
    """`capacity` is how many jobs it holds, running ones too. `post` returns False when it cannot take an event now."""

    def __init__(self, name: str, threads: int, capacity: int, post: Callable[[object], bool]) -> None:
        self._name = name
        self._most_threads = threads
        self._capacity = capacity
        self._post = post
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._held = 0
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()

    def room(self) -> int:
        return max(0, self._capacity - self._held)

    def submit(self, job: Job) -> None:
        with self._lock:
            if self._held >= self._capacity:
                raise Overloaded(f"The pool {self._name} has {self._held} jobs already.")
            self._held += 1
            self._jobs.put(job)
            if len(self._threads) < min(self._most_threads, self._held):
                self._add_thread()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Begins nothing new and waits a little for what runs: every job may be broken off and repeated."""
        self._stopping.set()
        for _ in self._threads:
            self._jobs.put(None)
        deadline_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            job = self._jobs.get()
            if job is None:
                return
            event = self._result_of(job)
            with self._lock:
                self._held -= 1
            if event is not None:
                self._deliver(event)

    def _result_of(self, job: Job) -> object | None:
        try:
            return job()
        except Exception:
            logger.exception("event=job_broke pool=%s", self._name)
            return None

    def _deliver(self, event: object) -> None:
        """The mailbox counts on hearing of it, so a full one is waited for."""
        while not self._post(event) and not self._stopping.wait(_POST_RETRY_S):
            pass
