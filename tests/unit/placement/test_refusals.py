"""What a person reads when nothing fits, and the reason beside it."""

from dataclasses import replace

import pytest

from edge_common.model.lifecycle import Reason, Tier
from edge_common.model.network import PortMapping, Transport
from edge_common.model.resources import Resources
from edge_common.placement import CandidateRow, Candidates, Kind, PoolRow, Refusal, Request, place

DOCKER = Kind("amd64", frozenset({"docker"}))
CAPACITY = Resources(4000, 4096, 10000)


def node(name: str, kind: Kind = DOCKER, free: Resources = CAPACITY) -> CandidateRow:
    return CandidateRow(f"id-{name}", name, (PoolRow(kind, CAPACITY, free),))


def cluster(name: str, *pools: PoolRow) -> CandidateRow:
    return CandidateRow(f"id-{name}", name, pools, port_limit=sum(pool.node_count for pool in pools))


ASKED = Request("i", Resources(1000, 1024, 100), "docker")
ALDER, BIRCH = node("alder"), node("birch")
FULL = Resources(500, 200, 50)


@pytest.mark.parametrize(
    ("rows", "request_", "reason", "detail"),
    [
        ([], ASKED, Reason.NO_CANDIDATE, "There is no node yet; join one first."),
        (
            [replace(ALDER, is_ready=False)],
            ASKED,
            Reason.NO_CANDIDATE,
            "The only node, alder, is not ready.",
        ),
        (
            [replace(ALDER, is_ready=False), replace(BIRCH, is_cordoned=True)],
            ASKED,
            Reason.NOT_ELIGIBLE,
            "None of 2 nodes fits: 1 is not ready, 1 is cordoned.",
        ),
        (
            [ALDER, BIRCH],
            replace(ASKED, resources=Resources(1000, 8192, 0)),
            Reason.NO_CAPACITY,
            "None of 2 nodes fits: all have too little memory (8192 MB asked; the most free is 4096 MB on alder).",
        ),
        (
            [node("alder", free=FULL)],
            ASKED,
            Reason.NO_CAPACITY,
            "The only node, alder, has too little CPU (1 core asked; 0.5 cores free).",
        ),
        (
            [ALDER],
            replace(ASKED, resources=Resources(0, 0, 20000)),
            Reason.NO_CAPACITY,
            "The only node, alder, has too little disk (20000 MB asked; 10000 MB free).",
        ),
        (
            [node("alder", free=Resources(4000, -10, 0))],
            replace(ASKED, resources=Resources()),
            Reason.NO_CAPACITY,
            "The only node, alder, has too little memory (0 MB asked; 0 MB free).",
        ),
        (
            [ALDER, BIRCH],
            replace(ASKED, runtime="wasm"),
            Reason.NOT_ELIGIBLE,
            "None of 2 nodes fits: all have no runtime 'wasm' (only docker).",
        ),
        (
            [ALDER, node("birch", Kind("riscv64"))],
            replace(ASKED, architectures=("arm64", "arm")),
            Reason.NOT_ELIGIBLE,
            "None of 2 nodes fits: all have another architecture than arm64 or arm (amd64, riscv64).",
        ),
        (
            [node("alder", Kind("amd64"))],
            ASKED,
            Reason.NOT_ELIGIBLE,
            "The only node, alder, has no runtime 'docker' (none at all).",
        ),
        (
            [ALDER],
            replace(ASKED, needs_overlay=True),
            Reason.NOT_ELIGIBLE,
            "The only node, alder, has no overlay network, which a service address or a mapped port needs.",
        ),
        (
            [replace(ALDER, used_ports=((80, Transport.TCP),))],
            replace(ASKED, ports=(PortMapping(80, 80), PortMapping(81, 81))),
            Reason.NO_CAPACITY,
            "The only node, alder, has no free host port 80/tcp.",
        ),
        (
            [ALDER],
            replace(ASKED, avoid=("id-alder",)),
            Reason.NO_CAPACITY,
            "The only node, alder, has just handed it back.",
        ),
        (
            [ALDER, BIRCH],
            replace(ASKED, targets=("oak",)),
            Reason.TARGET_NOT_FOUND,
            "No node has the name or id 'oak'.",
        ),
        (
            [ALDER, replace(BIRCH, is_ready=False)],
            replace(ASKED, targets=("birch", "oak")),
            Reason.TARGET_NOT_READY,
            "The node birch is not ready. No node has the name or id 'oak'.",
        ),
        (
            [ALDER, replace(BIRCH, is_cordoned=True)],
            replace(ASKED, targets=("id-birch",)),
            Reason.TARGET_NOT_READY,
            "The node birch is cordoned.",
        ),
        (
            [node("alder", free=FULL), node("birch", free=FULL), node("cedar")],
            replace(ASKED, targets=("alder", "birch")),
            Reason.TARGET_NO_CAPACITY,
            "None of 2 named nodes fits: all have too little CPU (1 core asked; the most free is 0.5 cores on alder).",
        ),
        (
            [node("alder", free=FULL), node("birch", free=FULL), node("cedar", Kind("amd64"))],
            ASKED,
            Reason.NO_CAPACITY,
            "None of 3 nodes fits: 2 have too little CPU (1 core asked; the most free is 0.5 cores on alder), "
            "1 has no runtime 'docker' (none at all).",
        ),
    ],
)
def test_a_refusal_of_nodes_says_why(rows: list[CandidateRow], request_: Request, reason: Reason, detail: str) -> None:
    refusal = refusal_of(request_, Candidates.build(rows))
    assert (refusal.reason, refusal.detail) == (reason, detail)
    assert sum(count for _, count in refusal.refused_by) == len(rows)


@pytest.mark.parametrize(
    ("rows", "refused_by", "detail"),
    [
        ([], (), "There is no cluster yet; join one first."),
        ([cluster("east")], (("nodes", 1),), "The only cluster, east, has no node that takes instances."),
        (
            [cluster("east", PoolRow(DOCKER, Resources(9000, 9000, 9000), Resources(9000, 9000, 9000), 10, ()))],
            (("cpu", 1),),
            "The only cluster, east, has too little CPU (1 core asked; 0 cores free).",
        ),
        (
            [
                cluster(
                    "east",
                    PoolRow(DOCKER, Resources(90, 90000, 90000), Resources(90000, 99999, 90000), 100, (CAPACITY,)),
                    PoolRow(Kind("arm64"), CAPACITY, CAPACITY),
                ),
                cluster("west", PoolRow(DOCKER, CAPACITY, FULL, 100, (FULL,))),
            ],
            (("cpu", 1), ("memory", 1)),
            "None of 2 clusters fits: 1 has too little CPU (1 core asked; 0.5 cores free), "
            "1 has too little memory (8192 MB asked; 4096 MB free).",
        ),
        (
            [
                cluster(
                    "east",
                    PoolRow(
                        DOCKER,
                        Resources(90000, 90000, 90000),
                        Resources(90000, 90000, 90000),
                        100,
                        (Resources(500, 9000, 900), Resources(9000, 500, 900)),
                    ),
                )
            ],
            (("shape", 1),),
            "The only cluster, east, has no single node with 1 core, 8192 MB of memory and 0 MB of disk free at once.",
        ),
    ],
)
def test_a_refusal_of_clusters_says_why(
    rows: list[CandidateRow], refused_by: tuple[tuple[str, int], ...], detail: str
) -> None:
    big = replace(ASKED, resources=Resources(1000, 8192, 0))
    refusal = refusal_of(big, Candidates.build(rows, Tier.CLUSTER))
    assert (refusal.refused_by, refusal.detail) == (refused_by, detail)
    assert refusal.reason is (Reason.NO_CAPACITY if rows else Reason.NO_CANDIDATE)


def refusal_of(request: Request, table: Candidates) -> Refusal:
    (answer,) = place([request], table)
    assert isinstance(answer, Refusal)
    return answer
