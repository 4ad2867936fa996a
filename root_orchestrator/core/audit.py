"""Who did what: what becomes an entry of the audit log, and where its entries lie."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from edge_common.model.errors import Forbidden
from root_orchestrator.core.permissions import Actor, Hidden, Permission, Verb

BLOCK = 256
"""Entries are numbered from 1; they are read and deleted in blocks of so many."""
BLOCKS_AT_ONCE = 4
MAX_OBJECT = 200
MAX_REASON = 300


class Outcome(StrEnum):
    """REFUSED: not allowed. HIDDEN: answered as if it were not there. FAILED: allowed, and it did not work."""

    DONE = "done"
    REFUSED = "refused"
    HIDDEN = "hidden"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """`sequence` and `block` are the log's to give. `organization` is the id of that of who did it."""

    at_s: float
    username: str
    organization: str
    token_name: str
    verb: str
    resource: str
    object_id: str
    outcome: str
    reason: str
    address: str
    request_id: str
    sequence: int = 0
    block: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """What came in. `error` None: it was answered well; `failure` is a word for the rest, never a user's own text."""

    object_id: str
    address: str
    request_id: str
    error: Exception | None = None
    failure: str = ""


def entry(actor: Actor, needed: Permission, request: Request, now_s: float) -> Entry | None:
    """None for what is not worth one: a successful or a mistaken look."""
    outcome, reason = _outcome(request)
    if needed.verb is Verb.READ and outcome in (Outcome.DONE, Outcome.FAILED):
        return None
    return Entry(
        at_s=now_s,
        username=actor.username,
        organization=actor.organization,
        token_name=actor.token_name,
        verb=needed.verb,
        resource=needed.resource,
        object_id=request.object_id[:MAX_OBJECT],
        outcome=outcome,
        reason=reason[:MAX_REASON],
        address=request.address,
        request_id=request.request_id,
    )


def block_of(sequence: int) -> int:
    return (sequence - 1) // BLOCK


def chunks(first: int, last: int, *, is_descending: bool) -> Iterator[list[int]]:
    """The blocks that hold entries `first` to `last`, a few at a time, in the order in which they are read."""
    blocks = list(range(block_of(first), block_of(last) + 1)) if first <= last else []
    if is_descending:
        blocks.reverse()
    for start in range(0, len(blocks), BLOCKS_AT_ONCE):
        yield blocks[start : start + BLOCKS_AT_ONCE]


def _outcome(request: Request) -> tuple[Outcome, str]:
    match request.error:
        case Forbidden():
            return Outcome.REFUSED, str(request.error)
        case Hidden():
            return Outcome.HIDDEN, str(request.error)
        case _ if request.failure:
            return Outcome.FAILED, request.failure
        case _:
            return Outcome.DONE, ""
