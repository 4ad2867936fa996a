"""Users, applications and services in a document database."""

import logging
from collections.abc import Sequence

from edge_common.model.errors import Conflict
from edge_common.model.ids import ApplicationId, ServiceId
from edge_common.plumbing.documents.codec import decode, encode
from edge_common.plumbing.documents.interface import Delete, Documents, Index, Insert, Replace, Scalar, Write
from root_orchestrator.core.records import DEFAULT_ORGANIZATION, Application, ServiceIntent, User

logger = logging.getLogger(__name__)

USERS = "users"
APPLICATIONS = "applications"
SERVICES = "services"
INDEXES = (
    Index(USERS, ("organization",)),
    Index(APPLICATIONS, ("owner", "name", "namespace"), is_unique=True),
    Index(APPLICATIONS, ("organization",)),
    Index(SERVICES, ("application_id",)),
)


class DocumentIntentStore:
    """Implements IntentStore."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        documents.ensure(INDEXES)

    def user(self, username: str) -> User | None:
        document = self._documents.get(USERS, username)
        return None if document is None else decode(User, document)

    def users(self, organization: str | None = None) -> list[User]:
        where = None if organization is None else {"organization": _in_organization(organization)}
        return [decode(User, document) for document in self._documents.find(USERS, where)]

    def put_user(self, user: User) -> None:
        self._documents.put(USERS, encode(user, user.username))

    def delete_user(self, username: str) -> None:
        self._documents.delete(USERS, username)

    def application(self, application_id: ApplicationId) -> Application | None:
        document = self._documents.get(APPLICATIONS, application_id)
        return None if document is None else decode(Application, document)

    def applications(self, owner: str | None = None, *, organization: str | None = None) -> list[Application]:
        where: dict[str, Scalar | Sequence[Scalar]] = {}
        if owner is not None:
            where["owner"] = owner
        if organization is not None:
            where["organization"] = _in_organization(organization)
        return [decode(Application, d) for d in self._documents.find(APPLICATIONS, where, order_by="created_at_s")]

    def service(self, service_id: ServiceId) -> ServiceIntent | None:
        document = self._documents.get(SERVICES, service_id)
        return None if document is None else decode(ServiceIntent, document)

    def services(self, application_ids: Sequence[ApplicationId] | None = None) -> list[ServiceIntent]:
        if application_ids is not None and not application_ids:
            return []
        where = None if application_ids is None else {"application_id": list(application_ids)}
        return [decode(ServiceIntent, d) for d in self._documents.find(SERVICES, where, order_by="created_at_s")]

    def services_by_id(self, service_ids: Sequence[ServiceId]) -> list[ServiceIntent]:
        if not service_ids:
            return []
        return [decode(ServiceIntent, d) for d in self._documents.find(SERVICES, {"_id": list(service_ids)})]

    def write(
        self,
        *,
        put_applications: Sequence[Application] = (),
        delete_applications: Sequence[ApplicationId] = (),
        put_services: Sequence[ServiceIntent] = (),
        delete_services: Sequence[ServiceId] = (),
    ) -> None:
        """Raises Conflict when another manager was first; what this call had inserted by then is taken back."""
        writes: list[Write] = [
            *(_write(APPLICATIONS, a.application_id, a, a.version) for a in put_applications),
            *(_write(SERVICES, s.service_id, s, s.version) for s in put_services),
            *(Delete(SERVICES, service_id) for service_id in delete_services),
            *(Delete(APPLICATIONS, application_id) for application_id in delete_applications),
        ]
        outcomes = self._documents.bulk(writes)
        lost = [w for w, is_done in zip(writes, outcomes, strict=True) if not is_done and not isinstance(w, Delete)]
        if lost:
            inserted = [w for w, is_done in zip(writes, outcomes, strict=True) if is_done and isinstance(w, Insert)]
            self._documents.bulk([Delete(w.collection, w.document["_id"]) for w in reversed(inserted)])
            logger.warning("lost a race writes=%d lost=%d taken_back=%d", len(writes), len(lost), len(inserted))
            raise Conflict("Somebody else changed this at the same moment; look at it again and repeat the command.")


def _in_organization(organization: str) -> list[Scalar]:
    """A record that says nothing of it belongs to the default one."""
    return [organization, None] if organization == DEFAULT_ORGANIZATION else [organization]


def _write(collection: str, document_id: str, record: Application | ServiceIntent, version: int) -> Write:
    document = encode(record, document_id)
    return Replace(collection, document, if_version=version) if version else Insert(collection, document)
