"""What the root sees of a cluster."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cluster_orchestrator.core.summary import MAX_SHAPES, NodeView, largest_shapes, summarise
from edge_common.model.resources import NOTHING, Resources
from tests.unit.cluster.rig import ROOM, node

RESOURCES = st.builds(Resources, st.integers(-50, 400), st.integers(-50, 400), st.integers(-50, 400))
PLAIN = node("n1").info


def view(free: Resources = ROOM, *, is_ready: bool = True, is_cordoned: bool = False, **changes: object) -> NodeView:
    return NodeView(replace(PLAIN, **changes), free, is_ready, is_cordoned)  # type: ignore[arg-type]


def test_nodes_that_are_alike_are_one_pool() -> None:
    summary = summarise(
        5, [view(runtimes=("wasm", "container")), view(runtimes=("container", "wasm")), view(architecture="arm64")], 9
    )
    assert [(pool.architecture, pool.runtimes, pool.node_count) for pool in summary.pools] == [
        ("amd64", ("container", "wasm"), 2),
        ("arm64", ("container",), 1),
    ]
    assert (summary.revision, summary.instance_count, summary.total) == (5, 9, ROOM + ROOM + ROOM)


def test_nodes_that_take_nothing_offer_nothing() -> None:
    summary = summarise(1, [view(is_ready=False), view(is_cordoned=True), view()], 0)
    assert (summary.node_count, summary.ready_node_count, summary.total) == (3, 2, ROOM)


def test_one_that_has_promised_too_much_takes_nothing_from_the_others() -> None:
    summary = summarise(1, [view(Resources(-500, 100, 100)), view(Resources(500, 100, 100))], 0)
    assert summary.free == Resources(500, 200, 200)


def test_an_empty_cluster_has_an_empty_summary() -> None:
    summary = summarise(1, [], 0)
    assert (summary.pools, summary.total, summary.free) == ((), NOTHING, NOTHING)


@given(st.lists(RESOURCES, max_size=30))
def test_the_largest_shapes_contain_each_other_never_and_all_others_when_there_is_room(free: list[Resources]) -> None:
    shapes = largest_shapes(free)
    assert len(shapes) <= MAX_SHAPES
    assert set(shapes) <= set(free)
    assert not any(one.fits_in(other) for one in shapes for other in shapes if one is not other)
    if len(shapes) < MAX_SHAPES:
        assert all(any(each.fits_in(shape) for shape in shapes) for each in free)


@given(st.lists(RESOURCES, max_size=20))
def test_free_is_the_sum_of_what_nodes_offer(free: list[Resources]) -> None:
    summary = summarise(1, [view(each) for each in free], 0)
    offered = [Resources(max(0, f.cpu_millis), max(0, f.memory_mb), max(0, f.disk_mb)) for f in free]
    assert summary.free == sum(offered, NOTHING)
