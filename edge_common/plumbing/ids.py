"""New ids. The only source of chance for them, so that cores take them as arguments."""

import secrets

from edge_common.plumbing.clock import Clock


def random_id() -> str:
    """24 hexadecimal digits, as Oakestra's are."""
    return secrets.token_hex(12)


def new_secret() -> str:
    """256 random bits, as 43 characters that need no quoting."""
    return secrets.token_urlsafe(32)


def boot_id(clock: Clock) -> str:
    """Another one for each start of a process; later starts sort later."""
    return f"{int(clock.now_s() * 1000):x}-{secrets.token_hex(4)}"
