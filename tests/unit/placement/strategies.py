"""Random tables and requests, small enough that they collide."""

from dataclasses import replace

from hypothesis import strategies as st

from edge_common.model.network import PortMapping, Transport
from edge_common.model.resources import Resources
from edge_common.model.service import Spreading
from edge_common.placement import CandidateRow, HostPort, Kind, PoolRow, Request

ARCHITECTURES = ("amd64", "arm64", "riscv64")
RUNTIMES = ("docker", "wasm", "unikernel")
GROUPS = ("", "blue", "green")
NAMES = ("alder", "birch", "cedar")
IDS = tuple(f"c{number:02}" for number in range(12))


def resources(most: int) -> st.SearchStrategy[Resources]:
    amount = st.integers(0, most)
    return st.builds(Resources, amount, amount, amount)


host_ports: st.SearchStrategy[HostPort] = st.tuples(st.sampled_from((80, 443)), st.sampled_from(Transport))

requests: st.SearchStrategy[Request] = st.builds(
    Request,
    key=st.just(""),
    resources=resources(6),
    runtime=st.sampled_from(RUNTIMES[:2]),
    architectures=st.lists(st.sampled_from(ARCHITECTURES), max_size=2, unique=True).map(tuple),
    ports=st.lists(
        st.builds(lambda port: PortMapping(port[0], port[0], port[1]), host_ports), max_size=2, unique=True
    ).map(tuple),
    needs_overlay=st.booleans(),
    targets=st.lists(st.sampled_from((*IDS[:3], *NAMES, "nobody")), max_size=2).map(tuple),
    avoid=st.lists(st.sampled_from((*IDS[:3], "gone")), max_size=2).map(tuple),
    spreading=st.sampled_from(Spreading),
    group=st.sampled_from(GROUPS),
)

bursts = st.lists(requests, max_size=12).map(
    lambda burst: [replace(one, key=f"i{number}") for number, one in enumerate(burst)]
)

kinds = st.builds(
    Kind,
    architecture=st.sampled_from(ARCHITECTURES[:2]),
    runtimes=st.frozensets(st.sampled_from(RUNTIMES), min_size=1),
    has_overlay=st.booleans(),
)


@st.composite
def node_pools(draw: st.DrawFn) -> tuple[PoolRow, ...]:
    free = draw(resources(20))
    used = draw(resources(5))
    return (PoolRow(draw(kinds), free + used, free),)


@st.composite
def cluster_pool(draw: st.DrawFn) -> PoolRow:
    free, used = draw(resources(40)), draw(resources(10))
    node_count = draw(st.integers(0, 3))
    shapes = draw(st.lists(resources(12) | st.just(free), max_size=3))
    largest = tuple(
        Resources(
            min(shape.cpu_millis, free.cpu_millis),
            min(shape.memory_mb, free.memory_mb),
            min(shape.disk_mb, free.disk_mb),
        )
        for shape in shapes
    )
    return PoolRow(draw(kinds), free + used, free, node_count, largest)


cluster_pools = st.lists(cluster_pool(), max_size=3).map(tuple)


def tables(
    pools: st.SearchStrategy[tuple[PoolRow, ...]], most_port_limit: int, least_port_limit: int = 0
) -> st.SearchStrategy[list[CandidateRow]]:
    row = st.builds(
        CandidateRow,
        candidate_id=st.sampled_from(IDS),
        name=st.sampled_from(NAMES),
        pools=pools,
        is_ready=st.sampled_from((True, True, True, False)),
        is_cordoned=st.sampled_from((False, False, False, True)),
        port_limit=st.integers(least_port_limit, most_port_limit),
        used_ports=st.lists(host_ports, max_size=2).map(tuple),
        groups=st.dictionaries(st.sampled_from(GROUPS[1:]), st.integers(1, 3)),
    )
    return st.lists(row, max_size=8, unique_by=lambda one: one.candidate_id)


node_tables = tables(node_pools(), 1, least_port_limit=1)
cluster_tables = tables(cluster_pools, 3)
