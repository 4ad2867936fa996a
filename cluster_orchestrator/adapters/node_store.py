"""Node records over the document interface."""

from cluster_orchestrator.core.records import NodeRecord
from edge_common.model.ids import NodeId
from edge_common.plumbing.documents.codec import decode, encode
from edge_common.plumbing.documents.interface import Documents

NODES = "nodes"


class DocumentNodeStore:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def nodes(self) -> list[NodeRecord]:
        return [decode(NodeRecord, document) for document in self._documents.find(NODES)]

    def put(self, record: NodeRecord) -> None:
        self._documents.put(NODES, encode(record, record.info.node_id))

    def delete(self, node_id: NodeId) -> None:
        self._documents.delete(NODES, node_id)
