"""How often somebody may guess a password."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from threading import Lock

from edge_common.model.errors import RateLimited
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.rate_limit import network_of


class LoginLimiter:
    """So many failures within a window for each name and address together, and so many for each address; then it waits.

    The second bound is higher, since many people may share an address. An IPv6 address counts as its /64.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        failures: int = 10,
        address_failures: int = 100,
        window_s: float = 60.0,
        capacity: int = 10_000,
    ) -> None:
        self._clock = clock
        self._window_s = window_s
        self._by_name = _Failures(failures, window_s, capacity)
        self._by_address = _Failures(address_failures, window_s, capacity)
        self._lock = Lock()

    def check(self, username: str, address: str) -> None:
        """Raises RateLimited."""
        now_s, address = self._clock.monotonic_s(), network_of(address)
        with self._lock:
            if self._by_name.is_full((username, address), now_s) or self._by_address.is_full(address, now_s):
                raise RateLimited(f"Too many failed logins; wait {self._window_s:.0f} s and try again.")

    def failed(self, username: str, address: str) -> None:
        now_s, address = self._clock.monotonic_s(), network_of(address)
        with self._lock:
            self._by_name.add((username, address), now_s)
            self._by_address.add(address, now_s)

    def succeeded(self, username: str, address: str) -> None:
        with self._lock:
            self._by_name.forget((username, network_of(address)))


class _Failures:
    """The moments of the last few failures of each key; the keys that were quiet longest are forgotten first."""

    def __init__(self, bound: int, window_s: float, capacity: int) -> None:
        self._bound = bound
        self._window_s = window_s
        self._capacity = capacity
        self._at_s: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def is_full(self, key: Hashable, now_s: float) -> bool:
        failed = self._at_s.get(key)
        if failed is None:
            return False
        while failed and failed[0] <= now_s - self._window_s:
            failed.popleft()
        return len(failed) >= self._bound

    def add(self, key: Hashable, now_s: float) -> None:
        self._at_s.setdefault(key, deque(maxlen=self._bound)).append(now_s)
        self._at_s.move_to_end(key)
        while len(self._at_s) > self._capacity:
            self._at_s.popitem(last=False)

    def forget(self, key: Hashable) -> None:
        self._at_s.pop(key, None)
