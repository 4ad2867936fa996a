"""How much of an instance's output is kept, and which part of it a reader gets. Offsets only ever grow.

An offset counts every byte the instance ever wrote; what is dropped is dropped from the front, so a cursor stays true
however much is dropped behind it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """At most `max_bytes` are kept for an instance; when there are more, the oldest go until `step_bytes` less remain.

    The defaults keep what four files of 10 MB would.
    """

    max_bytes: int = 40_000_000
    step_bytes: int = 10_000_000


DEFAULT_POLICY = LogPolicy()


@dataclass(frozen=True, slots=True)
class LogChunk:
    """`cursor` is where the next read goes on. `is_gap`: bytes between the wanted cursor and `data` were dropped."""

    data: bytes
    cursor: int
    is_gap: bool = False


def first_kept(size_bytes: int, start: int, policy: LogPolicy) -> int:
    """The offset before which all may go; `start`, the first byte still there, when nothing has to."""
    if size_bytes - start <= policy.max_bytes:
        return start
    return size_bytes - policy.max_bytes + policy.step_bytes


def tail_start(block: bytes, block_offset: int, lines: int) -> int | None:
    """Where the last `lines` lines of `block` begin; None when they begin before it.

    A last line without an end counts as one.
    """
    if lines <= 0:
        return block_offset + len(block)
    position = len(block) - 1 if block.endswith(b"\n") else len(block)
    for _ in range(lines):
        position = block.rfind(b"\n", 0, max(position, 0))
        if position < 0:
            return None
    return block_offset + position + 1
