"""Requests that wait for their answer, each with a deadline."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_common.model import errors
from edge_common.model.errors import HedgerowError, Overloaded, Temporary, Unreachable
from edge_common.model.ids import ChildId
from edge_common.wire.messages import Request, Response

Answered = Callable[[Mapping[str, Any] | HedgerowError], None]

MAX_OPEN = 1_000
_KINDS: dict[str, type[HedgerowError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, HedgerowError)
}


@dataclass(frozen=True, slots=True)
class _Open:
    child_id: ChildId
    kind: str
    deadline_s: float
    on_answer: Answered


class Questions:
    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._open: dict[str, _Open] = {}

    def ask(
        self, child_id: ChildId, kind: str, body: Mapping[str, Any], deadline_s: float, on_answer: Answered
    ) -> Request:
        """Raises Overloaded when too many are open already."""
        if len(self._open) >= MAX_OPEN:
            raise Overloaded(f"{MAX_OPEN} requests wait for an answer already. Try again in a moment.")
        request = Request(self._new_id(), kind, body)
        self._open[request.request_id] = _Open(child_id, kind, deadline_s, on_answer)
        return request

    def answer(self, child_id: ChildId, response: Response) -> None:
        """An answer that nobody waits for any more, or that comes from another than was asked, is dropped."""
        waiting = self._open.get(response.request_id)
        if waiting is None or waiting.child_id != child_id:
            return
        del self._open[response.request_id]
        if response.error:
            waiting.on_answer(_KINDS.get(response.error, Temporary)(response.message))
        else:
            waiting.on_answer(response.body)

    def fail(self, request_id: str, error: HedgerowError) -> None:
        waiting = self._open.pop(request_id, None)
        if waiting is not None:
            waiting.on_answer(error)

    def expire(self, now_s: float) -> None:
        for request_id in [key for key, waiting in self._open.items() if waiting.deadline_s <= now_s]:
            self.fail(request_id, Unreachable(f"No answer to {self._open[request_id].kind} in time. Try again."))

    def next_deadline_s(self) -> float:
        return min((waiting.deadline_s for waiting in self._open.values()), default=float("inf"))
