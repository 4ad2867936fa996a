"""Cluster records over the document interface, and what the API reads of placements."""

from collections.abc import Sequence

from edge_common.link.placement_store import PlacementStore
from edge_common.model.ids import ClusterId, ServiceId
from edge_common.model.instance import Assignment, HeardObservation
from edge_common.plumbing.documents.codec import decode, encode
from edge_common.plumbing.documents.interface import Documents
from root_orchestrator.core.records import ClusterRecord

CLUSTERS = "clusters"


class DocumentClusterStore:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def clusters(self) -> list[ClusterRecord]:
        return [decode(ClusterRecord, document) for document in self._documents.find(CLUSTERS)]

    def put(self, record: ClusterRecord) -> None:
        self._documents.put(CLUSTERS, encode(record, record.info.cluster_id))

    def delete(self, cluster_id: ClusterId) -> None:
        self._documents.delete(CLUSTERS, cluster_id)


class DocumentPlacementReads:
    """Implements PlacementReads."""

    def __init__(self, placements: PlacementStore, clusters: DocumentClusterStore) -> None:
        self._placements = placements
        self._clusters = clusters

    def assignments_of(self, service_ids: Sequence[ServiceId]) -> list[Assignment]:
        return self._placements.assignments_of(service_ids)

    def observations_of(self, service_ids: Sequence[ServiceId]) -> list[HeardObservation]:
        return self._placements.observations_of(service_ids)

    def clusters(self) -> list[ClusterRecord]:
        return self._clusters.clusters()
