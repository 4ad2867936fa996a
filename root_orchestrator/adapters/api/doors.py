"""Who comes in: join tokens, the waiting room, and forgetting; of the root itself and of each cluster."""

from collections.abc import Mapping
from typing import Any

from edge_common.link import doors
from edge_common.model.errors import NotFound
from edge_common.wire import routes
from root_orchestrator.adapters.api.answers import (
    ForgottenAnswer,
    JoinTokenAnswer,
    NewcomerAnswer,
    NewJoinTokenAnswer,
    WaitingAnswer,
)
from root_orchestrator.adapters.api.bodies import JoinTokenBody, read
from root_orchestrator.adapters.api.parts import Parts, note_object
from root_orchestrator.adapters.api.routing import Answer, Routes, query_flag
from root_orchestrator.core.permissions import Resource, Verb

ANSWER_S = 15.0
_TOKEN, _NEWCOMER = Resource.JOIN_TOKEN, Resource.NEWCOMER
_FORCE = {"force": "also when it is there and ready; what it runs is started elsewhere"}


class Doors:
    """Those of the root, or with `of_clusters` those of each cluster, which is asked the same over its link."""

    def __init__(self, parts: Parts, *, of_clusters: bool = False) -> None:
        self._parts = parts
        self._of_clusters = of_clusters

    def add_to(self, to: Routes) -> None:
        if self._of_clusters:
            self._add_tokens(
                to, routes.CLUSTER_TOKENS, routes.CLUSTER_TOKEN, routes.CLUSTER_TOKEN_ROTATION, "for nodes of a cluster"
            )
            self._add_waiting(
                to, routes.CLUSTER_WAITING, routes.CLUSTER_NEWCOMER, routes.CLUSTER_ADMISSION, "at a cluster"
            )
            self._add_forget_node(to)
        else:
            self._add_tokens(to, routes.JOIN_TOKENS, routes.JOIN_TOKEN, routes.JOIN_TOKEN_ROTATION, "for clusters")
            self._add_waiting(to, routes.WAITING, routes.NEWCOMER, routes.ADMISSION, "at the root")
            self._add_forget_cluster(to)

    def _add_forget_cluster(self, to: Routes) -> None:
        to.delete(
            routes.CLUSTER_ONE,
            self.forget_cluster,
            "Forget a cluster: it gets in no more, and what it had runs elsewhere",
            ForgottenAnswer,
            query=_FORCE,
            needs=(Verb.DELETE, Resource.CLUSTER),
        )

    def _add_forget_node(self, to: Routes) -> None:
        to.delete(
            routes.CLUSTER_NODE,
            self.forget_node,
            "Forget a node: it gets in no more, and what it had runs elsewhere",
            ForgottenAnswer,
            query=_FORCE,
            needs=(Verb.DELETE, Resource.NODE),
        )

    def list_tokens(self, cluster_id: str = "") -> Answer:
        return self._listed(self._ask(cluster_id, doors.JOIN_TOKENS, {"action": "list"}), "tokens")

    def create_token(self, cluster_id: str = "") -> Answer:
        wish = read(JoinTokenBody)
        life_s = float(wish["ttl"]) if "ttl" in wish else None
        body = {"action": "create", "life_s": life_s, "max_uses": wish.get("max_uses"), "note": wish.get("note", "")}
        return self._noted(self._ask(cluster_id, doors.JOIN_TOKENS, body))

    def rotate_token(self, token_id: str, cluster_id: str = "") -> Answer:
        return self._ask(cluster_id, doors.JOIN_TOKENS, {"action": "rotate", "token_id": token_id})

    def revoke_token(self, token_id: str, cluster_id: str = "") -> Answer:
        return self._ask(cluster_id, doors.JOIN_TOKENS, {"action": "revoke", "token_id": token_id})

    def list_waiting(self, cluster_id: str = "") -> Answer:
        return self._ask(cluster_id, doors.WAITING, {})

    def admit(self, child_id: str, cluster_id: str = "") -> Answer:
        return self._ask(cluster_id, doors.ADMIT, {"child": child_id})

    def refuse(self, child_id: str, cluster_id: str = "") -> Answer:
        return self._ask(cluster_id, doors.REFUSE, {"child": child_id})

    def forget_cluster(self, cluster_id: str) -> Answer:
        """One that joined and never reported is known to the door alone."""
        try:
            child_id = str(self._parts.cluster(cluster_id).info.cluster_id)
        except NotFound:
            child_id = cluster_id
        return self._ask("", doors.FORGET, {"child": child_id, "is_forced": query_flag("force")})

    def forget_node(self, cluster_id: str, node_id: str) -> Answer:
        return self._ask(cluster_id, doors.FORGET, {"child": node_id, "is_forced": query_flag("force")})

    def _ask(self, cluster_id: str, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Of the root itself when there is no cluster. Raises NotFound, Unreachable, and what was answered."""
        if not cluster_id:
            return self._parts.doors.answer(kind, body)
        cluster = self._parts.cluster(cluster_id)
        return self._parts.clusters.request(cluster.info.cluster_id, kind, body, ANSWER_S)

    def _listed(self, answer: Mapping[str, Any], field: str) -> Answer:
        found = answer.get(field, [])
        return list(found) if isinstance(found, list) else []

    def _noted(self, answer: dict[str, Any]) -> Answer:
        note_object(str(answer.get("token_id", "")))
        return answer

    def _add_tokens(self, to: Routes, every: str, one: str, rotation: str, of: str) -> None:
        to.get(every, self.list_tokens, f"Join tokens {of}", JoinTokenAnswer, is_list=True, needs=(Verb.READ, _TOKEN))
        to.post(
            every,
            self.create_token,
            f"A new join token {of}; the only answer that has it",
            NewJoinTokenAnswer,
            body=JoinTokenBody,
            needs=(Verb.CREATE, _TOKEN),
        )
        to.post(
            rotation,
            self.rotate_token,
            f"Another secret for a join token {of}; the old one is dead",
            NewJoinTokenAnswer,
            needs=(Verb.CHANGE, _TOKEN),
        )
        to.delete(one, self.revoke_token, f"Revoke a join token {of}", JoinTokenAnswer, needs=(Verb.DELETE, _TOKEN))

    def _add_waiting(self, to: Routes, every: str, one: str, admission: str, where: str) -> None:
        to.get(every, self.list_waiting, f"Who waits {where} to be let in", WaitingAnswer, needs=(Verb.READ, _NEWCOMER))
        to.post(admission, self.admit, f"Let in who waits {where}", NewcomerAnswer, needs=(Verb.CHANGE, _NEWCOMER))
        to.delete(
            one, self.refuse, f"Refuse who waits {where}, for a day", NewcomerAnswer, needs=(Verb.DELETE, _NEWCOMER)
        )
