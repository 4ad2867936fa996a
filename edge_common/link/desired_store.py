"""Where a child keeps its desired set, so that it can act on it when it boots without a network."""

from collections.abc import Iterable
from typing import Protocol

from edge_common.link.desired_set import DesiredSet
from edge_common.model.ids import ServiceId
from edge_common.model.network import Subnet
from edge_common.plumbing.documents.interface import Delete, Documents, Put, Write
from edge_common.wire.codec import from_document, to_document
from edge_common.wire.messages import DesiredService

DOCUMENTS = "desired"
REVISION = "desired_revision"


class DesiredStore(Protocol):
    def load(self) -> DesiredSet: ...

    def save(
        self,
        revision: int,
        puts: Iterable[DesiredService],
        removed: Iterable[ServiceId],
        subnets: Iterable[Subnet] = (),
    ) -> None:
        """Durable, all at once, when it returns."""


class DocumentDesiredStore:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def load(self) -> DesiredSet:
        kept = self._documents.get(REVISION, REVISION)
        revision = int(kept["revision"]) if kept else 0
        found = self._documents.find(DOCUMENTS)
        subnets = tuple(from_document(Subnet, each) for each in kept.get("subnets", ())) if kept else ()
        return DesiredSet(revision, (from_document(DesiredService, each["document"]) for each in found), subnets)

    def save(
        self,
        revision: int,
        puts: Iterable[DesiredService],
        removed: Iterable[ServiceId],
        subnets: Iterable[Subnet] = (),
    ) -> None:
        writes: list[Write] = [
            Put(DOCUMENTS, {"_id": document.service_id, "document": to_document(document)}) for document in puts
        ]
        writes += [Delete(DOCUMENTS, service_id) for service_id in removed]
        said = [to_document(each) for each in subnets]
        writes.append(Put(REVISION, {"_id": REVISION, "revision": revision, "subnets": said}))
        self._documents.bulk(writes)
