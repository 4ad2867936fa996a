"""Clusters, and the nodes that each of them has."""

from typing import Any

from edge_common.model.errors import HedgerowError, NotFound
from edge_common.model.node import Readiness
from edge_common.wire import routes
from root_orchestrator.adapters.api.answers import ClusterAnswer, NodeAnswer, NodesAnswer
from root_orchestrator.adapters.api.bodies import CordonBody, read
from root_orchestrator.adapters.api.parts import Parts
from root_orchestrator.adapters.api.routing import Answer, Routes
from root_orchestrator.core.permissions import Resource, Verb
from root_orchestrator.core.records import ClusterRecord
from root_orchestrator.core.views import View, cluster_view

ANSWER_S = 5.0
_ALL_S = 8.0


class Clusters:
    """The root keeps no nodes, so whoever wants to see them waits for their cluster."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add_to(self, to: Routes) -> None:
        to.get(
            routes.CLUSTERS,
            self.list_all,
            "All clusters",
            ClusterAnswer,
            is_list=True,
            needs=(Verb.READ, Resource.CLUSTER),
        )
        to.get(
            routes.CLUSTERS_ACTIVE,
            self.list_active,
            "The clusters that are heard now",
            ClusterAnswer,
            is_list=True,
            needs=(Verb.READ, Resource.CLUSTER),
        )
        to.get(
            routes.CLUSTER_ONE,
            self.show,
            "One cluster, by id or name",
            ClusterAnswer,
            needs=(Verb.READ, Resource.CLUSTER),
        )
        to.get(
            routes.CLUSTER_NODES,
            self.nodes,
            "The nodes of a cluster",
            NodeAnswer,
            is_list=True,
            needs=(Verb.READ, Resource.NODE),
        )
        to.get(routes.CLUSTER_NODE, self.node, "One node, by id or name", NodeAnswer, needs=(Verb.READ, Resource.NODE))
        to.put(
            routes.CORDON,
            self.cordon,
            "Take a node out of placement, or back in",
            NodeAnswer,
            body=CordonBody,
            needs=(Verb.CHANGE, Resource.NODE),
        )
        to.get(routes.NODES, self.all_nodes, "The nodes of all clusters", NodesAnswer, needs=(Verb.READ, Resource.NODE))

    def list_all(self) -> Answer:
        now_s = self._parts.clock.now_s()
        return [cluster_view(cluster, now_s) for cluster in self._parts.placements.clusters()]

    def list_active(self) -> Answer:
        now_s = self._parts.clock.now_s()
        clusters = self._parts.placements.clusters()
        return [cluster_view(cluster, now_s) for cluster in clusters if cluster.readiness is Readiness.READY]

    def show(self, cluster_id: str) -> Answer:
        return cluster_view(self._parts.cluster(cluster_id), self._parts.clock.now_s())

    def nodes(self, cluster_id: str) -> Answer:
        return self._nodes_of(self._parts.cluster(cluster_id), ANSWER_S)

    def node(self, cluster_id: str, node_id: str) -> Answer:
        cluster = self._parts.cluster(cluster_id)
        for node in self._nodes_of(cluster, ANSWER_S):
            if node_id in (node.get("node_id"), node.get("node_name")):
                return node
        raise NotFound(f"Cluster {cluster.info.name} has no node {node_id}.")

    def cordon(self, cluster_id: str, node_id: str) -> Answer:
        is_cordoned = read(CordonBody)["cordoned"]
        cluster = self._parts.cluster(cluster_id)
        body = {"node": node_id, "is_cordoned": is_cordoned}
        answer = self._parts.clusters.request(cluster.info.cluster_id, "cordon", body, ANSWER_S)
        return _with_cluster(answer.get("node", {}), cluster)

    def all_nodes(self) -> Answer:
        """A cluster that does not answer hides none of the others."""
        found: list[View] = []
        silent: list[View] = []
        until_s = self._parts.clock.monotonic_s() + _ALL_S
        for cluster in self._parts.placements.clusters():
            left_s = until_s - self._parts.clock.monotonic_s()
            try:
                found += self._nodes_of(cluster, min(ANSWER_S, max(0.1, left_s)))
            except HedgerowError as error:
                silent.append(
                    {"cluster_id": cluster.info.cluster_id, "cluster_name": cluster.info.name, "message": str(error)}
                )
        return {"nodes": found, "unreachable": silent}

    def _nodes_of(self, cluster: ClusterRecord, timeout_s: float) -> list[View]:
        answer = self._parts.clusters.request(cluster.info.cluster_id, "nodes", {}, timeout_s)
        return [_with_cluster(node, cluster) for node in answer.get("nodes", [])]


def _with_cluster(node: dict[str, Any], cluster: ClusterRecord) -> View:
    return {**node, "cluster_id": cluster.info.cluster_id, "cluster_name": cluster.info.name}
