"""Join tokens, `<id>.<secret>`, and the secrets of children: 256 random bits each, so a plain hash is safe at rest."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from edge_common.model.errors import InvalidInput
from edge_common.model.ids import ChildId

SECRET_BYTES = 32
MIN_SECRET_LENGTH = 32
_TOKEN_ID_BYTES = 4
_CHILD_ID_LENGTH = 24


@dataclass(frozen=True, slots=True)
class JoinToken:
    token_id: str
    secret: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.token_id}.{self.secret}"


def new_token() -> JoinToken:
    return JoinToken(secrets.token_hex(_TOKEN_ID_BYTES), new_secret())


def new_secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def parse_token(text: str) -> JoinToken:
    """Raises InvalidInput; the message does not repeat the text."""
    token_id, dot, secret = text.strip().partition(".")
    if not (dot and token_id.isalnum() and token_id.isascii() and len(secret) >= MIN_SECRET_LENGTH):
        raise InvalidInput("A join token looks like ID.SECRET; this text does not.", "token")
    return JoinToken(token_id, secret)


def child_id_of(secret: str) -> ChildId:
    """A child is named by its secret: nobody else can claim its id, and it keeps it when its parent forgot all."""
    return ChildId(hashlib.sha256(b"hedgerow child " + secret.encode()).hexdigest()[:_CHILD_ID_LENGTH])


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret_of(secret: str, secret_hash: str) -> bool:
    return hmac.compare_digest(hash_secret(secret).encode(), secret_hash.encode())
