"""Numbers used once: they make a join request worthless for whoever recorded it."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from threading import Lock

from edge_common.link.join_refusals import Ground, JoinRefused
from edge_common.model.errors import Overloaded
from edge_common.plumbing.clock import Clock

NONCE_LIFE_S = 60.0
MAX_SPENT = 10_000
_KEY_BYTES = 32
_SALT_BYTES = 12
_MAX_LENGTH = 200


class Nonces:
    """Handing one out costs no memory; those that were spent are remembered until they would be stale anyway.

    Thread-safe. The key is this process's own, so a restart makes every nonce stale.
    """

    def __init__(self, clock: Clock, capacity: int = MAX_SPENT) -> None:
        self._clock = clock
        self._capacity = capacity
        self._key = secrets.token_bytes(_KEY_BYTES)
        self._spent: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def new(self) -> str:
        stamp = f"{int(self._clock.monotonic_s() * 1000):x}.{secrets.token_hex(_SALT_BYTES)}"
        return f"{stamp}.{self._seal(stamp)}"

    def check(self, nonce: str) -> None:
        """Raises JoinRefused when it is not one of ours, too old, or was spent."""
        stamp, _, seal = nonce.rpartition(".")
        is_ours = len(nonce) <= _MAX_LENGTH and hmac.compare_digest(self._seal(stamp).encode(), seal.encode())
        if not is_ours or self._clock.monotonic_s() - int(stamp.partition(".")[0], 16) / 1000 > NONCE_LIFE_S:
            raise JoinRefused(
                Ground.STALE_NONCE,
                f"The nonce is older than {NONCE_LIFE_S:.0f} s or not from here; ask for a new one and try again.",
            )
        if nonce in self._spent:
            raise self._replayed()

    def spend(self, nonce: str) -> None:
        """Raises JoinRefused when somebody was quicker, Overloaded when too many were spent within their life."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            while self._spent and next(iter(self._spent.values())) <= now_s:
                self._spent.popitem(last=False)
            if nonce in self._spent:
                raise self._replayed()
            if len(self._spent) >= self._capacity:
                raise Overloaded("Too many join at once; try again in a minute.")
            self._spent[nonce] = now_s + NONCE_LIFE_S

    def _seal(self, stamp: str) -> str:
        return hmac.new(self._key, stamp.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def _replayed(self) -> JoinRefused:
        return JoinRefused(Ground.REPLAYED, "This request was made before; a join request is good for one time only.")
