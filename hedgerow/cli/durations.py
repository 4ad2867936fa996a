"""How long something is good for, as people write and read it."""

import re
import time

from edge_common.model.errors import InvalidInput
from hedgerow.cli.output import age

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def ttl_s(text: str) -> int:
    """Raises InvalidInput that names the option."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if match is None:
        raise InvalidInput(f"--ttl {text}: write a number and s, m, h or d, as in 30d.", "ttl")
    return int(match.group(1)) * _UNITS_S[match.group(2)]


def left(expires_at: float | None) -> str:
    """`expires_at` is in seconds since the epoch; None is never."""
    if expires_at is None:
        return "never"
    left_s = expires_at - time.time()
    return f"in {age(left_s)}" if left_s > 0 else "expired"
