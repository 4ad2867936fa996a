"""What the root's services need of the world, in the core's words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from edge_common.model.ids import ApplicationId, ChildId, ClusterId, ServiceId
from edge_common.model.instance import Assignment, HeardObservation
from edge_common.model.node import ChildHealth
from edge_common.model.values import ValueId, ValueKind
from root_orchestrator.core.api_tokens import ApiToken
from root_orchestrator.core.audit import Entry
from root_orchestrator.core.organizations import Organization
from root_orchestrator.core.records import Application, ClusterRecord, ServiceIntent, User
from root_orchestrator.core.sessions import Session
from root_orchestrator.core.stored_values import StoredValue

T = TypeVar("T")


class IntentStore(Protocol):
    """Users, applications and services. Reads may come from any thread."""

    def user(self, username: str) -> User | None: ...
    def users(self, organization: str | None = None) -> list[User]: ...
    def put_user(self, user: User) -> None: ...
    def delete_user(self, username: str) -> None: ...

    def application(self, application_id: ApplicationId) -> Application | None: ...
    def applications(self, owner: str | None = None, *, organization: str | None = None) -> list[Application]: ...
    def service(self, service_id: ServiceId) -> ServiceIntent | None: ...
    def services(self, application_ids: Sequence[ApplicationId] | None = None) -> list[ServiceIntent]: ...
    def services_by_id(self, service_ids: Sequence[ServiceId]) -> list[ServiceIntent]: ...

    def write(
        self,
        *,
        put_applications: Sequence[Application] = (),
        delete_applications: Sequence[ApplicationId] = (),
        put_services: Sequence[ServiceIntent] = (),
        delete_services: Sequence[ServiceId] = (),
    ) -> None:
        """All of it in one durable step, as far as the database allows; services last, so none is an orphan."""


class ValueStore(Protocol):
    """Secrets and configuration objects. Reads may come from any thread."""

    def value(self, kind: ValueKind, value_id: ValueId) -> StoredValue | None: ...
    def named(self, kind: ValueKind, owner: str, name: str) -> StoredValue | None: ...
    def owned(self, owner: str) -> list[StoredValue]: ...
    def values(self, kind: ValueKind, organization: str | None = None) -> list[StoredValue]: ...

    def write(self, value: StoredValue, services: Sequence[ServiceIntent] = ()) -> None:
        """Both in one step, as far as the database allows. Raises Conflict when another manager was first."""

    def delete(self, value: StoredValue) -> None: ...


class PeopleStore(Protocol):
    """Organisations, sessions and personal tokens. Reads may come from any thread."""

    def organizations(self) -> list[Organization]: ...
    def organization(self, organization_id: str) -> Organization | None: ...
    def put_organization(self, organization: Organization) -> None: ...
    def delete_organization(self, organization_id: str) -> None: ...

    def session(self, session_id: str) -> Session | None: ...
    def sessions(self, username: str) -> list[Session]: ...
    def put_session(self, session: Session) -> None: ...
    def delete_sessions(self, session_ids: Sequence[str]) -> None: ...

    def api_token(self, token_id: str) -> ApiToken | None: ...
    def api_tokens(self, username: str) -> list[ApiToken]: ...
    def put_api_token(self, token: ApiToken) -> None: ...
    def delete_api_tokens(self, token_ids: Sequence[str]) -> None: ...


class Audit(Protocol):
    """Who did what. May be called from any thread."""

    @property
    def last(self) -> int: ...
    def note(self, entry: Entry) -> None: ...
    def newest(self, limit: int, organization: str | None = None, before: int | None = None) -> list[Entry]: ...
    def following(self, after: int, limit: int, organization: str | None = None) -> list[Entry]: ...


class PlacementReads(Protocol):
    """Where instances are and how they do, for views. Reads may come from any thread."""

    def assignments_of(self, service_ids: Sequence[ServiceId]) -> list[Assignment]: ...
    def observations_of(self, service_ids: Sequence[ServiceId]) -> list[HeardObservation]: ...
    def clusters(self) -> list[ClusterRecord]: ...


class ClusterRequests(Protocol):
    """Questions to a cluster over its link."""

    def request(self, cluster_id: ClusterId, kind: str, body: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Raises Unreachable when it does not answer in time, or the error that it answered with."""


class DoorQuestions(Protocol):
    """What the root itself does about who comes in; a cluster takes the same questions over its link."""

    def answer(self, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises an error of the tree. May take seconds."""


class Nudge(Protocol):
    """A hint that something changed; losing it costs time, never state."""

    def services_changed(self, service_ids: Sequence[ServiceId]) -> None: ...


class Ask(Protocol):
    """Run something on the mailbox's thread and wait for what it returns.

    Raises what it raised, or Overloaded when the mailbox is full or does not get to it in time.
    """

    def __call__(self, work: Callable[[], T], /) -> T: ...


class ClusterStore(Protocol):
    """Clusters that have joined and reported once. Reads may come from any thread."""

    def clusters(self) -> list[ClusterRecord]: ...
    def put(self, record: ClusterRecord) -> None: ...
    def delete(self, cluster_id: ClusterId) -> None: ...


class World(Protocol):
    """What the scheduler asks of the links."""

    def health(self) -> Mapping[ChildId, ChildHealth]: ...
    def unready(self) -> Mapping[ChildId, ChildHealth]: ...
