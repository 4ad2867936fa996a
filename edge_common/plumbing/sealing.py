"""Values sealed for one reader: X25519 and AES-256-GCM. The same value for the same reader gives the same box.

`cryptography` costs megabytes, so it is imported where it is used: a node without secrets never pays for it.
"""

import base64
import binascii
import hashlib
import hmac
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from edge_common.model.errors import Broken, InvalidInput
from edge_common.plumbing.files import read_or_make_secret, write_secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

KEY_BYTES = 32
_NONCE = bytes(12)
"""One nonce does: the key of a box is made of all that the box holds, so it never seals anything else."""


class SealingKey:
    """The key of one reader, who may also be a sender. Neither `repr` nor pickle shows it."""

    def __init__(self, secret: bytes, public: str = "") -> None:
        """`secret` is 32 random bytes. `public` is what belongs to it, when that is known already."""
        self._secret = secret
        self._known_public = public

    def __reduce__(self) -> NoReturn:
        raise TypeError("A sealing key stays where it is.")

    @cached_property
    def public(self) -> str:
        """Base64; whoever has it can seal for this reader."""
        return self._known_public or base64.b64encode(self._public_bytes).decode()

    @cached_property
    def _key(self) -> "X25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        return X25519PrivateKey.from_private_bytes(_derive(self._secret, b"hedgerow sealing key"))

    @cached_property
    def _public_bytes(self) -> bytes:
        return _raw(self._key.public_key())

    @cached_property
    def _sender_secret(self) -> bytes:
        return _derive(self._secret, b"hedgerow sealing sender")

    def seal(self, data: bytes, recipient: str, context: str) -> str:
        """A box (base64) that only `recipient` (a `public`) opens, and only with the same context.

        Which key a box gets depends on its reader, its context and all of its content, and on our secret: so it is
        always the same one, and a message with it keeps its digest. Raises InvalidInput when `recipient` is no key.
        """
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        reader = _public_key(recipient)
        reader_bytes = _raw(reader)
        mac = hmac.new(self._sender_secret, digestmod=hashlib.sha256)
        for part in (reader_bytes, context.encode(), data):
            mac.update(len(part).to_bytes(8, "big") + part)
        ephemeral = X25519PrivateKey.from_private_bytes(mac.digest())
        sender_bytes = _raw(ephemeral.public_key())
        key = _box_key(_exchange(ephemeral, reader), sender_bytes, reader_bytes)
        return base64.b64encode(sender_bytes + AESGCM(key).encrypt(_NONCE, data, context.encode())).decode()

    def open(self, box: str, context: str) -> bytes:
        """Raises InvalidInput for a box that is for another reader or of another context, or that is none."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            raw = base64.b64decode(box, validate=True)
            sender_bytes, sealed = raw[:KEY_BYTES], raw[KEY_BYTES:]
            shared = self._key.exchange(X25519PublicKey.from_public_bytes(sender_bytes))
            key = _box_key(shared, sender_bytes, self._public_bytes)
            return AESGCM(key).decrypt(_NONCE, sealed, context.encode())
        except (InvalidTag, ValueError, binascii.Error):
            raise InvalidInput("A sealed value is not for this machine, or was changed on its way.") from None


def new_sealing_key() -> SealingKey:
    """One that nobody keeps."""
    return SealingKey(os.urandom(KEY_BYTES))


def load_or_make_sealing_key(file: Path) -> SealingKey:
    """From a file of mode 0600, made at the first start. Raises Broken when it holds something else.

    The public half is kept beside it, with a mark of the key that it belongs to.
    """
    secret = read_or_make_key(file)
    mark = hashlib.sha256(b"hedgerow sealing mark " + secret).hexdigest()
    public_file = file.with_name(f"{file.name}.pub")
    kept = public_file.read_text("utf-8").split() if public_file.exists() else []
    if len(kept) == 2 and kept[0] == mark:
        return SealingKey(secret, kept[1])
    key = SealingKey(secret)
    write_secret(public_file, f"{mark} {key.public}\n")
    return key


def read_or_make_key(file: Path) -> bytes:
    """32 bytes from a file of mode 0600, made at random when there is none. Raises Broken."""
    text = read_or_make_secret(file, _new_key)
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise Broken(f"{file} is damaged: it should hold 32 bytes as base64. Put it back from a backup.")
    return key


def _new_key() -> str:
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return _hkdf(None, purpose, secret)


def _box_key(shared: bytes, sender: bytes, reader: bytes) -> bytes:
    return _hkdf(sender + reader, b"hedgerow box", shared)


def _hkdf(salt: bytes | None, info: bytes, secret: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt=salt, info=info).derive(secret)


def _exchange(key: "X25519PrivateKey", reader: "X25519PublicKey") -> bytes:
    try:
        return key.exchange(reader)
    except ValueError:  # a point for which every key gives the same secret
        raise InvalidInput("A sealing key must be one that was made at random.", "sealing_key") from None


def _public_key(text: str) -> "X25519PublicKey":
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    try:
        return X25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        raise InvalidInput("A sealing key is 32 bytes as base64.", "sealing_key") from None


def _raw(key: "X25519PublicKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
