"""How often one address may ask for something that costs us work before we know who asks."""

import ipaddress
from collections import OrderedDict
from threading import Lock

from edge_common.model.errors import RateLimited
from edge_common.plumbing.clock import Clock


class RateLimit:
    """A bucket of `burst` requests an address, refilled by `per_s` each second. Thread-safe.

    Remembers `capacity` addresses and drops who asked the longest ago. An IPv6 address counts as its /64, which is
    what one customer has.
    """

    def __init__(self, clock: Clock, *, burst: int, per_s: float, capacity: int = 10_000) -> None:
        self._clock = clock
        self._burst = burst
        self._per_s = per_s
        self._capacity = capacity
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def check(self, address: str) -> None:
        """Raises RateLimited."""
        key = network_of(address)
        with self._lock:
            now_s = self._clock.monotonic_s()
            left, since_s = self._buckets.pop(key, (float(self._burst), now_s))
            left = min(float(self._burst), left + (now_s - since_s) * self._per_s)
            is_over = left < 1.0
            self._buckets[key] = (left if is_over else left - 1.0, now_s)
            while len(self._buckets) > self._capacity:
                self._buckets.popitem(last=False)
        if is_over:
            raise RateLimited("Too many requests from this address; wait a few seconds and try again.")


def network_of(address: str) -> str:
    """The /64 of an IPv6 address, the IPv4 address of one that is mapped into IPv6; anything else is itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))
