"""One owner an address, for whatever is asked in whatever order."""

from ipaddress import IPv4Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.addressing import address_plan as plan
from edge_common.addressing.pool import Network, Pool, PoolIsFull, PoolPlan, PoolState, single
from edge_common.model.errors import Broken, Conflict, InvalidInput

QUARANTINE_S = 10.0
SMALL = PoolPlan(
    "test addresses",
    (ip_network("10.16.0.0/30"), ip_network("10.16.8.0/29")),
    32,
    skip_first=1,
    skip_last=1,
    quarantine_s=QUARANTINE_S,
)
USABLE = [ip_network(f"10.16.0.{last}/32") for last in (1, 2)]
USABLE += [ip_network(f"10.16.8.{last}/32") for last in range(1, 7)]
OUTSIDE = [ip_network("10.16.0.0/32"), ip_network("10.16.8.7/32"), ip_network("10.17.0.1/32"), ip_network("fc00::1")]

owners = st.sampled_from([f"o{number}" for number in range(12)])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), owners),
        st.tuples(st.just("fixed"), owners, st.sampled_from(USABLE + OUTSIDE)),
        st.tuples(st.just("give"), owners),
        st.tuples(st.just("wait"), st.floats(0.0, 15.0)),
        st.tuples(st.just("restart")),
    ),
    max_size=60,
)


class Model:
    """The plainest account of who has what since when."""

    def __init__(self) -> None:
        self.pool = Pool(SMALL)
        self.held: dict[str, Network] = {}
        self.freed_s: dict[Network, float] = {}
        self.now_s = 0.0

    def free(self) -> set[Network]:
        resting = {one for one, at_s in self.freed_s.items() if self.now_s < at_s + QUARANTINE_S}
        return set(USABLE) - set(self.held.values()) - resting

    def take(self, owner: str, fixed: Network | None = None) -> None:
        free, had = self.free(), self.held.get(owner)
        try:
            got = self.pool.take(owner, self.now_s, fixed)
        except PoolIsFull:
            assert not free and had is None and fixed is None
        except Conflict:
            assert fixed is not None and (had or fixed not in free)
        except InvalidInput:
            assert fixed in OUTSIDE
        else:
            assert fixed in {None, got}
            assert got == had if had else got in free
            self.held[owner] = got

    def give(self, owner: str) -> None:
        had = self.held.pop(owner, None)
        assert self.pool.give_back(owner, self.now_s) == had
        if had:
            self.freed_s[had] = self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    def restart(self) -> None:
        state = self.pool.state()
        self.pool = Pool(SMALL, state)
        assert self.pool.state() == state


@given(steps)
def test_an_address_has_one_owner_and_rests_before_the_next(script: list[tuple[object, ...]]) -> None:
    model = Model()
    for name, *arguments in script:
        step = getattr(model, "take" if name == "fixed" else str(name))
        step(*arguments)
        assert dict(model.pool.state().taken) == model.held
        assert len(set(model.held.values())) == len(model.held)


@given(steps)
def test_a_restart_changes_nothing(script: list[tuple[object, ...]]) -> None:
    steady, restarted = Model(), Model()
    for name, *arguments in script:
        for model in (steady, restarted):
            step = getattr(model, "take" if name == "fixed" else str(name))
            step(*arguments)
        restarted.restart()
        assert steady.pool.state() == restarted.pool.state()


def test_a_full_pool_says_what_to_do() -> None:
    pool = Pool(SMALL)
    for number in range(len(USABLE)):
        pool.take(f"o{number}", 0.0)
    with pytest.raises(PoolIsFull, match="All 8 test addresses are in use: give some back"):
        pool.take("late", 0.0)
    pool.give_back("o3", 2.0)
    with pytest.raises(PoolIsFull, match=r"rest \(1\); the next is free in 9 s"):
        pool.take("late", 3.0)
    assert pool.take("late", 12.0) == USABLE[3]


def test_addresses_go_round_before_one_is_used_again() -> None:
    pool = Pool(SMALL)
    seen = []
    for number in range(len(USABLE)):
        seen.append(pool.take("same", number * 100.0))
        pool.give_back("same", number * 100.0)
    assert seen == USABLE


@pytest.mark.parametrize(
    "state",
    [
        PoolState({"a": USABLE[0], "b": USABLE[0]}),
        PoolState({"a": OUTSIDE[2]}),
        PoolState({"a": USABLE[0]}, {USABLE[0]: 5.0}),
        PoolState({}, {ip_network("10.16.8.0/31"): 5.0}),
    ],
)
def test_a_stored_state_that_cannot_be_is_refused(state: PoolState) -> None:
    with pytest.raises(Broken):
        Pool(SMALL, state)


def test_ranges_must_be_large_enough() -> None:
    with pytest.raises(InvalidInput, match="cannot be cut"):
        Pool(PoolPlan("subnets", (ip_network("10.16.0.0/28"),), 26))


@pytest.mark.parametrize(("text", "said"), [("10.30.0.0/24", "not one address"), ("10.30.0.300", "not an IP")])
def test_a_fixed_address_is_one_address(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        single(text)


def twin_pools(plans: tuple[PoolPlan, PoolPlan]) -> plan.TwinPools:
    return plan.TwinPools(Pool(plans[0]), Pool(plans[1]))


def test_the_tiers_share_out_parts_that_do_not_overlap() -> None:
    root = twin_pools(plan.cluster_blocks())
    blocks = [root.take(f"cluster-{number}", 0.0) for number in range(240)]
    with pytest.raises(PoolIsFull):
        root.take("one-more", 0.0)
    subnets = [twin_pools(plan.node_subnets((block,))).take("n", 0.0) for block in blocks]
    addresses = [twin_pools(plan.instance_addresses((subnet,))).take("i", 0.0) for subnet in subnets]
    assert len({one.v4 for one in addresses}) == len({one.v6 for one in addresses}) == 240
    assert not any(one.v4.subnet_of(plan.SERVICES_V4) for one in addresses if isinstance(one.v4, IPv4Network))
    assert str(addresses[0]) == str(plan.Twins(single("10.16.0.2"), single("fc00::2")))


def test_a_node_has_61_addresses_and_more_with_a_second_subnet() -> None:
    cluster = twin_pools(plan.node_subnets((twin_pools(plan.cluster_blocks()).take("c", 0.0),)))
    first = cluster.take("n/1", 0.0)
    node = twin_pools(plan.instance_addresses((first,)))
    for number in range(61):
        node.take(f"i{number}", 0.0)
    with pytest.raises(PoolIsFull):
        node.take("i61", 0.0)
    plans = plan.instance_addresses((first, cluster.take("n/2", 0.0)))
    node = plan.TwinPools(Pool(plans[0], node.v4.state()), Pool(plans[1], node.v6.state()))
    assert node.take("i0", 0.0) == plan.Twins(single("10.16.0.2"), single("fc00::2"))
    assert node.take("i61", 0.0).v4 == single("10.16.0.66")


def test_twins_are_taken_together_or_not_at_all() -> None:
    services = twin_pools(plan.overlay_addresses(plan.ROUND_ROBIN_V6))
    taken = services.take("a", 0.0, single("10.30.0.9"), single("fdff:2000::9"))
    assert taken == plan.Twins(single("10.30.0.9"), single("fdff:2000::9"))
    with pytest.raises(Conflict, match="belongs to a"):
        services.take("b", 0.0, single("10.30.0.10"), single("fdff:2000::9"))
    assert services.v4.owner_of(single("10.30.0.10")) is None
    with pytest.raises(InvalidInput, match="those come from"):
        services.take("b", 0.0, fixed_v6=single("fdff:1000::9"))
    assert services.give_back("a", 0.0) == taken
    assert services.give_back("a", 0.0) is None
