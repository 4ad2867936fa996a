"""Blocks and subnets: one owner each whatever is asked, rested before they are given again, kept over restarts."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.addressing.address_plan import RECYCLE_SUBNETS_S, Twins
from edge_common.addressing.grants import BLOCKS, SUBNETS, WHOLE, Grants, KeptGrants, Owned
from edge_common.addressing.pool import overlap
from edge_common.model.errors import Broken
from edge_common.model.ids import ChildId

A, B = ChildId("a"), ChildId("b")
RANGES = [Twins(ip_network(f"10.16.{16 * n}.0/20"), ip_network(f"fc00::{n}:0:0/104")) for n in range(3)]

children = st.sampled_from([ChildId(f"c{number}") for number in range(8)])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("give"), children, st.integers(-1, 40)),
        st.tuples(st.just("ranges"), st.lists(st.sampled_from(RANGES), unique=True)),
        st.tuples(st.just("wait"), st.sampled_from([1.0, RECYCLE_SUBNETS_S])),
        st.tuples(st.just("restart")),
    ),
    max_size=40,
)


def kept(grants: Grants, owned: dict[str, Owned]) -> KeptGrants:
    return KeptGrants(tuple(owned.values()), grants.resting())


@given(steps)
def test_nothing_is_ever_given_to_two_and_nothing_given_back_is_given_at_once(asked: list[tuple[object, ...]]) -> None:
    now_s, ranges = 1000.0, list(RANGES[:1])
    grants = Grants(SUBNETS, KeptGrants(), ranges)
    owned: dict[str, Owned] = {}
    rested: dict[object, float] = {}
    for verb, *what in asked:
        if verb == "give":
            child_id, wanted = what
            new, back = grants.give(child_id, wanted, now_s)  # type: ignore[arg-type]
            for one in back:
                del owned[one.owner]
                if SUBNETS.range_of(one.twins) in ranges:
                    rested |= {one.twins.v4: now_s, one.twins.v6: now_s}
            for one in new:
                assert one.owner not in owned
                assert SUBNETS.range_of(one.twins) in ranges
                for network in (one.twins.v4, one.twins.v6):
                    assert now_s - rested.get(network, 0.0) >= RECYCLE_SUBNETS_S
                owned[one.owner] = one
        elif verb == "ranges":
            (ranges,) = what  # type: ignore[assignment]
            grants.set_ranges(ranges)
            rested = {}
        elif verb == "wait":
            now_s += what[0]  # type: ignore[operator]
        else:
            grants = Grants(SUBNETS, kept(grants, owned), ranges)
        check(grants, owned)


def check(grants: Grants, owned: dict[str, Owned]) -> None:
    for version in ("v4", "v6"):
        networks = [getattr(one.twins, version) for one in owned.values()]
        assert len(set(networks)) == len(networks)
    for child_id in {one.child_id for one in owned.values()}:
        mine = sorted((one.number, str(one.twins.v4)) for one in owned.values() if one.child_id == child_id)
        assert [str(twins.v4) for twins in grants.of(child_id)] == [text for _, text in mine]


def test_the_first_subnets_are_those_of_the_plan() -> None:
    new, back = Grants(SUBNETS, KeptGrants(), RANGES[:1]).give(A, 2, 0.0)
    assert [str(one.twins.v4) for one in new] == ["10.16.0.0/26", "10.16.0.64/26"]
    assert [str(one.twins.v6) for one in new] == ["fc00::/120", "fc00::100/120"]
    assert back == []


def test_blocks_never_touch_the_service_range_and_do_not_overlap() -> None:
    grants = Grants(BLOCKS, KeptGrants(), [WHOLE])
    for number in range(3):
        grants.give(ChildId(f"c{number}"), 100, 0.0)
    given_out = [twins for number in range(3) for twins in grants.of(ChildId(f"c{number}"))]
    assert [len(grants.of(ChildId(f"c{number}"))) for number in range(3)] == [100, 100, 40]
    assert grants.short == {ChildId("c2")}
    assert not any(overlap(twins.v4, ip_network("10.30.0.0/16")) for twins in given_out)
    assert len({twins.v4 for twins in given_out}) == len({twins.v6 for twins in given_out}) == 240


def test_a_child_cannot_take_everything() -> None:
    grants = Grants(BLOCKS, KeptGrants(), [WHOLE])
    grants.give(A, 10_000, 0.0)
    assert len(grants.of(A)) == BLOCKS.most


def test_more_ranges_are_asked_for_when_few_are_left_and_given_back_when_idle() -> None:
    grants = Grants(SUBNETS, KeptGrants(), [])
    assert grants.wanted_ranges(0.0) == 0
    grants.give(A, 1, 0.0)
    assert grants.short == {A}
    assert grants.wanted_ranges(0.0) == 1
    grants.set_ranges(RANGES[:1])
    grants.give(A, 1, 0.0)
    assert grants.short == frozenset()
    assert grants.wanted_ranges(0.0) == 1
    for number in range(60):
        grants.give(ChildId(f"c{number}"), 1, 0.0)
    assert grants.wanted_ranges(0.0) == 2
    grants.set_ranges(RANGES[:2])
    assert grants.wanted_ranges(0.0) == 2
    for number in range(30):
        grants.give(ChildId(f"c{number}"), 0, 0.0)
    assert grants.wanted_ranges(0.0) == 2
    assert grants.wanted_ranges(RECYCLE_SUBNETS_S) == 1
    for child_id in [A, *(ChildId(f"c{number}") for number in range(60))]:
        grants.give(child_id, 0, RECYCLE_SUBNETS_S)
    grants.set_ranges(RANGES[:1])
    assert grants.wanted_ranges(RECYCLE_SUBNETS_S) == 0


def test_one_network_of_two_children_is_refused_when_loaded() -> None:
    twins = Twins(ip_network("10.16.0.0/26"), ip_network("fc00::/120"))
    with pytest.raises(Broken, match="two owners"):
        Grants(SUBNETS, KeptGrants((Owned(A, 0, twins), Owned(B, 0, twins))), RANGES[:1])
