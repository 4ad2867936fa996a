"""Join tokens, `<id>.<secret>.<fingerprint of the parent's CA>`: what they look like, and which are good here.

A secret has 256 random bits, so a plain hash is safe at rest.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from edge_common.link.join_refusals import Ground, JoinRefused
from edge_common.link.token_text import JoinToken, parse_token
from edge_common.model.errors import Broken, Conflict, InvalidInput, NotFound, Temporary
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.documents.codec import decode, encode
from edge_common.plumbing.documents.interface import Document, Documents
from edge_common.plumbing.files import write_secret
from edge_common.wire.join_messages import ChildKind

JOIN_TOKENS = "join_tokens"
SECRET_BYTES = 32
MAX_TOKENS = 1_000
KEEP_DEAD_S = 30 * 86_400.0
"""How long a token that is expired or revoked is still shown."""
_TOKEN_ID_BYTES = 4
_ATTEMPTS = 16


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is kept of a token. `expires_at_s` and `max_uses` None: never, and any number. `is_file`: the one of this
    machine's own file."""

    token_id: str
    kind: ChildKind
    secret_hash: str = field(repr=False)
    created_at_s: float = 0.0
    expires_at_s: float | None = None
    max_uses: int | None = None
    uses: int = 0
    note: str = ""
    is_revoked: bool = False
    is_file: bool = False

    def state(self, now_s: float) -> str:
        """good, revoked, expired or used up."""
        if self.is_revoked:
            return "revoked"
        if self.expires_at_s is not None and now_s >= self.expires_at_s:
            return "expired"
        return "used up" if self.max_uses is not None and self.uses >= self.max_uses else "good"


TokenChange: TypeAlias = Callable[[TokenRecord], TokenRecord]

_MESSAGES: Mapping[Ground, str] = {
    Ground.WRONG_TOKEN: "The join token is not one of this parent's; ask its operator for one that is.",
    Ground.EXPIRED_TOKEN: "The join token has expired; ask an operator for a new one.",
    Ground.REVOKED_TOKEN: "The join token was revoked; ask an operator for a new one.",
    Ground.USED_UP_TOKEN: "The join token was used as often as it may be; ask an operator for a new one.",
}
_GROUND_OF: Mapping[str, Ground] = {
    "revoked": Ground.REVOKED_TOKEN,
    "expired": Ground.EXPIRED_TOKEN,
    "used up": Ground.USED_UP_TOKEN,
}


def new_secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def mint(ca_fingerprint: str) -> JoinToken:
    """A token that nobody knows yet."""
    return JoinToken(secrets.token_hex(_TOKEN_ID_BYTES), new_secret(), ca_fingerprint)


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret_of(secret: str, secret_hash: str) -> bool:
    return hmac.compare_digest(hash_secret(secret).encode(), secret_hash.encode())


class JoinTokens:
    """The tokens of one parent, which all admit children of one kind. Thread-safe, also across processes."""

    def __init__(
        self, documents: Documents, clock: Clock, kind: ChildKind, ca_fingerprint: str, life_s: float, file: Path
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._kind = kind
        self._ca_fingerprint = ca_fingerprint
        self._life_s = life_s
        self._file = file

    def create(
        self, life_s: float | None = None, max_uses: int | None = None, note: str = ""
    ) -> tuple[JoinToken, TokenRecord]:
        """`life_s` None is the default of this parent. Raises Conflict when there are too many."""
        self._forget_dead()
        if len(self.records()) >= MAX_TOKENS:
            raise Conflict(f"There are {MAX_TOKENS} join tokens; revoke some that are not needed.")
        token = mint(self._ca_fingerprint)
        now_s = self._clock.now_s()
        ends_s = now_s + (self._life_s if life_s is None else life_s)
        record = TokenRecord(token.token_id, self._kind, hash_secret(token.secret), now_s, ends_s, max_uses, note=note)
        self._documents.insert(JOIN_TOKENS, encode(record, token.token_id))
        return token, record

    def records(self) -> list[TokenRecord]:
        """Oldest first."""
        found = [_record(document) for document in self._documents.find(JOIN_TOKENS)]
        return sorted(found, key=lambda record: (record.created_at_s, record.token_id))

    def rotate(self, token_id: str) -> tuple[JoinToken, TokenRecord]:
        """Another secret; it lives as long again, from now, and nobody has used it. The old secret is dead at once."""
        token = self._new_token(token_id)

        def renewed(record: TokenRecord) -> TokenRecord:
            if record.is_revoked:
                raise Conflict(f"The join token {token_id} is revoked; create another one.")
            now_s = self._clock.now_s()
            ends_s = None if record.expires_at_s is None else now_s + record.expires_at_s - record.created_at_s
            return replace(
                record, secret_hash=hash_secret(token.secret), created_at_s=now_s, expires_at_s=ends_s, uses=0
            )

        record = self._change(token_id, renewed)
        if record.is_file:
            write_secret(self._file, f"{token}\n")
        return token, record

    def revoke(self, token_id: str) -> TokenRecord:
        return self._change(token_id, lambda record: replace(record, is_revoked=True))

    def use(self, text: str, kind: ChildKind) -> str:
        """Counts one use and returns the token's id. Raises JoinRefused."""
        try:
            token = parse_token(text)
        except InvalidInput:
            raise _refused(Ground.WRONG_TOKEN) from None

        def used(record: TokenRecord) -> TokenRecord:
            self._check(record, token, kind)
            return replace(record, uses=record.uses + 1)

        try:
            self._change(token.token_id, used)
        except NotFound:
            raise _refused(Ground.WRONG_TOKEN) from None
        return token.token_id

    def ensure_file(self) -> None:
        """Makes the token in this machine's file, which never expires; later makes sure that it works.

        Raises Broken when the file holds something else.
        """
        try:
            token = parse_token(self._file.read_text())
        except FileNotFoundError:
            token = mint(self._ca_fingerprint)
        except InvalidInput as error:
            raise Broken(f"{self._file} holds no join token; delete it and a new one is made.") from error
        pinned = replace(token, ca_fingerprint=self._ca_fingerprint)
        if pinned != token or not self._file.exists():
            write_secret(self._file, f"{pinned}\n")
        found = self._documents.get(JOIN_TOKENS, token.token_id)
        if found is None:
            record = TokenRecord(
                token.token_id, self._kind, hash_secret(token.secret), self._clock.now_s(), note="this machine's file",
                is_file=True,
            )  # fmt: skip
            self._documents.put(JOIN_TOKENS, encode(record, token.token_id))
        elif _is_cut_off(_record(found), token):
            self.rotate(token.token_id)

    def take_in(self, file: Path) -> None:
        """The token that a set-up left for the first child: good once, for as long as any from when it was written.

        Raises Broken when the file holds something else.
        """
        try:
            token, made_at_s = parse_token(file.read_text()), file.stat().st_mtime
        except FileNotFoundError:
            return
        except InvalidInput as error:
            raise Broken(f"{file} holds no join token; delete it and set up again.") from error
        ends_s = made_at_s + self._life_s
        if ends_s > self._clock.now_s() and self._documents.get(JOIN_TOKENS, token.token_id) is None:
            hashed = hash_secret(token.secret)
            record = TokenRecord(token.token_id, self._kind, hashed, made_at_s, ends_s, 1, note="made by the set-up")
            self._documents.put(JOIN_TOKENS, encode(record, token.token_id))

    def drop_file(self) -> None:
        """Where others can come in, a token that never expires is none to have."""
        for record in self.records():
            if record.is_file or record.expires_at_s is None:
                self._documents.delete(JOIN_TOKENS, record.token_id)
        self._file.unlink(missing_ok=True)

    def _check(self, record: TokenRecord, token: JoinToken, kind: ChildKind) -> None:
        if not is_secret_of(token.secret, record.secret_hash):
            raise _refused(Ground.WRONG_TOKEN)
        if record.kind is not kind:
            raise _refused(Ground.WRONG_KIND, f"This join token admits a {record.kind}, not a {kind}.")
        state = record.state(self._clock.now_s())
        if state != "good":
            raise _refused(_GROUND_OF[state])

    def _new_token(self, token_id: str) -> JoinToken:
        return JoinToken(token_id, new_secret(), self._ca_fingerprint)

    def _change(self, token_id: str, change: TokenChange) -> TokenRecord:
        """Of several at once each sees what the one before did. Raises NotFound."""
        for _ in range(_ATTEMPTS):
            document = self._documents.get(JOIN_TOKENS, token_id)
            if document is None:
                raise NotFound(f"There is no join token {token_id[:64]!r}.")
            record = change(_record(document))
            if self._documents.replace(JOIN_TOKENS, encode(record, token_id), document["version"]):
                return record
        raise Temporary("Too many use this join token at once; try again.")

    def _forget_dead(self) -> None:
        until_s = self._clock.now_s() - KEEP_DEAD_S
        for record in self.records():
            dead_since_s = record.expires_at_s or (record.created_at_s if record.is_revoked else None)
            if dead_since_s is not None and dead_since_s < until_s:
                self._documents.delete(JOIN_TOKENS, record.token_id)


def _record(document: Document) -> TokenRecord:
    return decode(TokenRecord, {**document, "token_id": document["_id"]})


def _is_cut_off(record: TokenRecord, token: JoinToken) -> bool:
    """Whether a rotation ended before it reached the file, which holds `token`."""
    return record.is_file and not record.is_revoked and not is_secret_of(token.secret, record.secret_hash)


def _refused(ground: Ground, message: str = "") -> JoinRefused:
    return JoinRefused(ground, message or _MESSAGES[ground])
