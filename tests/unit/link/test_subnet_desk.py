"""What a parent gave is on disk before it is said, and the same after a restart."""

import pytest

from edge_common.addressing.grants import BLOCKS, SUBNETS, WHOLE
from edge_common.link.subnet_desk import GRANTS, SubnetDesk, ranges_of
from edge_common.model.errors import Broken
from edge_common.model.ids import ChildId
from edge_common.model.network import Subnet
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.memory import MemoryDocuments

A, B = ChildId("a"), ChildId("b")
BLOCK = Subnet("10.16.0.0/20", "fc00::/104")


def test_what_was_given_is_remembered() -> None:
    documents, clock = MemoryDocuments(), FakeClock()
    desk = SubnetDesk(documents, SUBNETS, clock, ranges_of([BLOCK]))
    desk.wants(A, 2)
    desk.wants(A, 2)
    assert desk.of(A) == (Subnet("10.16.0.0/26", "fc00::/120"), Subnet("10.16.0.64/26", "fc00::100/120"))
    desk.wants(A, 1)
    again = SubnetDesk(documents, SUBNETS, clock, ranges_of([BLOCK]))
    assert again.of(A) == desk.of(A)
    again.wants(B, 1)
    assert again.of(B) == (Subnet("10.16.0.128/26", "fc00::200/120"),)


def test_a_cluster_without_a_block_says_that_it_needs_one() -> None:
    desk = SubnetDesk(MemoryDocuments(), SUBNETS, FakeClock(), ())
    assert desk.wanted_ranges() == 0
    desk.wants(A, 1)
    assert (desk.wanted_ranges(), desk.short()) == (1, frozenset({A}))
    desk.set_ranges([BLOCK])
    desk.wants(A, 1)
    assert (desk.wanted_ranges(), desk.short()) == (1, frozenset())


def test_what_a_child_holds_is_learned_when_the_store_is_an_old_copy() -> None:
    held = (Subnet("10.16.0.64/26", "fc00::100/120"),)
    documents, clock = MemoryDocuments(), FakeClock()
    desk = SubnetDesk(documents, SUBNETS, clock, ranges_of([BLOCK]))
    desk.learn(A, held)
    desk.wants(A, 1)
    assert desk.of(A) == held
    for child_id in (B, ChildId("c")):
        desk.wants(child_id, 1)
    assert [desk.of(child_id)[0].v4 for child_id in (B, ChildId("c"))] == ["10.16.0.0/26", "10.16.0.128/26"]
    assert SubnetDesk(documents, SUBNETS, clock, ranges_of([BLOCK])).of(A) == held


def test_nothing_is_learned_that_is_anothers_or_rests_or_is_none() -> None:
    desk = SubnetDesk(MemoryDocuments(), SUBNETS, FakeClock(), ranges_of([BLOCK]))
    desk.wants(A, 2)
    first, second = desk.of(A)
    desk.wants(A, 1)
    desk.learn(B, (first, second, BLOCK, Subnet("x", "y"), Subnet("10.16.0.0/27", "fc00::/121")))
    desk.learn(A, (first, second))
    assert (desk.of(A), desk.of(B)) == ((first,), ())


def test_a_child_cannot_claim_more_than_it_could_have() -> None:
    desk = SubnetDesk(MemoryDocuments(), SUBNETS, FakeClock(), ranges_of([BLOCK]))
    desk.learn(A, tuple(Subnet(f"10.16.{n // 4}.{n % 4 * 64}/26", f"fc00::{n:x}00/120") for n in range(64)))
    assert len(desk.of(A)) == SUBNETS.most


def test_ranges_that_make_no_sense_are_left_out() -> None:
    desk = SubnetDesk(MemoryDocuments(), SUBNETS, FakeClock(), ())
    desk.set_ranges([Subnet("192.168.0.0/20", "fc00::/104"), Subnet("x", "y"), BLOCK])
    desk.wants(A, 1)
    assert desk.of(A)[0].v4 == "10.16.0.0/26"


def test_the_root_gives_blocks() -> None:
    desk = SubnetDesk(MemoryDocuments(), BLOCKS, FakeClock(), [WHOLE])
    desk.wants(A, 1)
    assert desk.of(A) == (BLOCK,)


def test_a_store_that_cannot_be_is_refused() -> None:
    documents = MemoryDocuments()
    documents.put(GRANTS, {"_id": "a/0", "child_id": "a", "number": 0, "v4": "ten", "v6": "fc00::/120"})
    with pytest.raises(Broken, match="cannot be read"):
        SubnetDesk(documents, SUBNETS, FakeClock(), ())
