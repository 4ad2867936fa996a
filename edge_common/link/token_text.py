"""Join tokens as people paste them: `<id>.<secret>.<fingerprint of the parent's CA>`."""

import re
from dataclasses import dataclass, field

from edge_common.model.errors import InvalidInput
from edge_common.plumbing.pki import FINGERPRINT_LENGTH

MIN_SECRET_LENGTH = 32
_TOKEN = re.compile(
    rf"(?P<id>[A-Za-z0-9]{{1,64}})\.(?P<secret>[A-Za-z0-9_-]{{{MIN_SECRET_LENGTH},256}})"
    rf"(\.(?P<ca>[0-9a-f]{{{FINGERPRINT_LENGTH}}}))?"
)


@dataclass(frozen=True, slots=True)
class JoinToken:
    """`ca_fingerprint` "" pins nothing."""

    token_id: str
    secret: str = field(repr=False)
    ca_fingerprint: str = ""

    def __str__(self) -> str:
        return ".".join(part for part in (self.token_id, self.secret, self.ca_fingerprint) if part)


def parse_token(text: str) -> JoinToken:
    """Raises InvalidInput; the message does not repeat the text."""
    match = _TOKEN.fullmatch(text.strip())
    if match is None:
        raise InvalidInput("A join token looks like ID.SECRET.FINGERPRINT; this text does not.", "token")
    return JoinToken(match["id"], match["secret"], match["ca"] or "")
