"""What a child is called, by its key: parents and children say the same."""

import hashlib
from typing import Final

from edge_common.model.ids import ChildId

CHILD_ID_LENGTH: Final = 24


def child_id_of(public_der: bytes) -> ChildId:
    """A child is named by its key: nobody else can claim its id, and it keeps it when its parent forgot all."""
    return ChildId(hashlib.sha256(b"hedgerow child " + public_der).hexdigest()[:CHILD_ID_LENGTH])


def key_fingerprint_of(public_der: bytes) -> str:
    return hashlib.sha256(public_der).hexdigest()
