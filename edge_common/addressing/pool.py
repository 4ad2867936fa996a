"""Who owns which part of the address plan.

A pool hands out networks of one size: blocks to clusters, subnets to nodes, single addresses to instances and services.
It remembers one owner a network, so two owners of one address cannot be written down. What is given back rests for a
while, for others may still send to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network

from edge_common.model.errors import Broken, Conflict, InvalidInput, Temporary

Network = IPv4Network | IPv6Network


class PoolIsFull(Temporary):
    pass


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """`what` is the plural that messages use. `skip_first` and `skip_last` networks of each range are never handed out.

    Every range must be at least as large as a network of `prefix` bits; ranges must not overlap.
    """

    what: str
    ranges: tuple[Network, ...]
    prefix: int
    skip_first: int = 0
    skip_last: int = 0
    quarantine_s: float = 60.0


@dataclass(frozen=True, slots=True)
class PoolState:
    """`resting` maps a network to the time, in seconds of the clock that `take` is told, from which it is free."""

    taken: Mapping[str, Network] = field(default_factory=dict)
    resting: Mapping[Network, float] = field(default_factory=dict)
    cursor: int = 0


class Pool:
    """`state` is what an earlier pool's `state()` was; Broken when it does not fit the plan."""

    def __init__(self, plan: PoolPlan, state: PoolState | None = None) -> None:
        self.plan = plan
        self._sizes = tuple(_usable(plan, one) for one in plan.ranges)
        self._size = sum(self._sizes)
        self.restore(state or PoolState())

    def restore(self, state: PoolState) -> None:
        """Goes back to an earlier state. Raises Broken, as the constructor."""
        self._taken = dict(state.taken)
        self._owners = {network: owner for owner, network in state.taken.items()}
        self._resting = dict(state.resting)
        self._cursor = state.cursor % self._size if self._size else 0
        self._check_state()

    def state(self) -> PoolState:
        return PoolState(dict(self._taken), dict(self._resting), self._cursor)

    def of(self, owner: str) -> Network | None:
        return self._taken.get(owner)

    def free(self, now_s: float) -> int:
        self._wake(now_s)
        return self._size - len(self._taken) - len(self._resting)

    def owner_of(self, network: Network) -> str | None:
        return self._owners.get(network)

    def take(self, owner: str, now_s: float, fixed: Network | None = None) -> Network:
        """The owner's network: the one that it has, or a new one. `fixed` asks for exactly that one.

        Raises PoolIsFull; with `fixed` also Conflict (someone else's, resting, or the owner has another) and
        InvalidInput (outside the plan).
        """
        self._wake(now_s)
        held = self._taken.get(owner)
        if held is not None:
            if fixed not in {None, held}:
                raise Conflict(f"{owner} has {held} already; give it back before taking {fixed}.")
            return held
        network = self._next_free(now_s) if fixed is None else self._checked(fixed, now_s)
        self._taken[owner] = network
        self._owners[network] = owner
        return network

    def give_back(self, owner: str, now_s: float) -> Network | None:
        """What the owner had; None when that was nothing."""
        network = self._taken.pop(owner, None)
        if network is not None:
            del self._owners[network]
            self._resting[network] = now_s + self.plan.quarantine_s
        return network

    def _wake(self, now_s: float) -> None:
        for network in [network for network, until_s in self._resting.items() if until_s <= now_s]:
            del self._resting[network]

    def _next_free(self, now_s: float) -> Network:
        used = len(self._taken) + len(self._resting)
        for step in range(used + 1 if used < self._size else 0):
            index = (self._cursor + step) % self._size
            network = self._at(index)
            if network not in self._owners and network not in self._resting:
                self._cursor = (index + 1) % self._size
                return network
        raise PoolIsFull(self._why_full(now_s))

    def _why_full(self, now_s: float) -> str:
        message = f"All {self._size} {self.plan.what} are in use"
        if not self._resting:
            return f"{message}: give some back, or widen the address plan."
        wait_s = min(self._resting.values()) - now_s
        return f"{message} or rest ({len(self._resting)}); the next is free in {wait_s:.0f} s."

    def _checked(self, fixed: Network, now_s: float) -> Network:
        if not self._is_planned(fixed):
            ranges = ", ".join(map(str, self.plan.ranges)) or "nothing"
            raise InvalidInput(f"{fixed} is none of the {self.plan.what}; those come from {ranges}.")
        if fixed in self._owners:
            raise Conflict(f"{fixed} belongs to {self._owners[fixed]}; choose another, or none.")
        if fixed in self._resting:
            wait_s = self._resting[fixed] - now_s
            raise Conflict(
                f"{fixed} was given back a moment ago and is free in {wait_s:.0f} s; choose another, or wait."
            )
        return fixed

    def _at(self, index: int) -> Network:
        for one, size in zip(self.plan.ranges, self._sizes, strict=True):
            if index < size:
                step = 1 << (one.max_prefixlen - self.plan.prefix)
                first = int(one.network_address) + (index + self.plan.skip_first) * step
                return type(one)((first, self.plan.prefix))
            index -= size
        raise Broken(f"The {self.plan.what} have no number {index}.")

    def _is_planned(self, network: Network) -> bool:
        if network.prefixlen != self.plan.prefix:
            return False
        for one, size in zip(self.plan.ranges, self._sizes, strict=True):
            if one.version != network.version or not _holds(one, network):
                continue
            offset = int(network.network_address) - int(one.network_address)
            index = (offset >> (one.max_prefixlen - self.plan.prefix)) - self.plan.skip_first
            return 0 <= index < size
        return False

    def _check_state(self) -> None:
        if len(self._owners) != len(self._taken):
            raise Broken(f"The stored {self.plan.what} give one of them to two owners; restore an earlier copy.")
        for network in (*self._owners, *self._resting):
            if not self._is_planned(network):
                raise Broken(f"The stored {self.plan.what} hold {network}, which is outside the address plan.")
        if both := self._owners.keys() & self._resting.keys():
            raise Broken(f"The stored {self.plan.what} have {min(map(str, both))} both in use and at rest.")


def single(address: str) -> Network:
    """An address as a pool of addresses hands it out. Raises InvalidInput."""
    try:
        network = ip_network(address)
    except ValueError:
        raise InvalidInput(f"'{address}' is not an IP address.") from None
    if network.num_addresses != 1:
        raise InvalidInput(f"'{address}' is a network, not one address.")
    return network


def overlap(first: Network, second: Network) -> bool:
    return first.version == second.version and (_holds(first, second) or _holds(second, first))


def _usable(plan: PoolPlan, one: Network) -> int:
    if not one.prefixlen <= plan.prefix <= one.max_prefixlen:
        raise InvalidInput(f"{one} cannot be cut into /{plan.prefix} networks.")
    return max(0, (1 << (plan.prefix - one.prefixlen)) - plan.skip_first - plan.skip_last)


def _holds(outer: Network, inner: Network) -> bool:
    last = int(inner.network_address) + inner.num_addresses
    return int(outer.network_address) <= int(inner.network_address) and last <= (
        int(outer.network_address) + outer.num_addresses
    )
