"""`hedgerow net show` against a root that answers as it is told to."""

import json
from typing import Any

from tests.unit.operator.fake_root import FakeRoot
from tests.unit.operator.test_cli import Hedgerow, hedgerow, root, session_file

__all__ = ["hedgerow", "root", "session_file"]

SHED: dict[str, Any] = {
    "node_id": "n1",
    "node_name": "shed",
    "cluster_name": "garden",
    "address": "192.0.2.7",
    "has_overlay": True,
    "subnets": ["10.16.0.0/26 fc00::/120"],
}
OLD = {"node_id": "n2", "node_name": "attic", "cluster_name": "house", "address": "192.0.2.8", "has_overlay": False}
WEB = {
    "job_name": "shop.prod.web.prod",
    "port": "8080:80/tcp",
    "instance_list": [
        {"instance_number": 0, "instance_id": "i0", "node_name": "shed", "namespace_ip": "10.16.0.2"},
        {"instance_number": 1, "instance_id": "i1", "node_name": "attic", "namespace_ip": ""},
    ],
}


def answer(root: FakeRoot, *nodes: dict[str, Any], unreachable: tuple[dict[str, Any], ...] = ()) -> None:
    root.on("GET /api/nodes", {"nodes": list(nodes), "unreachable": list(unreachable)})
    root.on("GET /api/services", [WEB] if nodes else [])


def test_nodes_with_their_subnets_and_instances_with_their_addresses(root: FakeRoot, hedgerow: Hedgerow) -> None:
    answer(root, SHED, OLD)
    outcome = hedgerow("net", "show")
    assert outcome.code == 0
    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert "shed garden 192.0.2.7 overlay 10.16.0.0/26 fc00::/120" in lines
    assert "attic house 192.0.2.8 the node's" in lines
    assert "shop.prod.web.prod 0 shed 10.16.0.2 8080:80/tcp" in lines
    assert not any(line.startswith("shop.prod.web.prod 1") for line in lines)


def test_as_data(root: FakeRoot, hedgerow: Hedgerow) -> None:
    answer(root, SHED)
    found = json.loads(hedgerow("net", "show", "-o", "json").out)
    assert found["nodes"][0]["subnets"] == SHED["subnets"]
    assert [each["namespace_ip"] for each in found["instances"]] == ["10.16.0.2"]


def test_clusters_that_do_not_answer_are_named(root: FakeRoot, hedgerow: Hedgerow) -> None:
    answer(root, unreachable=({"cluster_name": "house", "message": "it is not there"},))
    outcome = hedgerow("net", "show")
    assert "No node has joined yet" in outcome.out + outcome.err
    assert "The nodes of house are unknown: it is not there" in outcome.err
