"""A root, two clusters and four workers, each a host of its own: whatever link is cut, nothing is lost and nothing is
doubled once it is healed."""

import os
import re
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest

from tests.parts.many_hosts import IMAGE, ManyHosts, Running, many_hosts
from tests.parts.stack import sla
from tests.parts.tiers import id_of
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

COUNT = 40
ANYWHERE, FIRST, SECOND, FOURTH = "anywhere", "first", "second", "fourth"
BOUND: Mapping[str, set[str]] = {FIRST: {"cluster1"}, SECOND: {"cluster2"}, FOURTH: {"cluster2", "worker4"}}
"""Behind which of these hosts a service has to be: nobody else may take it over when one is cut off."""
LINKS = (
    ("root", "cluster1"),
    ("root", "cluster2"),
    ("cluster1", "worker1"),
    ("cluster1", "worker2"),
    ("cluster2", "worker3"),
    ("cluster2", "worker4"),
)
LONG_S = 40.0
"""A broken connection is noticed within 8 s, the lease is 3 s, and starting 24 instances takes a while."""
HEAL_S = 60.0
SHORT_S = 1.0
"""Less than it takes the broker to miss a child, and far less than the lease."""


@pytest.fixture(scope="module")
def hosts() -> Iterator[ManyHosts]:
    with many_hosts() as found:
        found.apply(document(ANYWHERE, 22))
        found.apply(document(FIRST, 8, constraints=[{"type": "clusters", "allowed": ["cluster1"]}]))
        found.apply(document(SECOND, 8, constraints=[{"type": "direct", "cluster": "cluster2"}]))
        found.apply(document(FOURTH, 2, constraints=[{"type": "direct", "node": "worker4"}]))
        found.wait_converged(COUNT, HEAL_S)
        yield found


@pytest.fixture
def busy(hosts: ManyHosts) -> Iterator[ManyHosts]:
    """Forty instances run, and nothing else."""
    hosts.wait_converged(COUNT, HEAL_S)
    yield hosts
    hosts.switch.heal_all()


def document(name: str, replicas: int, **fields: Any) -> dict[str, Any]:
    return sla(name, replicas, image=IMAGE, **fields)


def service_of(running: Running) -> str:
    return running.slot.service.partition(".")[0]


def bound(service: str) -> set[str]:
    return BOUND.get(service, set())


def test_forty_instances_over_both_clusters(busy: ManyHosts) -> None:
    placed = {name: {each.slot.worker for each in busy.running() if service_of(each) == name} for name in BOUND}
    assert placed == {FIRST: {"worker1", "worker2"}, SECOND: {"worker3", "worker4"}, FOURTH: {"worker4"}}
    anywhere = [each for each in busy.instances() if each["service"].startswith(ANYWHERE)]
    assert {each["cluster_name"] for each in anywhere} == {"cluster1", "cluster2"}


def test_the_root_knows_clusters_by_their_summaries_and_asks_them_for_nodes(busy: ManyHosts) -> None:
    shown = {each["cluster_name"]: each for each in busy.request("GET", "/api/clusters")}
    assert {name: each["cluster_location"] for name, each in shown.items()} == busy.locations
    assert {name: (each["node_count"], each["readiness"]) for name, each in shown.items()} == {
        "cluster1": (2, "ready"),
        "cluster2": (2, "ready"),
    }
    nodes = busy.request("GET", "/api/nodes")["nodes"]
    assert {(each["cluster_name"], each["node_name"]) for each in nodes} == {
        (cluster, worker) for cluster, worker in LINKS if cluster != "root"
    }
    assert {each["address"] for each in nodes} == {worker.host.address for worker in busy.workers.values()}
    kept = kept_by_root(busy)
    assert "nodes" not in kept
    assert not [each["node_id"] for each in nodes if each["node_id"] in kept["clusters"]]
    assert not [name for name in busy.workers if name in kept["clusters"]]


def kept_by_root(hosts: ManyHosts) -> dict[str, str]:
    """Collection -> all its documents in one text."""
    file = hosts.root.data_dir / "root.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: str(database.execute(f'SELECT * FROM "{name}"').fetchall()) for name in tables}


@pytest.mark.parametrize("link", LINKS, ids="-".join)
def test_a_cut_link_loses_nothing_and_doubles_nothing(busy: ManyHosts, link: tuple[str, str]) -> None:
    parent, child = link
    cut_off = {child} if child in busy.workers else {name for name, of in busy.parents.items() if of == child}
    before = busy.running()
    moving = {each for each in before if each.slot.worker in cut_off and child not in bound(service_of(each))}
    assert moving
    busy.cut(parent, child)
    eventually(lambda: has_moved(busy, cut_off, child), LONG_S, 0.25, f"successors of what runs on {cut_off}")
    assert set(before) <= set(busy.running()), "on either side everything goes on while they are apart"
    busy.heal(parent, child)
    busy.wait_converged(COUNT, HEAL_S)
    after = set(busy.running())
    assert set(before) - moving <= after, "what had not to move was not touched"
    assert not moving & after, "what has a successor elsewhere was stopped"


def has_moved(hosts: ManyHosts, cut_off: set[str], child: str) -> bool:
    """Forty run as far as the root can see, and on the cut-off hosts only what no other host may take."""
    instances = hosts.instances()
    left = [each for each in instances if each["node_name"] in cut_off]
    is_stuck = [child in bound(each["service"].partition(".")[0]) for each in left]
    return [each["status"] for each in instances] == ["RUNNING"] * COUNT and all(is_stuck)


@pytest.mark.parametrize("link", LINKS, ids="-".join)
def test_a_short_cut_moves_nothing(busy: ManyHosts, link: tuple[str, str]) -> None:
    before = set(busy.running())
    with busy.cut_for(SHORT_S, *link):
        pass
    busy.request("PUT", "/api/apply", document("echo", 1))
    eventually(lambda: len(busy.running()) == COUNT + 1, HEAL_S, message="the way down works")
    remove(busy, "echo")
    busy.wait_converged(COUNT, HEAL_S)
    assert set(busy.running()) == before


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_link_that_is_deaf_on_one_side_is_a_cut_link(busy: ManyHosts, direction: str) -> None:
    runs_on = Counter(each.slot.worker for each in busy.running())
    worker = max(("worker3", "worker4"), key=lambda name: runs_on[name])
    before = {each for each in busy.running() if each.slot.worker != worker}
    ends = ("cluster2", worker) if direction == "down" else (worker, "cluster2")
    busy.switch.cut(*ends)
    eventually(lambda: has_moved(busy, {worker}, worker), LONG_S, 0.25, f"successors of what runs on {worker}")
    busy.switch.heal(*ends)
    busy.wait_converged(COUNT, HEAL_S)
    assert before <= set(busy.running())


def test_both_sides_go_on_while_a_cluster_is_cut_off(busy: ManyHosts) -> None:
    """The cluster mends and moves without the root; the root's users are served by the other cluster."""
    busy.cut("root", "cluster1")
    victim = next(each for each in busy.running() if service_of(each) == FIRST and each.slot.worker == "worker1")
    os.kill(victim.pid, signal.SIGKILL)
    eventually(lambda: victim.slot in {each.slot for each in busy.running() if each != victim}, LONG_S, 0.25)
    busy.cut("cluster1", "worker1")
    eventually(lambda: on_worker2(busy) == 8, LONG_S, 0.25, "the cluster moves what ran on its lost worker")
    busy.apply(document(ANYWHERE, 24))
    eventually(lambda: shown_running(busy, ANYWHERE) == 24, LONG_S, 0.25, "two more on the other cluster")
    answer = busy.request("GET", "/api/nodes")
    assert {each["node_name"] for each in answer["nodes"]} == {"worker3", "worker4"}
    assert [each["cluster_name"] for each in answer["unreachable"]] == ["cluster1"]
    busy.switch.heal_all()
    busy.wait_converged(COUNT + 2, HEAL_S)
    busy.apply(document(ANYWHERE, 22))
    busy.wait_converged(COUNT, HEAL_S)


def on_worker2(hosts: ManyHosts) -> int:
    return sum(service_of(each) == FIRST and each.slot.worker == "worker2" for each in hosts.running())


def shown_running(hosts: ManyHosts, service: str) -> int:
    return sum(each["status"] == "RUNNING" and each["service"].startswith(service) for each in hosts.instances())


def test_a_root_that_hears_of_nobody_moves_nothing_that_has_its_place(busy: ManyHosts) -> None:
    before = {each for each in busy.running() if service_of(each) in BOUND}
    busy.switch.pull_out("root")
    eventually(lambda: said_lost(busy) == {"cluster1", "cluster2"}, LONG_S, 0.25, "both clusters are lost to the root")
    assert before <= set(busy.running())
    busy.switch.put_back("root")
    busy.wait_converged(COUNT, HEAL_S)
    assert before <= set(busy.running())


def said_lost(hosts: ManyHosts) -> set[str]:
    """Whom the root believes to be lost, by its log: nobody can ask it now."""
    last = dict(re.findall(r"event=readiness child=(\w+) .*after=(\w+)", hosts.root.host.log("root")))
    return {name for name, cluster in hosts.clusters.items() if last.get(id_of(cluster.data_dir)) == "lost"}


def test_a_cluster_without_room_hands_the_slot_back(busy: ManyHosts) -> None:
    """Cluster 1 has room and more of it than cluster 2, so the root tries it first; but its room is on another node."""
    nodes = {each["node_name"]: each for each in busy.request("GET", "/api/nodes")["nodes"]}
    free_mb = min(each["free"]["memory_mb"] for each in nodes.values())
    most_mb = free_mb * 6 // 10
    busy.apply(document("filler1", 1, memory=most_mb, constraints=[{"type": "direct", "node": "worker1"}]))
    busy.apply(document("filler4", 1, memory=free_mb - 100, constraints=[{"type": "direct", "node": "worker4"}]))
    busy.wait_converged(COUNT + 2, HEAL_S)
    constraint = {"type": "direct", "node": "worker1;worker3"}
    (made,) = busy.apply(document("wanderer", 1, memory=most_mb, constraints=[constraint]))
    busy.wait_converged(COUNT + 3, HEAL_S)
    (instance,) = [each for each in busy.instances() if each["service"].startswith("wanderer")]
    assert (instance["cluster_name"], instance["node_name"]) == ("cluster2", "worker3")
    decided = re.findall(rf"service={made['microserviceID']} command=(\w+)", busy.root.host.log("root"))
    assert decided.count("FindCluster") == 2
    for name in ("wanderer", "filler1", "filler4"):
        remove(busy, name)
    busy.wait_converged(COUNT, HEAL_S)


def remove(hosts: ManyHosts, name: str) -> None:
    (found,) = [each for each in hosts.request("GET", "/api/applications") if each["application_name"] == name]
    hosts.request("DELETE", f"/api/application/{found['applicationID']}")


def test_a_third_cluster_joins_later(busy: ManyHosts) -> None:
    before = set(busy.running())
    busy.add_cluster("cluster3", "48.3,11.3,300")
    busy.wait_ready()
    busy.add_worker("worker5", "cluster3")
    busy.wait_ready()
    busy.apply(document("third", 2, constraints=[{"type": "clusters", "allowed": ["cluster3"]}]))
    busy.wait_converged(COUNT + 2, HEAL_S)
    shown = {each["cluster_name"]: each["cluster_location"] for each in busy.request("GET", "/api/clusters")}
    assert shown == busy.locations
    assert before <= set(busy.running())
    remove(busy, "third")
