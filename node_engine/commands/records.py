"""What the engine keeps on disk of its instances."""

from edge_common.plumbing.documents.open import open_documents
from node_engine.adapters.record_store import DocumentRecordStore
from node_engine.core.record import Record
from node_engine.settings import Settings


def kept_records(settings: Settings) -> list[Record]:
    """By service and id; empty when no engine ever ran here."""
    if not (settings.data_dir / "node.db").exists():
        return []
    documents = open_documents(settings.documents_url)
    try:
        records = DocumentRecordStore(documents).load()
    finally:
        documents.close()
    return sorted(records, key=lambda each: (each.spec.name, each.instance_id))
