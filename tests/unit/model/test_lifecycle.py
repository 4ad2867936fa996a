"""The table of states is total, agrees with the ranks and the writers, and folding forgets the order of reports."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.instance import Assignment, Observation, as_origin, fold, undeployed
from edge_common.model.lifecycle import (
    RANK,
    TERMINAL,
    TRANSITIONS,
    WRITERS,
    IllegalTransition,
    State,
    Tier,
    check_transition,
)

HIGHEST_FIRST = (Tier.ROOT, Tier.CLUSTER, Tier.NODE)
PATH = (State.REQUESTED, State.CLUSTER_SCHEDULED, State.NODE_SCHEDULED, State.CREATING, State.RUNNING, State.COMPLETED)
BY_NODES = sorted(state for state, tiers in WRITERS.items() if Tier.NODE in tiers)


def observation(state: State, attempt: int = 0, succession: int = 0) -> Observation:
    return Observation(InstanceId("i"), ServiceId("s"), 0, state, succession, attempt)


class TestTable:
    def test_every_state_has_a_rank_writers_and_steps(self) -> None:
        assert set(RANK) == set(WRITERS) == set(TRANSITIONS) == set(State)
        assert all(WRITERS.values())

    @pytest.mark.parametrize("state", State)
    def test_a_step_never_lowers_the_rank(self, state: State) -> None:
        """So that the greater of two observations is the later one."""
        assert all(RANK[after] > RANK[state] for after in TRANSITIONS[state])

    def test_the_straight_path_is_legal(self) -> None:
        for before, after in pairwise(PATH):
            check_transition(before, after)

    def test_every_state_is_reached_from_the_first(self) -> None:
        reached, ahead = set[State](), {State.REQUESTED}
        while ahead:
            reached |= ahead
            ahead = {after for state in ahead for after in TRANSITIONS[state]} - reached
        assert reached == set(State)

    @pytest.mark.parametrize("state", State)
    def test_what_ended_may_only_be_cleared_away(self, state: State) -> None:
        if state in TERMINAL:
            assert TRANSITIONS[state] <= {State.UNDEPLOYED, State.DEAD}
        else:
            assert {State.UNDEPLOYED, State.DEAD} <= TRANSITIONS[state]

    @pytest.mark.parametrize("state", State)
    def test_a_step_is_made_by_the_same_tier_or_one_below_but_for_death(self, state: State) -> None:
        for after in TRANSITIONS[state] - {State.DEAD, State.UNDEPLOYED}:
            highest = min(HIGHEST_FIRST.index(tier) for tier in WRITERS[state])
            assert all(HIGHEST_FIRST.index(tier) >= highest for tier in WRITERS[after])

    @pytest.mark.parametrize("before", State)
    @pytest.mark.parametrize("after", State)
    def test_every_other_step_is_refused(self, before: State, after: State) -> None:
        if after is before or after in TRANSITIONS[before]:
            check_transition(before, after)
        else:
            with pytest.raises(IllegalTransition, match=f"{before} -> {after}"):
                check_transition(before, after)

    @pytest.mark.parametrize("before", State)
    @pytest.mark.parametrize("after", State)
    def test_a_new_attempt_begins_at_creating_and_never_after_the_end(self, before: State, after: State) -> None:
        if after is State.CREATING and before not in TERMINAL:
            check_transition(before, after, is_new_attempt=True)
        else:
            with pytest.raises(IllegalTransition):
                check_transition(before, after, is_new_attempt=True)


OBSERVATIONS = st.builds(observation, st.sampled_from(BY_NODES), st.integers(0, 3), st.integers(0, 2))


class TestFold:
    @given(st.lists(OBSERVATIONS, min_size=1), st.data())
    def test_any_order_and_any_repetition_ends_in_the_same(
        self, reports: list[Observation], data: st.DataObject
    ) -> None:
        """Two ends of one attempt have the same rank, as a node says but one of them."""
        confused = data.draw(st.permutations(reports)) + data.draw(st.lists(st.sampled_from(reports)))
        assert folded(confused).order == folded(reports).order == max(report.order for report in reports)

    @given(OBSERVATIONS, OBSERVATIONS)
    def test_it_keeps_one_of_the_two_and_twice_is_once(self, one: Observation, other: Observation) -> None:
        kept = fold(one, other)
        assert kept in (one, other)
        assert fold(kept, other) == kept
        assert fold(kept, kept) == kept

    def test_the_same_said_again_brings_its_newer_detail(self) -> None:
        assert fold(observation(State.CREATING), observation(State.CREATING)) == observation(State.CREATING)

    def test_a_successor_outranks_all_that_its_predecessor_said(self) -> None:
        dead = observation(State.DEAD, attempt=9)
        assert fold(dead, observation(State.NODE_SCHEDULED, succession=1)).state is State.NODE_SCHEDULED

    def test_a_new_attempt_outranks_the_end_of_the_last(self) -> None:
        assert fold(observation(State.RUNNING, 1), observation(State.CREATING, 2)).state is State.CREATING


ASSIGNMENT = Assignment(InstanceId("i2"), ServiceId("s"), 4, InstanceId("origin"), 1, succession=2)


def test_the_tier_above_hears_of_the_slot_under_its_own_id() -> None:
    said = as_origin(observation(State.RUNNING, attempt=3), ASSIGNMENT)
    assert (said.instance_id, said.succession, said.attempt) == ("origin", 2, 3)


@given(st.none() | OBSERVATIONS)
def test_what_is_surely_gone_outranks_all_that_was_said(known: Observation | None) -> None:
    noted = undeployed(ASSIGNMENT, known, 5.0)
    assert fold(known, noted).state is State.UNDEPLOYED


def folded(reports: list[Observation]) -> Observation:
    known: Observation | None = None
    for report in reports:
        known = fold(known, report)
    if known is None:
        raise AssertionError("nothing was reported")
    return known
