"""Secrets and configuration objects: values that people keep apart from their SLAs, and how a service uses them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

ValueId = NewType("ValueId", str)

MAX_VALUE_BYTES = 65_536
MAX_BOX = 131_072
"""Characters; a value of the largest size with what sealing adds, as base64, is some 88,000."""


class ValueKind(StrEnum):
    """A SECRET is shown to nobody but the instances that name it; a CONFIG may be read by whoever may see it."""

    SECRET = "secret"  # noqa: S105 - a kind, not a secret
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class ValueRef:
    """One version of a value. A version never changes, so a new one is another spec."""

    kind: ValueKind
    name: str
    value_id: ValueId = ValueId("")
    version: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.name} version {self.version}"


@dataclass(frozen=True, slots=True)
class Attachment:
    """How an instance gets a value: as the environment variable `variable`, or as a file at `path`.

    `uid` None is the instance's own user, who owns the file in any case but this.
    """

    ref: ValueRef
    variable: str = ""
    path: str = ""
    mode: int = 0o400
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class SealedValue:
    """A value that only one machine can open. `box` is base64."""

    value_id: ValueId
    version: int
    box: str = field(metadata={"max_length": MAX_BOX}, repr=False)


@dataclass(frozen=True, slots=True)
class OpenValue:
    """A value in the clear, for as long as an instance is being made. Never written, never logged."""

    value_id: ValueId
    version: int
    data: bytes = field(repr=False)


def sealing_context(value_id: ValueId, version: int) -> str:
    """What a box is bound to besides its reader: it cannot be passed off as another value or version."""
    return f"{value_id}/{version}"
