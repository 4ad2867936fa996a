"""What a parent gives its children of the address plan: blocks to clusters, subnets to nodes.

A child may have several, numbered from 0. Each has one owner, by the pools; what is given back rests before it is given
again. A range that is taken away is used up: who has something of it keeps it, nobody new gets any.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from edge_common.addressing.address_plan import (
    BLOCK_PREFIX_V4,
    BLOCK_PREFIX_V6,
    OVERLAY_V4,
    OVERLAY_V6,
    TwinPools,
    Twins,
    cluster_blocks,
    node_subnets,
)
from edge_common.addressing.pool import Network, Pool, PoolIsFull, PoolPlan, PoolState, overlap
from edge_common.model.errors import Conflict, InvalidInput
from edge_common.model.ids import ChildId

FEW_LEFT = 4
"""Below which another range is asked for."""
MANY_LEFT = 16
"""That must be left without the last range before it is given back."""


@dataclass(frozen=True, slots=True)
class Source:
    """`most` is how many one child may have. `range_of` says in which range something lies, `plans_of` how a range is
    cut.
    """

    most: int
    range_of: Callable[[Twins], Twins]
    plans_of: Callable[[Twins], tuple[PoolPlan, PoolPlan]]


WHOLE = Twins(OVERLAY_V4, OVERLAY_V6)


def _block_of(subnet: Twins) -> Twins:
    return Twins(subnet.v4.supernet(new_prefix=BLOCK_PREFIX_V4), subnet.v6.supernet(new_prefix=BLOCK_PREFIX_V6))


BLOCKS = Source(128, lambda _: WHOLE, lambda _: cluster_blocks())
SUBNETS = Source(16, _block_of, lambda block: node_subnets((block,)))


@dataclass(frozen=True, slots=True)
class Owned:
    """`number` counts what one child has, from 0."""

    child_id: ChildId
    number: int
    twins: Twins

    @property
    def owner(self) -> str:
        return f"{self.child_id}/{self.number}"


@dataclass(frozen=True, slots=True)
class KeptGrants:
    """`resting`: networks that were given back, and the wall clock's time when they are free."""

    owned: tuple[Owned, ...] = ()
    resting: Mapping[Network, float] = field(default_factory=dict)


class Grants:
    """Raises Broken when what was kept gives one network to two children."""

    def __init__(self, source: Source, kept: KeptGrants, ranges: Iterable[Twins]) -> None:
        self._source = source
        self._ranges: tuple[Twins, ...] = ()
        self._owned: dict[ChildId, dict[int, Owned]] = {}
        self._uses: Counter[Twins] = Counter()
        for one in kept.owned:
            self._note(one)
        self._pools = {each: self._opened(each, kept) for each in self._uses}
        self._resting = dict(kept.resting)
        self.set_ranges(ranges)
        self._short: set[ChildId] = set()

    @property
    def short(self) -> frozenset[ChildId]:
        """Children that have fewer than they last asked for."""
        return frozenset(self._short)

    def of(self, child_id: ChildId) -> tuple[Twins, ...]:
        return tuple(one.twins for _, one in sorted(self._owned.get(child_id, {}).items()))

    def set_ranges(self, ranges: Iterable[Twins]) -> None:
        """From now on these, in this order, are what is given from."""
        self._ranges = tuple(dict.fromkeys(ranges))
        for each in self._ranges:
            if each not in self._pools:
                self._pools[each] = self._opened(each, KeptGrants((), self._resting))
        self._drop_unused()

    def give(self, child_id: ChildId, wanted: int, now_s: float) -> tuple[list[Owned], list[Owned]]:
        """Lets the child have `wanted`, or as many as there are. Returns what it was given and what it gave back."""
        wanted = self.allowed(wanted)
        held = self._owned.setdefault(child_id, {})
        back = [held[number] for number in sorted(held) if number >= wanted]
        for one in back:
            self._give_back(one, now_s)
        new = []
        for number in (each for each in range(wanted) if each not in held):
            twins = self._take(f"{child_id}/{number}", now_s)
            if twins is None:
                break
            new.append(self._note(Owned(child_id, number, twins)))
        (self._short.add if len(held) < wanted else self._short.discard)(child_id)
        if not held:
            del self._owned[child_id]
        self._drop_unused()
        return new, back

    def learn(self, child_id: ChildId, held: Iterable[Twins], now_s: float) -> list[Owned]:
        """A child says what it holds: what nobody has on record, as after a restored backup, is its own again.

        What belongs to another, rests or lies outside the plan is not; the child then hears of something else.
        """
        own = self._owned.setdefault(child_id, {})
        known = {one.twins for one in own.values()}
        learned = []
        for twins in [each for each in held if each not in known][: self.allowed(self._source.most) - len(own)]:
            number = next(each for each in range(len(own) + 1) if each not in own)
            try:
                self._pool_of(twins).take(f"{child_id}/{number}", now_s, twins.v4, twins.v6)
            except (Conflict, InvalidInput):
                continue
            learned.append(self._note(Owned(child_id, number, twins)))
        if not own:
            del self._owned[child_id]
        self._drop_unused()
        return learned

    def allowed(self, wanted: int) -> int:
        return max(0, min(wanted, self._source.most))

    def resting(self) -> dict[Network, float]:
        states = [pool.state() for twins in self._pools.values() for pool in (twins.v4, twins.v6)]
        return {network: until_s for state in states for network, until_s in state.resting.items()}

    def wanted_ranges(self, now_s: float) -> int:
        """How many ranges are needed. Between asking and giving back there is a gap, so that it does not waver."""
        count = len(self._ranges)
        if self._short or (self._owned and not self._has_left(FEW_LEFT, self._ranges, now_s)):
            return count + 1
        if not count or self._uses[self._ranges[-1]] or (count == 1 and self._owned):
            return count
        return count - 1 if count == 1 or self._has_left(MANY_LEFT, self._ranges[:-1], now_s) else count

    def _pool_of(self, twins: Twins) -> TwinPools:
        """Raises InvalidInput for what lies in no range."""
        try:
            range_ = self._source.range_of(twins)
        except ValueError:
            raise InvalidInput(f"{twins.v4} is larger than what is shared out here.") from None
        if range_ not in self._pools:
            self._pools[range_] = self._opened(range_, KeptGrants((), self._resting))
        return self._pools[range_]

    def _take(self, owner: str, now_s: float) -> Twins | None:
        for each in self._ranges:
            try:
                return self._pools[each].take(owner, now_s)
            except PoolIsFull:
                continue
        return None

    def _give_back(self, one: Owned, now_s: float) -> None:
        range_ = self._source.range_of(one.twins)
        self._pools[range_].give_back(one.owner, now_s)
        self._uses[range_] -= 1
        del self._owned[one.child_id][one.number]

    def _note(self, one: Owned) -> Owned:
        self._owned.setdefault(one.child_id, {})[one.number] = one
        self._uses[self._source.range_of(one.twins)] += 1
        return one

    def _has_left(self, count: int, ranges: tuple[Twins, ...], now_s: float) -> bool:
        """Looks at the last ones first: those before them fill up first."""
        for each in reversed(ranges):
            pools = self._pools[each]
            count -= min(pools.v4.free(now_s), pools.v6.free(now_s))
            if count <= 0:
                return True
        return False

    def _opened(self, range_: Twins, kept: KeptGrants) -> TwinPools:
        plan_v4, plan_v6 = self._source.plans_of(range_)
        mine = [one for one in kept.owned if self._source.range_of(one.twins) == range_]
        rests_v4 = {each: until_s for each, until_s in kept.resting.items() if _lies_in(each, plan_v4)}
        rests_v6 = {each: until_s for each, until_s in kept.resting.items() if _lies_in(each, plan_v6)}
        return TwinPools(
            Pool(plan_v4, PoolState({one.owner: one.twins.v4 for one in mine}, rests_v4)),
            Pool(plan_v6, PoolState({one.owner: one.twins.v6 for one in mine}, rests_v6)),
        )

    def _drop_unused(self) -> None:
        self._uses = +self._uses
        self._pools = {each: pools for each, pools in self._pools.items() if self._uses[each] or each in self._ranges}


def _lies_in(network: Network, plan: PoolPlan) -> bool:
    return network.prefixlen == plan.prefix and any(overlap(network, each) for each in plan.ranges)
