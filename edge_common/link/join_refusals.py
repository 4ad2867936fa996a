"""Why a newcomer is turned away. Each ground has its sentence for the newcomer and its word in the log."""

from enum import StrEnum

from edge_common.model.errors import Unauthenticated


class Ground(StrEnum):
    """The value is what `reason=` says in the log."""

    WRONG_TOKEN = "wrong_token"  # noqa: S105 - a word for the log
    EXPIRED_TOKEN = "expired_token"  # noqa: S105
    REVOKED_TOKEN = "revoked_token"  # noqa: S105
    USED_UP_TOKEN = "used_up_token"  # noqa: S105
    WRONG_KIND = "wrong_kind"
    STALE_NONCE = "stale_nonce"
    REPLAYED = "replayed"
    BAD_PROOF = "bad_proof"
    ANOTHERS_ID = "anothers_id"
    FORGOTTEN = "forgotten"
    GRACE_OVER = "grace_over"
    TURNED_DOWN = "turned_down"
    ROOM_CLOSED = "waiting_room_off"


class JoinRefused(Unauthenticated):
    def __init__(self, ground: Ground, message: str) -> None:
        super().__init__(message)
        self.ground = ground
