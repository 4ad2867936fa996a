"""Addresses of instances: one owner each, in order of subnets, kept over restarts, used up after a subnet is taken."""

from ipaddress import IPv4Interface, IPv6Interface, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.addressing.address_plan import RECYCLE_ADDRESSES_S, Twins
from edge_common.addressing.pool import PoolIsFull
from edge_common.model.errors import Broken, Temporary
from edge_common.model.ids import InstanceId
from net_manager.core.places import Kept, Place, Places

SMALL = [Twins(ip_network(f"10.16.{n}.0/29"), ip_network(f"fc00::{n}00/125")) for n in range(3)]
WIDE = Twins(ip_network("10.17.0.0/26"), ip_network("fc00::a00/120"))
A, B = InstanceId("a"), InstanceId("b")

ids = st.sampled_from([InstanceId(f"i{number}") for number in range(14)])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), ids),
        st.tuples(st.just("give"), ids),
        st.tuples(st.just("grant"), st.lists(st.sampled_from(SMALL), unique=True)),
        st.tuples(st.just("wait"), st.sampled_from([1.0, RECYCLE_ADDRESSES_S])),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=60,
)


def kept(places: Places) -> Kept:
    return Kept(places.granted, places.all(), places.resting())


def places(*subnets: Twins) -> Places:
    return Places(Kept(subnets))


@given(steps)
def test_no_two_instances_ever_share_an_address_and_none_is_used_again_at_once(asked: list[tuple[str, object]]) -> None:
    now_s, one = 1000.0, places()
    left_at: dict[object, float] = {}
    held: dict[InstanceId, Place] = {}
    for verb, what in asked:
        if verb == "take":
            try:
                place = one.take(what, now_s)  # type: ignore[arg-type]
            except Temporary:
                continue
            assert held.setdefault(place.instance_id, place) == place
            for address in (place.v4, place.v6):
                assert now_s - left_at.get(address, 0.0) >= RECYCLE_ADDRESSES_S
        elif verb == "give":
            gone = one.give_back(what, now_s)  # type: ignore[arg-type]
            assert gone == held.pop(what, None)  # type: ignore[call-overload]
            if gone is not None and gone.subnet in one.granted:
                left_at |= {gone.v4: now_s, gone.v6: now_s}
        elif verb == "grant":
            one.grant(what)  # type: ignore[arg-type]
            left_at = {address: at for address, at in left_at.items() if _subnet_of(address, one)}
        elif verb == "wait":
            now_s += what  # type: ignore[operator]
        else:
            one = Places(kept(one))
        assert {place.instance_id: place for place in one.all()} == held
        assert len({place.v4 for place in held.values()}) == len({place.v6 for place in held.values()}) == len(held)
        assert {place.v4.network for place in held.values()} <= {each.network for each in one.gateways()}


def _subnet_of(address: object, one: Places) -> bool:
    return getattr(address, "network", None) in {net for each in one.granted for net in (each.v4, each.v6)}


def test_the_first_address_is_the_one_after_the_gateway() -> None:
    one = places(WIDE)
    assert one.take(A, 0.0) == Place(A, IPv4Interface("10.17.0.2/26"), IPv6Interface("fc00::a02/120"))
    assert one.gateways() == {ip_interface("10.17.0.1/26"), ip_interface("fc00::a01/120")}
    assert {str(each) for each in one.take(A, 0.0).network.gateways} == {"10.17.0.1", "fc00::a01"}


def test_without_a_subnet_it_says_who_gives_one() -> None:
    with pytest.raises(Temporary, match="its cluster gives it one"):
        places().take(A, 0.0)


def test_a_full_subnet_leads_to_the_next_and_then_to_a_refusal() -> None:
    one = places(*SMALL[:2])
    taken = [one.take(InstanceId(f"i{number}"), 0.0) for number in range(10)]
    assert [place.subnet for place in taken] == [SMALL[0]] * 5 + [SMALL[1]] * 5
    with pytest.raises(PoolIsFull, match="this node's 2 subnets"):
        one.take(A, 0.0)


def test_more_are_asked_for_before_it_is_full_and_given_back_when_long_not_needed() -> None:
    one = places()
    assert one.wanted_subnets(0.0) == 1
    one.grant([WIDE])
    for number in range(57):
        one.take(InstanceId(f"i{number}"), 0.0)
    assert one.wanted_subnets(0.0) == 1
    one.take(InstanceId("i57"), 0.0)
    assert one.wanted_subnets(0.0) == 2
    one.grant([WIDE, SMALL[0]])
    assert one.wanted_subnets(0.0) == 2
    for number in range(20):
        one.give_back(InstanceId(f"i{number}"), 0.0)
    assert one.wanted_subnets(0.0) == 2
    assert one.wanted_subnets(RECYCLE_ADDRESSES_S) == 1


def test_who_is_in_a_subnet_that_was_taken_away_stays() -> None:
    one = places(SMALL[0])
    place = one.take(A, 0.0)
    one.grant([SMALL[1]])
    assert one.take(A, 0.0) == place
    assert one.take(B, 0.0).subnet == SMALL[1]
    assert Places(kept(one)).take(A, 0.0) == place
    one.give_back(A, 0.0)
    assert ip_interface("10.16.0.1/29") not in one.gateways()


def test_overlapping_subnets_are_refused() -> None:
    one = places(WIDE)
    with pytest.raises(Broken, match=r"overlaps with 10\.17\.0\.0/26"):
        one.grant([WIDE, Twins(ip_network("10.17.0.32/27"), ip_network("fc00::b00/120"))])


def test_an_instance_keeps_what_it_is_seen_with() -> None:
    one = places(WIDE)
    seen = frozenset(map(ip_interface, ("10.17.0.9/26", "fc00::a0a/120")))
    assert one.adopt(A, 0.0, seen) == Place(
        A, IPv4Interface("10.17.0.9/26"), IPv6Interface("fc00::a0a/120"), is_adopted=True
    )
    assert one.adopt(B, 0.0, seen).v4 == ip_interface("10.17.0.2/26")
    assert one.adopt(InstanceId("c"), 0.0, frozenset({ip_interface("10.99.0.2/26")})).subnet == WIDE
