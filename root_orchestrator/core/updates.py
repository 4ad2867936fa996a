"""How a changed spec comes to a service's instances, and how far it has come."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edge_common.model.service import ServiceSpec


class Strategy(StrEnum):
    """CANARY stops after the first few, BLUE_GREEN when all new ones stand beside the old, both until the promotion."""

    ROLLING = "rolling"
    CANARY = "canary"
    BLUE_GREEN = "blue_green"


class Order(StrEnum):
    """In one slot. AUTO is stop-first where two instances cannot be beside each other, else start-first."""

    AUTO = "auto"
    START_FIRST = "start_first"
    STOP_FIRST = "stop_first"


class OnFailure(StrEnum):
    ROLLBACK = "rollback"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Share:
    """A number of slots, or a percentage of them."""

    number: int
    is_percent: bool = False

    def of(self, total: int, *, rounds_up: bool) -> int:
        if not self.is_percent:
            return self.number
        return -(-total * self.number // 100) if rounds_up else total * self.number // 100

    def __str__(self) -> str:
        return f"{self.number}%" if self.is_percent else str(self.number)


@dataclass(frozen=True, slots=True)
class UpdatePolicy:
    """Beside the spec, not in it: another policy replaces no instance.

    `max_unavailable` None is 0 for start-first and 1 for stop-first; only then may AUTO stop first for want of room.
    `promote_after_s` None waits for an operator.
    """

    strategy: Strategy = Strategy.ROLLING
    order: Order = Order.AUTO
    max_unavailable: Share | None = None
    max_surge: Share = Share(25, is_percent=True)
    min_healthy_s: float = 3.0
    deadline_s: float = 600.0
    on_failure: OnFailure = OnFailure.ROLLBACK
    canary: Share = Share(1)
    promote_after_s: float | None = None


class Phase(StrEnum):
    """WAITING is for a promotion. PAUSED takes no step until it is resumed, FAILED goes on trying but says so."""

    ROLLING = "rolling"
    WAITING = "waiting"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Rollout:
    """How the newest spec fares, as far as it has to be remembered. Times are the root's wall clock.

    `healthy` is how many new instances were well at `progress_at_s`. `stable_revision` is the newest revision of which
    all instances were well at once, 0 while there was none.
    """

    phase: Phase = Phase.ROLLING
    started_at_s: float = 0.0
    progress_at_s: float = 0.0
    healthy: int = 0
    waiting_since_s: float = 0.0
    is_promoted: bool = False
    is_rollback: bool = False
    stable_revision: int = 0
    reason: str = ""

    @property
    def is_held(self) -> bool:
        return self.phase is Phase.PAUSED


@dataclass(frozen=True, slots=True)
class Version:
    """An earlier spec of a service. `since_s` is when it became wanted, `cause` why when nobody asked for it."""

    revision: int
    spec: ServiceSpec
    sla: dict[str, Any]
    since_s: float = 0.0
    cause: str = ""
