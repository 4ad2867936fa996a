"""The engine against the plain reference, and what must hold of every table and every burst."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_common.model.lifecycle import Tier
from edge_common.model.network import Transport
from edge_common.model.resources import NOTHING, Resources
from edge_common.model.service import Spreading
from edge_common.placement import (
    CandidateRow,
    Candidates,
    Kind,
    Placement,
    PoolRow,
    Refusal,
    Request,
    explain,
    place,
)
from tests.unit.placement import strategies
from tests.unit.placement.reference import Reference

both_tiers = pytest.mark.parametrize(
    ("tier", "tables"),
    [(Tier.NODE, strategies.node_tables), (Tier.CLUSTER, strategies.cluster_tables)],
    ids=["nodes", "clusters"],
)
Tables = st.SearchStrategy[list[CandidateRow]]

fewer = settings(max_examples=40)
"""For what follows from agreement with the reference, which is looked at with every example."""


def image(table: Candidates) -> tuple[object, ...]:
    """All that a table knows, to compare two."""
    columns = table.columns
    kinds = [table.kinds[code] for code in columns.kind]
    numbers = (columns.free, columns.scale, columns.room, columns.shapes, columns.node_count, columns.port_limit)
    counts = [
        (candidate_id, [table.group_count(candidate_id, group) for group in strategies.GROUPS])
        for candidate_id in table.ids
    ]
    used = [table.port_counts((number, transport)) for number in (80, 443) for transport in Transport]
    return (
        list(table.ids),
        list(table.names),
        kinds,
        [array.tolist() for array in numbers],
        columns.is_ready.tolist(),
        columns.is_open.tolist(),
        table.owner.tolist(),
        counts,
        [column.tolist() if column is not None else [] for column in used],
    )


@both_tiers
@given(data=st.data())
def test_places_as_the_reference_does(tier: Tier, tables: Tables, data: st.DataObject) -> None:
    rows, burst = data.draw(tables), data.draw(strategies.bursts)
    table, reference = Candidates.build(rows, tier), Reference(rows, tier)
    for request in burst:
        expected = reference.place(request)
        (answer,) = place([request], table)
        chosen = answer.candidate_id if isinstance(answer, Placement) else None
        assert chosen == (expected[0] if expected else None)


@both_tiers
@fewer
@given(data=st.data())
def test_a_burst_is_its_requests_one_by_one(tier: Tier, tables: Tables, data: st.DataObject) -> None:
    rows, burst = data.draw(tables), data.draw(strategies.bursts)
    one, other = Candidates.build(rows, tier), Candidates.build(rows, tier)
    assert place(burst, one) == [answer for request in burst for answer in place([request], other)]


@both_tiers
@fewer
@given(data=st.data())
def test_the_order_of_rows_does_not_matter(tier: Tier, tables: Tables, data: st.DataObject) -> None:
    rows, burst = data.draw(tables), data.draw(strategies.bursts)
    shuffled = data.draw(st.permutations(rows))
    assert place(burst, Candidates.build(rows, tier)) == place(burst, Candidates.build(shuffled, tier))


@both_tiers
@fewer
@given(data=st.data())
def test_the_counts_of_a_refusal_add_up(tier: Tier, tables: Tables, data: st.DataObject) -> None:
    rows, burst = data.draw(tables), data.draw(strategies.bursts)
    for answer in place(burst, Candidates.build(rows, tier)):
        if isinstance(answer, Refusal):
            assert sum(count for _, count in answer.refused_by) == len(rows)
            assert answer.reason
            assert answer.detail.endswith(".")


@both_tiers
@fewer
@given(data=st.data())
def test_what_is_released_leaves_no_trace(tier: Tier, tables: Tables, data: st.DataObject) -> None:
    rows, burst = data.draw(tables), data.draw(strategies.bursts)
    table = Candidates.build(rows, tier)
    before = image(table)
    placed = {request.key: request for request in burst}
    answers = [answer for answer in place(burst, table) if isinstance(answer, Placement)]
    for answer in data.draw(st.permutations(answers)):
        table.release(answer.candidate_id, placed[answer.key])
    assert image(table) == before


@both_tiers
@fewer
@given(data=st.data())
def test_upserts_and_removals_make_the_table_that_a_build_makes(
    tier: Tier, tables: Tables, data: st.DataObject
) -> None:
    first, then, burst = data.draw(tables), data.draw(tables), data.draw(strategies.bursts)
    table = Candidates.build(first, tier)
    place(burst, table)
    for row in data.draw(st.permutations(then)):
        table.upsert(row)
    for candidate_id in {row.candidate_id for row in first} - {row.candidate_id for row in then}:
        table.remove(candidate_id)
    assert image(table) == image(Candidates.build(then, tier))
    assert place(burst, table) == place(burst, Candidates.build(then, tier))


@given(rows=strategies.node_tables, burst=strategies.bursts)
def test_no_node_is_over_committed(rows: list[CandidateRow], burst: list[Request]) -> None:
    table = Candidates.build(rows)
    asked = {request.key: request for request in burst}
    left = {row.candidate_id: row.pools[0].free for row in rows}
    ports = {(row.candidate_id, port) for row in rows for port in row.used_ports}
    for answer in place(burst, table):
        if isinstance(answer, Placement):
            request = asked[answer.key]
            left[answer.candidate_id] -= request.resources
            for port in request.host_ports:
                assert (answer.candidate_id, port) not in ports
                ports.add((answer.candidate_id, port))
    assert all(NOTHING.fits_in(free) for free in left.values())
    assert {candidate_id: table.free_of(candidate_id) for candidate_id in table.ids} == left


@given(rows=strategies.cluster_tables, burst=strategies.bursts)
def test_no_pool_gives_more_than_its_total_or_its_largest_shape(rows: list[CandidateRow], burst: list[Request]) -> None:
    table = Candidates.build(rows, Tier.CLUSTER)
    asked = {request.key: request for request in burst}
    pools = {row.candidate_id: row.pools for row in rows}
    for answer in place(burst, table):
        if isinstance(answer, Placement):
            request = asked[answer.key]
            assert any(
                pool.kind.admits(request) and any(request.resources.fits_in(shape) for shape in pool.largest or ())
                for pool in pools[answer.candidate_id]
            )
    assert (table.columns.free >= 0).all()


@both_tiers
@fewer
@given(data=st.data())
def test_an_explanation_says_what_place_then_does(tier: Tier, tables: Tables, data: st.DataObject) -> None:
    rows, burst = data.draw(tables), data.draw(strategies.bursts)
    table = Candidates.build(rows, tier)
    for request in burst:
        before = image(table)
        explanation = explain(request, table)
        assert image(table) == before
        (answer,) = place([request], table)
        fitting = [verdict for verdict in explanation.verdicts if verdict.fits]
        assert all(verdict.fits == all(passed for _, passed in verdict.passes) for verdict in explanation.verdicts)
        if isinstance(answer, Placement):
            assert (explanation.chosen_id, len(fitting)) == (answer.candidate_id, answer.fitting_count)
            assert max(verdict.score for verdict in fitting if verdict.score is not None) == answer.score
        else:
            assert (explanation.chosen_id, fitting) == ("", [])


@given(count=st.integers(1, 9), burst=st.integers(1, 40), size=st.integers(0, 2))
def test_a_burst_spreads_evenly_over_equal_nodes(count: int, burst: int, size: int) -> None:
    table = Candidates.build(equal_nodes(count, Resources(100, 100, 100)))
    answers = place([ask(f"i{number}", Resources(size, size, size)) for number in range(burst)], table)
    assert all(isinstance(answer, Placement) for answer in answers)
    counts = [table.group_count(candidate_id, "blue") for candidate_id in table.ids]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == burst


@given(count=st.integers(1, 9), burst=st.integers(1, 40))
def test_a_burst_packs_node_after_node(count: int, burst: int) -> None:
    fits_per_node = 5
    table = Candidates.build(equal_nodes(count, Resources(10, 10, 10)))
    requests = [ask(f"i{number}", Resources(2, 2, 0), "binpack") for number in range(burst)]
    answers = place(requests, table)
    placed = [answer.candidate_id for answer in answers if isinstance(answer, Placement)]
    assert placed == [table.ids[number // fits_per_node] for number in range(min(burst, count * fits_per_node))]


def equal_nodes(count: int, capacity: Resources) -> list[CandidateRow]:
    pool = PoolRow(Kind("amd64", frozenset({"docker"})), capacity, capacity)
    return [CandidateRow(f"n{number}", f"node-{number}", (pool,)) for number in range(count)]


def ask(key: str, resources: Resources, spreading: str = "spread") -> Request:
    return Request(key, resources, "docker", spreading=Spreading(spreading), group="blue")
