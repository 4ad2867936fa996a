"""Keeps the C library from holding on to memory that was needed once."""

import ctypes
import gc

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 1 << 20
_ARENAS = 2


def give_back_large_blocks() -> None:
    """From now on a block of a mebibyte or more goes back to the system when it is freed.

    glibc raises that limit by itself after the first large block, and each thread then keeps one for good. It would
    also keep a heap for each thread, of which Python's lock lets only one run at a time.
    Does nothing with another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, _ARENAS)


def give_back_free_memory() -> None:
    """What was needed once, as for a start: pages that hold nothing go back to the system. Takes milliseconds.

    What is there then is taken to stay: later collections of garbage pass over it.
    """
    gc.collect()
    gc.freeze()
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
