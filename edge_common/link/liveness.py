"""Whether a child is ready, suspect or lost: pure, from what was heard and when.

Presence says it fast (the broker notices a broken connection); a lease decides. After the parent's own connection
broke, nothing that the broker remembers counts: each child has to prove itself anew.
"""

from dataclasses import dataclass

from edge_common.model.node import Readiness

DEFAULT_LEASE_S = 3.0
SILENCE_S = 25.0
"""An online child reports every 10 s; one that missed two is asked."""
ANSWER_S = 5.0
PROOF_S = 10.0
"""What a child has for its way back after the broker or its parent was away: a usual back-off and a report."""


@dataclass(slots=True)
class Liveness:
    """Monotonic seconds. `unheard_since_s` is None while the child is there."""

    lease_s: float
    unheard_since_s: float | None
    heard_s: float = 0.0
    asked_s: float | None = None
    unacked_since_s: float | None = None

    @property
    def is_online(self) -> bool:
        return self.unheard_since_s is None

    def heard(self, now_s: float) -> None:
        self.unheard_since_s = None
        self.heard_s = now_s
        self.asked_s = None

    def gone(self, now_s: float) -> None:
        if self.unheard_since_s is None:
            self.unheard_since_s = now_s

    def must_prove(self, now_s: float) -> None:
        """Count its absence from when its time to come back runs out, as if it had been heard until then."""
        self.unheard_since_s = now_s + max(0.0, PROOF_S - self.lease_s)

    def wants_asking(self, now_s: float) -> bool:
        return self.is_online and self.asked_s is None and now_s - self.heard_s > SILENCE_S

    def check(self, now_s: float) -> None:
        """A child that was asked and stays silent is gone, whatever its presence says."""
        if self.asked_s is not None and now_s - self.asked_s > ANSWER_S:
            self.gone(self.asked_s)

    def readiness(self, now_s: float, *, is_synced: bool) -> Readiness:
        if self.unheard_since_s is not None:
            return Readiness.LOST if now_s - self.unheard_since_s >= self.lease_s else Readiness.SUSPECT
        if not is_synced:
            return Readiness.SUSPECT
        if self.unacked_since_s is not None and now_s - self.unacked_since_s > self.lease_s:
            return Readiness.SUSPECT
        return Readiness.READY
