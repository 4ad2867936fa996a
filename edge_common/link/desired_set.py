"""The child's copy of what its parent wants: a pure merge of documents and manifests in any order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge_common.model.ids import ServiceId
from edge_common.model.network import Subnet
from edge_common.wire.messages import DesiredService, Manifest


@dataclass(frozen=True, slots=True)
class DesiredChange:
    """What one message changed. `revision` is not None when a newer manifest is now held in full."""

    put: DesiredService | None = None
    removed: tuple[ServiceId, ...] = ()
    revision: int | None = None

    @property
    def services(self) -> tuple[ServiceId, ...]:
        return (*self.removed, self.put.service_id) if self.put else self.removed

    def __bool__(self) -> bool:
        return self.put is not None or self.revision is not None


NO_CHANGE = DesiredChange()


class DesiredSet:
    """Revisions only grow, so what is older than what is held changes nothing (a broker may say old things again).

    A document that is newer than the manifest is good at once; one that is older and that the manifest does not list
    was dropped and stays so.
    """

    def __init__(
        self, revision: int = 0, documents: Iterable[DesiredService] = (), subnets: tuple[Subnet, ...] = ()
    ) -> None:
        self.revision = revision
        self.subnets = subnets
        self._documents = {document.service_id: document for document in documents}
        self._awaited: Manifest | None = None

    @property
    def documents(self) -> Mapping[ServiceId, DesiredService]:
        return self._documents

    def offer_document(self, document: DesiredService) -> DesiredChange:
        known = self._documents.get(document.service_id)
        if document.revision <= (known.revision if known else self.revision) or self._is_outdated(document):
            return NO_CHANGE
        self._documents[document.service_id] = document
        completed = self._complete()
        return DesiredChange(document, completed.removed, completed.revision)

    def offer_manifest(self, manifest: Manifest) -> DesiredChange:
        newest = self._awaited.revision if self._awaited else self.revision
        if manifest.revision <= newest:
            return NO_CHANGE
        self._awaited = manifest
        return self._complete()

    def _complete(self) -> DesiredChange:
        manifest = self._awaited
        if manifest is None or not all(self._holds(*listed) for listed in manifest.services.items()):
            return NO_CHANGE
        removed = tuple(
            service_id
            for service_id, document in self._documents.items()
            if service_id not in manifest.services and document.revision <= manifest.revision
        )
        for service_id in removed:
            del self._documents[service_id]
        self.revision = manifest.revision
        self.subnets = manifest.subnets
        self._awaited = None
        return DesiredChange(None, removed, manifest.revision)

    def _is_outdated(self, document: DesiredService) -> bool:
        """Whether the manifest that is awaited dropped it or lists a newer one: starting it would be for nothing."""
        manifest = self._awaited
        if manifest is None or document.revision > manifest.revision:
            return False
        return manifest.services.get(document.service_id, 0) != document.revision

    def _holds(self, service_id: ServiceId, revision: int) -> bool:
        document = self._documents.get(service_id)
        return document is not None and document.revision >= revision
