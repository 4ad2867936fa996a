"""Microseconds a request, with 5,000 nodes to choose from, against the plain reference that the tests compare with.

Every placement is reserved, so each request sees a changed table. `refused` asks for more than any node has.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from statistics import median
from time import perf_counter

from edge_common.model.resources import Resources
from edge_common.model.service import Spreading
from edge_common.placement import CandidateRow, Candidates, Kind, PoolRow, Request, place
from tests.unit.placement.reference import Reference

NODES = 5000
REQUESTS = 1000
NAIVE_REQUESTS = 20
SERVICES = 10
ROUNDS = 5
TOO_MUCH_MEMORY_MB = 1_000_000


def run() -> dict[str, float]:
    rows = nodes()
    spread, packed = burst(Spreading.SPREAD), burst(Spreading.BINPACK)
    refused = [replace(one, resources=Resources(250, TOO_MUCH_MEMORY_MB, 0)) for one in spread]
    placement_us = of_engine(rows, spread)
    naive_us = of_reference(rows, spread[:NAIVE_REQUESTS])
    return {
        "nodes": NODES,
        "requests": REQUESTS,
        "placement_us_per_request": placement_us,
        "placement_binpack_us_per_request": of_engine(rows, packed),
        "placement_refused_us_per_request": of_engine(rows, refused),
        "naive_us_per_request": naive_us,
        "ratio": placement_us / naive_us,
        "build_ms": microseconds(lambda: Candidates.build(rows)) / 1000,
    }


def nodes() -> list[CandidateRow]:
    random = Random(5000)
    return [node(random, number) for number in range(NODES)]


def node(random: Random, number: int) -> CandidateRow:
    capacity = Resources(random.choice((4000, 8000, 16000)), random.choice((4096, 8192, 32768)), 100_000)
    runtimes = frozenset({"docker"} if random.random() < 0.9 else {"docker", "wasm"})
    kind = Kind(random.choice(("amd64", "arm64")), runtimes, has_overlay=random.random() < 0.8)
    return CandidateRow(
        candidate_id=f"n{number:05}",
        name=f"node-{number}",
        pools=(PoolRow(kind, capacity, capacity),),
        is_ready=random.random() < 0.98,
        is_cordoned=random.random() < 0.02,
    )


def burst(spreading: Spreading) -> list[Request]:
    return [
        Request(
            key=f"i{number}",
            resources=Resources(250, 256, 100),
            runtime="docker",
            architectures=("amd64",),
            needs_overlay=number % 3 == 0,
            spreading=spreading,
            group=f"s{number % SERVICES}",
        )
        for number in range(REQUESTS)
    ]


def of_engine(rows: list[CandidateRow], requests: Sequence[Request]) -> float:
    """The median of some rounds, each with a fresh table."""
    tables = [Candidates.build(rows) for _ in range(ROUNDS)]
    return median(microseconds(partial(place, requests, table)) for table in tables) / len(requests)


def of_reference(rows: list[CandidateRow], requests: Sequence[Request]) -> float:
    reference = Reference(rows)
    return microseconds(lambda: [reference.place(request) for request in requests]) / len(requests)


def microseconds(work: Callable[[], object]) -> float:
    began_s = perf_counter()
    work()
    return (perf_counter() - began_s) * 1_000_000
