"""Keeps the C library from holding on to memory that was needed once."""

import ctypes

_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 1 << 20


def give_back_large_blocks() -> None:
    """From now on a block of a mebibyte or more goes back to the system when it is freed.

    glibc raises that limit by itself after the first large block, and each thread then keeps one for good.
    Does nothing with another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
