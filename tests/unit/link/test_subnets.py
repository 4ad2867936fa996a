"""A child's part of the overlay's addresses goes down with the manifest, whatever happens on the way."""

import pytest

from edge_common.model.network import Subnet
from tests.unit.link.rig import CHILD, WEB, Pair

FIRST = Subnet("10.16.0.0/26", "fc00::/120")
SECOND = Subnet("10.16.0.64/26", "fc00::100/120")


@pytest.fixture
def pair() -> Pair:
    made = Pair()
    made.settle()
    return made


def held(pair: Pair) -> list[Subnet]:
    return list(pair.child.link.subnets)


def test_what_a_child_is_given_arrives_and_is_acknowledged(pair: Pair) -> None:
    pair.parent.give(FIRST)
    pair.settle()
    assert held(pair) == [FIRST]
    assert pair.parent.links.revisions(CHILD) == (1, 1)
    pair.parent.give(FIRST, SECOND)
    pair.settle()
    assert held(pair) == [FIRST, SECOND]
    pair.parent.give()
    pair.settle()
    assert held(pair) == []


def test_the_same_said_again_costs_no_message_not_even_after_a_restart(pair: Pair) -> None:
    pair.parent.give(FIRST)
    pair.settle()
    pair.parent.give(FIRST)
    pair.settle()
    pair.parent.restart()
    pair.run(15)
    assert pair.parent.links.revisions(CHILD) == (1, 1)


def test_a_child_that_boots_without_a_network_knows_what_it_has(pair: Pair) -> None:
    pair.parent.give(FIRST)
    pair.settle()
    pair.broker.isolate(CHILD)
    pair.child.restart()
    assert held(pair) == [FIRST]


def test_a_child_that_was_away_gets_what_it_missed(pair: Pair) -> None:
    pair.broker.isolate(CHILD)
    pair.parent.want(WEB, "a")
    pair.parent.give(FIRST)
    pair.run(5)
    pair.broker.heal(CHILD)
    pair.run(5)
    assert held(pair) == [FIRST]
    assert pair.child.instances == {"a"}


def test_what_changed_while_the_parent_was_dead_is_said(pair: Pair) -> None:
    pair.parent.give(FIRST)
    pair.settle()
    pair.parent.subnets[CHILD] = (SECOND,)
    pair.parent.restart()
    pair.run(15)
    assert held(pair) == [SECOND]


def test_documents_and_subnets_of_one_manifest_are_taken_together(pair: Pair) -> None:
    pair.parent.want(WEB, "a")
    pair.parent.give(FIRST)
    pair.settle()
    assert pair.parent.links.revisions(CHILD) == (1, 1)
    assert (pair.child.instances, held(pair)) == ({"a"}, [FIRST])
