"""Where instances go: the same engine for a root that chooses clusters and a cluster that chooses nodes."""

from edge_common.placement.candidates import Candidates
from edge_common.placement.explain import Explanation, Verdict, explain
from edge_common.placement.place import Placement, place
from edge_common.placement.refusals import Refusal
from edge_common.placement.requests import HostPort, Request, request_for
from edge_common.placement.rows import CandidateRow, Kind, PoolRow, cluster_candidate, node_candidate

__all__ = [
    "CandidateRow",
    "Candidates",
    "Explanation",
    "HostPort",
    "Kind",
    "Placement",
    "PoolRow",
    "Refusal",
    "Request",
    "Verdict",
    "cluster_candidate",
    "explain",
    "node_candidate",
    "place",
    "request_for",
]
