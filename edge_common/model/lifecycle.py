"""THE states of an instance: their order, who may write each, and which step may follow which.

`desired` is intent and is written by intent only; `state` is observed. docs/lifecycle.md says the same in prose.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from edge_common.model.errors import HedgerowError


class Desired(StrEnum):
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


class State(StrEnum):
    REQUESTED = "REQUESTED"
    CLUSTER_SCHEDULED = "CLUSTER_SCHEDULED"
    NODE_SCHEDULED = "NODE_SCHEDULED"
    CREATING = "CREATING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    UNDEPLOYED = "UNDEPLOYED"
    DEAD = "DEAD"


class Health(StrEnum):
    """Beside RUNNING only: what the instance's own probes say. Without probes a running process is HEALTHY."""

    UNKNOWN = "unknown"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Tier(StrEnum):
    ROOT = "root"
    CLUSTER = "cluster"
    NODE = "node"


class Reason(StrEnum):
    """Why an instance is not where it is wanted; `detail` beside it says it in a sentence."""

    NONE = ""
    NO_CANDIDATE = "NO_CANDIDATE"
    NO_CAPACITY = "NO_CAPACITY"
    NOT_ELIGIBLE = "NOT_ELIGIBLE"
    TARGET_NOT_FOUND = "TARGET_NOT_FOUND"
    TARGET_NOT_READY = "TARGET_NOT_READY"
    TARGET_NO_CAPACITY = "TARGET_NO_CAPACITY"
    NODE_LOST = "NODE_LOST"
    CLUSTER_LOST = "CLUSTER_LOST"
    IMAGE_NOT_FOUND = "IMAGE_NOT_FOUND"
    IMAGE_REFUSED = "IMAGE_REFUSED"
    IMAGE_UNREACHABLE = "IMAGE_UNREACHABLE"
    START_FAILED = "START_FAILED"
    EXITED = "EXITED"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    UNHEALTHY = "UNHEALTHY"
    BACKING_OFF = "BACKING_OFF"
    PORT_TAKEN = "PORT_TAKEN"
    RUNTIME_MISSING = "RUNTIME_MISSING"


TERMINAL = frozenset({State.COMPLETED, State.FAILED, State.UNDEPLOYED, State.DEAD})

RANK: Mapping[State, int] = MappingProxyType(
    {
        State.REQUESTED: 0,
        State.CLUSTER_SCHEDULED: 1,
        State.NODE_SCHEDULED: 2,
        State.CREATING: 3,
        State.RUNNING: 4,
        State.COMPLETED: 5,
        State.FAILED: 5,
        State.UNDEPLOYED: 6,
        State.DEAD: 7,
    }
)

WRITERS: Mapping[State, frozenset[Tier]] = MappingProxyType(
    {
        State.REQUESTED: frozenset({Tier.ROOT}),
        State.CLUSTER_SCHEDULED: frozenset({Tier.ROOT, Tier.CLUSTER}),
        State.NODE_SCHEDULED: frozenset({Tier.CLUSTER}),
        State.CREATING: frozenset({Tier.NODE}),
        State.RUNNING: frozenset({Tier.NODE}),
        State.COMPLETED: frozenset({Tier.NODE}),
        State.FAILED: frozenset({Tier.NODE}),
        State.UNDEPLOYED: frozenset(Tier),
        State.DEAD: frozenset({Tier.ROOT, Tier.CLUSTER}),
    }
)
"""A parent says UNDEPLOYED itself only for an instance of which its child surely has nothing, and a cluster
CLUSTER_SCHEDULED only to add the reason why it has not placed one."""

_BEFORE_NODE = frozenset({State.UNDEPLOYED, State.DEAD})

TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.REQUESTED: _BEFORE_NODE | {State.CLUSTER_SCHEDULED},
        State.CLUSTER_SCHEDULED: _BEFORE_NODE | {State.NODE_SCHEDULED},
        State.NODE_SCHEDULED: _BEFORE_NODE | {State.CREATING},
        State.CREATING: _BEFORE_NODE | {State.RUNNING, State.FAILED},
        State.RUNNING: _BEFORE_NODE | {State.COMPLETED, State.FAILED},
        State.COMPLETED: _BEFORE_NODE,
        State.FAILED: _BEFORE_NODE,
        State.UNDEPLOYED: frozenset(),
        State.DEAD: frozenset(),
    }
)
"""The steps within one attempt. A new attempt begins at CREATING again, from CREATING or RUNNING of the one before."""


class IllegalTransition(HedgerowError):
    pass


def check_transition(before: State, after: State, *, is_new_attempt: bool = False) -> None:
    """Raise IllegalTransition unless the writer of `before` may write `after` next."""
    if is_new_attempt:
        if after is State.CREATING and before not in TERMINAL:
            return
    elif after is before or after in TRANSITIONS[before]:
        return
    kind = "a new attempt" if is_new_attempt else "one attempt"
    raise IllegalTransition(f"{before} -> {after} is no step of {kind}; docs/lifecycle.md lists the steps.")
