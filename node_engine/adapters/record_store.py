"""Records over the document interface: one document an instance."""

import logging
from collections.abc import Iterable

from edge_common.model.errors import InvalidInput
from edge_common.model.ids import InstanceId
from edge_common.plumbing.documents.interface import Delete, Document, Documents, Put, Write
from edge_common.wire.codec import from_document, to_document
from node_engine.core.record import Record, kept

logger = logging.getLogger(__name__)

COLLECTION = "instances"


class DocumentRecordStore:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def load(self) -> list[Record]:
        found = (_record(document) for document in self._documents.find(COLLECTION))
        return [record for record in found if record is not None]

    def save(self, puts: Iterable[Record], removed: Iterable[InstanceId]) -> None:
        writes: list[Write] = [
            Put(COLLECTION, {"_id": record.instance_id, "record": to_document(kept(record))}) for record in puts
        ]
        writes += [Delete(COLLECTION, instance_id) for instance_id in removed]
        if writes:
            self._documents.bulk(writes)


def _record(document: Document) -> Record | None:
    """What it runs is found again by its labels, so a record that does not parse costs only its history."""
    try:
        return from_document(Record, document.get("record"))
    except InvalidInput as error:
        logger.warning("event=record_unreadable instance=%s detail=%r", document["_id"], str(error))
        return None
