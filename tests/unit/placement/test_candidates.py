"""The table: its builders, and what happens to it between two placements."""

from dataclasses import replace

import pytest

from edge_common.model.cluster import ClusterInfo, Pool, Summary
from edge_common.model.errors import Conflict, NotFound
from edge_common.model.ids import ApplicationId, ClusterId, NodeId, ServiceId
from edge_common.model.lifecycle import Reason, Tier
from edge_common.model.network import PortMapping, Transport
from edge_common.model.node import NodeInfo
from edge_common.model.resources import Resources
from edge_common.model.service import ServiceSpec, Spreading
from edge_common.placement import (
    Candidates,
    Placement,
    Refusal,
    Request,
    cluster_candidate,
    node_candidate,
    place,
    request_for,
)

CAPACITY = Resources(4000, 4096, 10000)
ALDER = NodeInfo(NodeId("n-1"), "alder", "amd64", ("docker",), CAPACITY)
BIRCH = replace(ALDER, node_id=NodeId("n-2"), name="birch")
EAST = ClusterInfo(ClusterId("c-1"), "east")
ASKED = Request("i-1", Resources(1000, 1024, 0), "docker", group="web")


def pool(architecture: str, node_count: int, free: Resources, shape: Resources) -> Pool:
    return Pool(architecture, ("docker",), False, node_count, free, free, (shape,))


def test_a_request_is_the_part_of_a_spec_that_decides_where() -> None:
    spec = ServiceSpec(
        ServiceId("s-1"),
        ApplicationId("a-1"),
        "shop.default.web.default",
        "docker",
        "example/web",
        resources=CAPACITY,
        ports=(PortMapping(8080, 80),),
        architectures=("arm64",),
        spreading=Spreading.BINPACK,
    )
    assert request_for(spec, "i-1", targets=("alder",), avoid=("n-2",)) == Request(
        key="i-1",
        resources=CAPACITY,
        runtime="docker",
        architectures=("arm64",),
        ports=(PortMapping(8080, 80),),
        needs_overlay=True,
        targets=("alder",),
        avoid=("n-2",),
        spreading=Spreading.BINPACK,
        group="s-1",
    )


def test_a_node_with_its_instances_pending_has_what_they_leave() -> None:
    served = replace(ASKED, ports=(PortMapping(80, 80),))
    table = Candidates.build([node_candidate(ALDER, pending=(served, ASKED))])
    assert table.free_of("n-1") == Resources(2000, 2048, 10000)
    assert table.group_count("n-1", "web") == 2
    assert isinstance(place([served], table)[0], Refusal)


def test_a_burst_does_not_give_a_host_port_twice() -> None:
    web = replace(ASKED, ports=(PortMapping(80, 80), PortMapping(53, 53, Transport.UDP)))
    table = Candidates.build([node_candidate(ALDER), node_candidate(BIRCH)])
    answers = place([web, web, web], table)
    assert [isinstance(answer, Placement) for answer in answers] == [True, True, False]


def test_a_cluster_gives_a_host_port_once_a_node() -> None:
    web = replace(ASKED, ports=(PortMapping(80, 80),))
    summary = Summary(node_count=3, pools=(pool("amd64", 2, Resources(90000, 90000, 90000), CAPACITY),))
    table = Candidates.build([cluster_candidate(EAST, summary, used_ports=[(80, Transport.TCP)])], Tier.CLUSTER)
    answers = place([web, web, web], table)
    assert [isinstance(answer, Placement) for answer in answers] == [True, True, False]


def test_instances_count_against_a_cluster_before_its_summary_shows_them() -> None:
    small = pool("arm64", 1, Resources(1000, 1024, 100), Resources(1000, 1024, 100))
    summary = Summary(pools=(small, pool("amd64", 2, Resources(4000, 4096, 0), Resources(2000, 2048, 0))))
    row = cluster_candidate(EAST, summary, pending=[ASKED], groups={"web": 4})
    table = Candidates.build([row], Tier.CLUSTER)
    assert table.free_of("c-1") == Resources(4000, 4096, 100)
    assert table.group_count("c-1", "web") == 5
    assert table.columns.free[0].tolist() == [1000, 3000]
    table.release("c-1", ASKED)
    assert table.free_of("c-1") == Resources(5000, 5120, 100)


def test_what_a_summary_already_counts_is_free_only_when_the_next_one_says_so() -> None:
    summary = Summary(pools=(pool("amd64", 2, CAPACITY, CAPACITY),))
    table = Candidates.build([cluster_candidate(EAST, summary, groups={"web": 1})], Tier.CLUSTER)
    table.release("c-1", ASKED)
    assert table.free_of("c-1") == CAPACITY
    assert table.group_count("c-1", "web") == 0


def test_a_pool_of_one_node_shrinks_and_a_bigger_one_keeps_its_largest_shape() -> None:
    half = replace(ASKED, resources=Resources(2400, 0, 0))
    alone = Summary(pools=(pool("amd64", 1, Resources(8000, 8192, 20000), CAPACITY),))
    many = Summary(pools=(pool("amd64", 2, Resources(8000, 8192, 20000), CAPACITY),))
    for summary, fits in ((alone, 1), (many, 3)):
        table = Candidates.build([cluster_candidate(EAST, summary)], Tier.CLUSTER)
        answers = place([half] * 4, table)
        assert sum(isinstance(answer, Placement) for answer in answers) == fits


def test_a_reservation_that_no_pool_may_take_is_only_counted() -> None:
    summary = Summary(pools=(pool("amd64", 2, CAPACITY, CAPACITY),))
    table = Candidates.build([cluster_candidate(EAST, summary)], Tier.CLUSTER)
    alien = replace(ASKED, runtime="wasm")
    table.reserve("c-1", alien)
    assert (table.free_of("c-1"), table.group_count("c-1", "web")) == (CAPACITY, 1)
    table.release("c-1", alien)
    assert (table.free_of("c-1"), table.group_count("c-1", "web")) == (CAPACITY, 0)


def test_a_reservation_counts_even_where_it_does_not_fit() -> None:
    table = Candidates.build([node_candidate(ALDER, free=Resources(500, 0, 0))])
    table.reserve("n-1", ASKED)
    assert table.free_of("n-1") == Resources(-500, -1024, 0)
    table.release("n-1", ASKED)
    assert table.free_of("n-1") == Resources(500, 0, 0)


def test_readiness_and_cordons_change_without_a_new_row() -> None:
    table = Candidates.build([node_candidate(ALDER)])
    table.set_ready("n-1", False)
    assert reasons(table) == Reason.NO_CANDIDATE
    table.set_ready("n-1", True)
    table.set_cordoned("n-1", True)
    assert reasons(table) == Reason.NOT_ELIGIBLE
    table.set_cordoned("n-1", False)
    assert reasons(table) == Reason.NONE


def test_a_node_that_joins_later_is_counted_apart() -> None:
    table = Candidates.build([node_candidate(BIRCH)])
    place([ASKED, ASKED], table)
    table.upsert(node_candidate(ALDER))
    (answer,) = place([ASKED], table)
    assert isinstance(answer, Placement)
    assert (answer.candidate_id, answer.values[0]) == ("n-1", ("same_service", 0.0))
    assert [table.group_count(candidate_id, "web") for candidate_id in table.ids] == [1, 2]


def test_a_name_follows_its_node() -> None:
    table = Candidates.build([node_candidate(ALDER), node_candidate(BIRCH)])
    table.upsert(node_candidate(replace(ALDER, name="birch")))
    assert table.ids_of("birch") == {"n-1", "n-2"}
    assert table.ids_of("alder") == set()
    table.remove("n-2")
    assert table.ids_of("birch") == {"n-1"}
    assert table.ids_of("n-1") == {"n-1"}


def test_kinds_that_no_node_has_any_more_are_forgotten() -> None:
    table = Candidates.build([node_candidate(ALDER), node_candidate(BIRCH)])
    for number in range(1000):
        table.upsert(node_candidate(replace(ALDER, runtimes=(f"runtime-{number}",))))
        if number == 30:
            table.upsert(node_candidate(replace(BIRCH, runtimes=("docker", "unikernel"))))
    assert len(table.kinds) < 100
    answers = place([replace(ASKED, runtime="runtime-999"), ASKED], table)
    assert [answer.candidate_id for answer in answers if isinstance(answer, Placement)] == ["n-1", "n-2"]


def test_what_is_not_there() -> None:
    table = Candidates.build([node_candidate(ALDER)])
    table.remove("n-9")
    table.release("n-9", ASKED)
    with pytest.raises(NotFound, match="n-9"):
        table.reserve("n-9", ASKED)
    with pytest.raises(NotFound, match="n-9"):
        table.set_ready("n-9", True)
    with pytest.raises(NotFound, match="n-9"):
        table.set_cordoned("n-9", True)
    with pytest.raises(Conflict, match="n-1 was given twice"):
        Candidates.build([node_candidate(ALDER), node_candidate(ALDER)])


def test_a_placement_says_why_it_is_there() -> None:
    table = Candidates.build([node_candidate(ALDER, groups={"web": 1}), node_candidate(BIRCH)])
    (answer,) = place([ASKED], table)
    assert isinstance(answer, Placement)
    assert answer.explanation == "The node birch is the best of 2 that fit (spread: same_service 0, left_free 0.75)."


def reasons(table: Candidates) -> Reason:
    (answer,) = place([ASKED], table)
    if isinstance(answer, Refusal):
        return answer.reason
    table.release(answer.candidate_id, ASKED)
    return Reason.NONE
