"""Looks at all tasks of each runtime: at the start, in doubt, and now and then."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from edge_common.model.errors import HedgerowError
from edge_common.model.ids import InstanceId
from edge_common.plumbing.clock import Clock
from node_engine.core.seen import Seen
from node_engine.core.task import Task
from node_engine.events import Observed, TaskChanged
from node_engine.ports import Pool, Runtime

logger = logging.getLogger(__name__)

SWEEP_S = 30.0
"""Between looks that nothing asked for: they find what a lost event did not say."""
SHORTEST_GAP_S = 0.2
_FIRST_RETRY_S = 0.5
_MAX_DOUBLINGS = 6


@dataclass(slots=True)
class _Watched:
    due_s: float
    begun_s: float = 0.0
    is_under_way: bool = False
    is_wanted_again: bool = False
    failures: int = 0


class Observer:
    def __init__(self, runtimes: Mapping[str, Runtime], seen: Seen, pool: Pool, clock: Clock) -> None:
        self._runtimes = runtimes
        self._seen = seen
        self._pool = pool
        self._clock = clock
        self._watched = {name: _Watched(clock.monotonic_s()) for name in runtimes}

    @property
    def well(self) -> tuple[str, ...]:
        """The runtimes that answered when last asked; at the start all."""
        return tuple(sorted(name for name, watched in self._watched.items() if not watched.failures))

    def has_seen_all(self) -> bool:
        """Whether each runtime has told all its tasks at least once."""
        return all(self._seen.has_observed(name) for name in self._runtimes)

    def knows(self, runtime: str) -> bool:
        return runtime in self._runtimes

    def watch(self, post: Callable[[object], object]) -> None:
        """From now on the runtimes tell of exits by themselves, from threads of theirs."""
        for name, runtime in self._runtimes.items():
            runtime.watch(partial(_tell, post, name))

    def request(self, runtime: str) -> None:
        watched = self._watched.get(runtime)
        if watched is None:
            return
        watched.is_wanted_again = watched.is_under_way
        if not watched.is_under_way and not watched.failures:
            watched.due_s = min(watched.due_s, self._soon(watched))

    def settle(self) -> None:
        now_s = self._clock.monotonic_s()
        for name, watched in self._watched.items():
            if watched.due_s <= now_s and not watched.is_under_way and self._pool.room():
                watched.is_under_way, watched.begun_s = True, now_s
                self._submit(name)

    def take(self, event: Observed, busy: Collection[InstanceId]) -> set[InstanceId]:
        """The instances of which this brought news."""
        watched = self._watched[event.runtime]
        watched.is_under_way = False
        now_s = self._clock.monotonic_s()
        if event.tasks is None:
            if not watched.failures:
                logger.warning("event=runtime_away runtime=%s detail=%r", event.runtime, event.detail)
            watched.due_s = now_s + min(_FIRST_RETRY_S * 2.0 ** min(watched.failures, _MAX_DOUBLINGS), SWEEP_S)
            watched.failures += 1
            return set()
        if watched.failures:
            logger.info("event=runtime_back runtime=%s", event.runtime)
        watched.failures = 0
        changed = self._seen.observed(event.runtime, event.mark, event.tasks, busy)
        in_doubt = watched.is_wanted_again or self._seen.has_doubts(event.runtime)
        watched.is_wanted_again = False
        watched.due_s = self._soon(watched) if in_doubt else now_s + SWEEP_S
        return changed

    def due_in_s(self) -> float:
        now_s = self._clock.monotonic_s()
        return min(
            (max(0.0, each.due_s - now_s) for each in self._watched.values() if not each.is_under_way), default=SWEEP_S
        )

    def _soon(self, watched: _Watched) -> float:
        return max(self._clock.monotonic_s(), watched.begun_s + SHORTEST_GAP_S)

    def _submit(self, name: str) -> None:
        runtime, mark = self._runtimes[name], self._seen.mark()

        def look() -> Observed:
            try:
                return Observed(name, mark, runtime.observe())
            except HedgerowError as error:
                return Observed(name, mark, None, str(error))
            except Exception:
                logger.exception("event=observation_broke runtime=%s", name)
                return Observed(name, mark, None, "The node engine failed over it; its log says how.")

        self._pool.submit(look)


def _tell(post: Callable[[object], object], runtime: str, task: Task | None) -> None:
    post(TaskChanged(runtime, task))
