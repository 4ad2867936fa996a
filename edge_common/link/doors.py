"""What an operator may do about who comes in: join tokens, the waiting room, forgetting. The same for both tiers.

Questions and answers are JSON objects: the root asks itself directly, and a cluster over its link.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge_common.link.join_desk import DoorParts
from edge_common.link.join_tokens import TokenRecord
from edge_common.link.token_text import JoinToken
from edge_common.link.waiting_room import REFUSED_S, Newcomer
from edge_common.model.errors import Conflict, InvalidInput
from edge_common.model.ids import ChildId
from edge_common.plumbing.clock import Clock
from edge_common.wire.codec import from_document

logger = logging.getLogger(__name__)

JOIN_TOKENS: Final = "join_tokens"
WAITING: Final = "waiting"
ADMIT: Final = "admit"
REFUSE: Final = "refuse"
FORGET: Final = "forget"
QUESTIONS: Final = frozenset({JOIN_TOKENS, WAITING, ADMIT, REFUSE, FORGET})
MIN_LIFE_S: Final = 60.0
MAX_LIFE_S: Final = 366 * 86_400.0
MAX_NOTE: Final = 256
MAX_USES: Final = 100_000

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TokenQuestion:
    """`action` is list, create, rotate or revoke. `life_s` None is the default here, `max_uses` None any number."""

    action: str
    token_id: str = ""
    life_s: float | None = None
    max_uses: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ChildQuestion:
    """`child` is an id, or a name where something is to be forgotten."""

    child: str
    is_forced: bool = False


class Doors:
    """Blocks on the store and the broker, so never ask it in a mailbox's thread.

    `is_ready` says whether a child is there now, `drop` makes the links forget it; both may block, too.
    """

    def __init__(
        self,
        parts: DoorParts,
        clock: Clock,
        is_ready: Callable[[ChildId], bool],
        drop: Callable[[ChildId], None],
    ) -> None:
        self._parts = parts
        self._clock = clock
        self._is_ready = is_ready
        self._drop = drop

    def answer(self, kind: str, body: Mapping[str, Any]) -> Answer:
        """Raises an error of the tree."""
        if kind == JOIN_TOKENS:
            return self._tokens(from_document(TokenQuestion, dict(body)))
        if kind == WAITING:
            now_s = self._clock.now_s()
            newcomers = [_newcomer_view(each, now_s) for each in self._parts.room.newcomers()]
            return {"is_open": self._parts.room.is_open, "newcomers": newcomers}
        if kind not in QUESTIONS:
            raise InvalidInput(f"There is no question {kind!r} about doors.", "kind")
        question = from_document(ChildQuestion, dict(body))
        if kind == ADMIT:
            return self._admit(question.child)
        if kind == REFUSE:
            return self._refuse(question.child)
        return self.forget(question.child, is_forced=question.is_forced)

    def forget(self, name_or_id: str, *, is_forced: bool) -> Answer:
        """Its key, its password and its certificate let it in no more, and what it had runs elsewhere.

        Raises NotFound, Conflict for one that is there and `is_forced` is not said, Temporary when the store, the
        broker or the mailbox is away: then it is forgotten in part, and asking again completes it.
        """
        member = self._parts.members.find(name_or_id)
        child_id, kind = member.child_id, member.kind
        if not is_forced and not member.is_forgotten and self._is_ready(child_id):
            raise Conflict(
                f"{kind.capitalize()} {member.name} is there and ready. Switch it off first, or force it: what it runs "
                "is then started elsewhere, and goes on there until it is switched off."
            )
        self._parts.members.forget(child_id)
        self._parts.broker.evict(child_id)
        self._drop(child_id)
        logger.info("event=forgotten child=%s kind=%s name=%r is_forced=%s", child_id, kind, member.name, is_forced)
        return {"child_id": child_id, "name": member.name}

    def _tokens(self, question: TokenQuestion) -> Answer:
        tokens, now_s = self._parts.tokens, self._clock.now_s()
        if question.action == "list":
            return {"tokens": [_token_view(record, now_s) for record in tokens.records()]}
        if question.action == "create":
            _check_wish(question)
            made = tokens.create(question.life_s, question.max_uses, question.note)
            logger.info("event=join_token_created token=%s note=%r", made[0].token_id, question.note)
            return _with_text(*made, now_s)
        if question.action == "rotate":
            made = tokens.rotate(question.token_id)
            logger.info("event=join_token_rotated token=%s", question.token_id)
            return _with_text(*made, now_s)
        if question.action == "revoke":
            record = tokens.revoke(question.token_id)
            logger.info("event=join_token_revoked token=%s", record.token_id)
            return _token_view(record, now_s)
        raise InvalidInput("action must be list, create, rotate or revoke.", "action")

    def _admit(self, child_id: str) -> Answer:
        newcomer = self._parts.room.find(child_id)
        self._parts.members.admit(newcomer.child_id, newcomer.kind, newcomer.name, newcomer.key_fingerprint, "operator")
        self._parts.room.leave(newcomer.child_id)
        logger.info("event=admitted child=%s by=operator address=%s", newcomer.child_id, newcomer.address)
        return _newcomer_view(newcomer, self._clock.now_s()) | {"state": "admitted"}

    def _refuse(self, child_id: str) -> Answer:
        newcomer = self._parts.room.refuse(child_id)
        logger.info("event=newcomer_refused child=%s address=%s", newcomer.child_id, newcomer.address)
        return _newcomer_view(newcomer, self._clock.now_s())


def _check_wish(question: TokenQuestion) -> None:
    if question.life_s is not None and not MIN_LIFE_S <= question.life_s <= MAX_LIFE_S:
        raise InvalidInput(f"life_s must be from {MIN_LIFE_S:.0f} to {MAX_LIFE_S:.0f}.", "life_s")
    if question.max_uses is not None and not 1 <= question.max_uses <= MAX_USES:
        raise InvalidInput(f"max_uses must be from 1 to {MAX_USES}.", "max_uses")
    if len(question.note) > MAX_NOTE or not question.note.isprintable():
        raise InvalidInput(f"note must be at most {MAX_NOTE} printable characters.", "note")


def _with_text(token: JoinToken, record: TokenRecord, now_s: float) -> Answer:
    """The only answers that have the secret."""
    return {**_token_view(record, now_s), "token": str(token)}


def _token_view(record: TokenRecord, now_s: float) -> Answer:
    return {
        "token_id": record.token_id,
        "kind": record.kind.value,
        "state": record.state(now_s),
        "created_at": record.created_at_s,
        "expires_at": record.expires_at_s,
        "max_uses": record.max_uses,
        "uses": record.uses,
        "note": record.note,
    }


def _newcomer_view(newcomer: Newcomer, now_s: float) -> Answer:
    is_refused = newcomer.refused_at_s is not None
    return {
        "child_id": newcomer.child_id,
        "kind": newcomer.kind.value,
        "name": newcomer.name,
        "key_fingerprint": newcomer.key_fingerprint,
        "address": newcomer.address,
        "state": "refused" if is_refused else "waiting",
        "first_asked_at": newcomer.first_asked_at_s,
        "age_s": max(0.0, now_s - newcomer.asked_at_s),
        "refused_until": None if newcomer.refused_at_s is None else newcomer.refused_at_s + REFUSED_S,
    }
