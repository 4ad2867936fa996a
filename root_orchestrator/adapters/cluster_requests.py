"""Questions to clusters, for threads that wait: the question goes through the mailbox, the answer comes back here."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from edge_common.model.errors import HedgerowError, Overloaded, Unreachable
from edge_common.model.ids import ChildId, ClusterId
from root_orchestrator.service import AskCluster

MARGIN_S = 1.0
"""The link says first that an answer is late; this only guards against a stuck mailbox."""


class MailboxClusterRequests:
    """Implements ClusterRequests."""

    def __init__(self, post: Callable[[object], bool]) -> None:
        self._post = post

    def request(self, cluster_id: ClusterId, kind: str, body: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        future: Future[dict[str, Any]] = Future()

        def on_answer(answer: Mapping[str, Any] | HedgerowError) -> None:
            if isinstance(answer, HedgerowError):
                future.set_exception(answer)
            else:
                future.set_result(dict(answer))

        if not self._post(AskCluster(ChildId(cluster_id), kind, body, timeout_s, on_answer)):
            raise Overloaded("The root has too much waiting to ask a cluster now. Try again later.")
        try:
            return future.result(timeout_s + MARGIN_S)
        except FutureTimeout:
            raise Unreachable(f"Cluster {cluster_id} did not answer in time. Try again later.") from None
