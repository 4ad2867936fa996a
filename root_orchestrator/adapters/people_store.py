"""Organisations, sessions and personal tokens in a document database."""

from collections.abc import Sequence

from edge_common.plumbing.documents.codec import decode, encode
from edge_common.plumbing.documents.interface import Delete, Documents, Index
from root_orchestrator.core.api_tokens import ApiToken
from root_orchestrator.core.organizations import Organization
from root_orchestrator.core.sessions import Session

ORGANIZATIONS = "organizations"
SESSIONS = "sessions"
API_TOKENS = "api_tokens"
INDEXES = (
    Index(ORGANIZATIONS, ("name",), is_unique=True),
    Index(SESSIONS, ("username",)),
    Index(API_TOKENS, ("username",)),
)


class DocumentPeopleStore:
    """Implements PeopleStore."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        documents.ensure(INDEXES)

    def organizations(self) -> list[Organization]:
        return [decode(Organization, d) for d in self._documents.find(ORGANIZATIONS, order_by="name")]

    def organization(self, organization_id: str) -> Organization | None:
        document = self._documents.get(ORGANIZATIONS, organization_id)
        return None if document is None else decode(Organization, document)

    def put_organization(self, organization: Organization) -> None:
        self._documents.put(ORGANIZATIONS, encode(organization, organization.organization_id))

    def delete_organization(self, organization_id: str) -> None:
        self._documents.delete(ORGANIZATIONS, organization_id)

    def session(self, session_id: str) -> Session | None:
        document = self._documents.get(SESSIONS, session_id)
        return None if document is None else decode(Session, document)

    def sessions(self, username: str) -> list[Session]:
        return [decode(Session, d) for d in self._documents.find(SESSIONS, {"username": username})]

    def put_session(self, session: Session) -> None:
        self._documents.put(SESSIONS, encode(session, session.session_id))

    def delete_sessions(self, session_ids: Sequence[str]) -> None:
        self._delete(SESSIONS, session_ids)

    def api_token(self, token_id: str) -> ApiToken | None:
        document = self._documents.get(API_TOKENS, token_id)
        return None if document is None else decode(ApiToken, document)

    def api_tokens(self, username: str) -> list[ApiToken]:
        found = self._documents.find(API_TOKENS, {"username": username}, order_by="created_at_s")
        return [decode(ApiToken, document) for document in found]

    def put_api_token(self, token: ApiToken) -> None:
        self._documents.put(API_TOKENS, encode(token, token.token_id))

    def delete_api_tokens(self, token_ids: Sequence[str]) -> None:
        self._delete(API_TOKENS, token_ids)

    def _delete(self, collection: str, ids: Sequence[str]) -> None:
        if ids:
            self._documents.bulk([Delete(collection, each) for each in ids])
