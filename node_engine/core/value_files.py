"""Where the secrets and configuration objects of an instance go: files, and variables that its first program adds.

containerd writes all that it is told to disk, so no value is in the spec: only the names of files on a file system in
memory. Environment variables are in one of them, from which the entry program takes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_common.model.errors import InvalidInput
from node_engine.core.task import TaskPlan

ENTRY = "/.hedgerow/entry"
ENVIRONMENT = "/.hedgerow/environment"


@dataclass(frozen=True, slots=True)
class ValueFile:
    """`path` is the instance's. `uid` None is its user."""

    path: str
    data: bytes = field(repr=False)
    mode: int
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class ValueMount:
    """`source` is a file of the node, in memory."""

    source: str
    path: str


def files_of(plan: TaskPlan) -> tuple[ValueFile, ...]:
    """With the environment's own, when there are variables. Raises InvalidInput for a value that can be none."""
    found = [
        ValueFile(each.path, plan.value_of(each.ref), each.mode, each.uid)
        for each in plan.spec.attachments
        if each.path
    ]
    if has_variables(plan):
        found.append(ValueFile(ENVIRONMENT, _environment(plan), 0o400))
    return tuple(found)


def has_variables(plan: TaskPlan) -> bool:
    return any(each.variable for each in plan.spec.attachments)


def started_by_entry(arguments: Sequence[str], plan: TaskPlan) -> list[str]:
    return [ENTRY, *arguments] if has_variables(plan) else list(arguments)


def _environment(plan: TaskPlan) -> bytes:
    """NAME=value, each ended by a NUL."""
    variables = bytearray()
    for each in plan.spec.attachments:
        if each.variable:
            value = plan.value_of(each.ref)
            if b"\0" in value:
                raise InvalidInput(
                    f"The {each.ref} has a NUL byte, so it cannot be the variable {each.variable}; give it a path.",
                    "secrets",
                )
            variables += each.variable.encode() + b"=" + value + b"\0"
    return bytes(variables)
