"""Values encrypted at rest, with a key that is not where they are."""

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge_common.model.errors import Broken
from edge_common.plumbing.sealing import SealingKey, read_or_make_key

_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Locked:
    """`key_id` names the key, so that a wrong one is known before it is tried. `text` is base64."""

    key_id: str
    text: str


class Vault:
    """AES-256-GCM; a value is bound to its context, so that two cannot be exchanged for one another."""

    def __init__(self, key: bytes, source: str = "the key") -> None:
        """`key` is 32 random bytes, `source` what messages call where it came from."""
        self._cipher = AESGCM(key)
        self._source = source
        self.key_id = hashlib.sha256(b"hedgerow vault key " + key).hexdigest()[:16]
        self.sealing = SealingKey(hashlib.sha256(b"hedgerow vault sealing " + key).digest())

    def lock(self, data: bytes, context: str) -> Locked:
        nonce = os.urandom(_NONCE_BYTES)
        text = base64.b64encode(nonce + self._cipher.encrypt(nonce, data, context.encode())).decode()
        return Locked(self.key_id, text)

    def unlock(self, locked: Locked, context: str) -> bytes:
        """Raises Broken."""
        self.check(locked.key_id)
        try:
            raw = base64.b64decode(locked.text, validate=True)
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError):
            raise Broken(f"The stored value {context} was changed; restore the database from a backup.") from None

    def check(self, key_id: str) -> None:
        """Raises Broken unless what bears this id was locked with our key."""
        if key_id != self.key_id:
            raise Broken(
                f"Stored secrets were encrypted with the key {key_id}, and {self._source} is the key {self.key_id}. "
                "Put the right key file back; without it they cannot be read by anybody."
            )


def open_vault(file: Path) -> Vault:
    """With the key in `file` (mode 0600), which is made when there is none. Raises Broken when it is no key."""
    return Vault(read_or_make_key(file), str(file))


def new_vault() -> Vault:
    """With a key that nobody keeps."""
    return Vault(os.urandom(32), "a key in memory")
