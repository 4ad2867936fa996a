"""What a command comes to: what to write, and what to tell the user."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from edge_common.model.ids import ApplicationId, ServiceId
from root_orchestrator.core.records import DEFAULT_ORGANIZATION, Application, ServiceIntent


class Outcome(StrEnum):
    """KEPT: it is in the store, no longer in the document, and nobody asked to remove it."""

    CREATED = "created"
    CHANGED = "changed"
    SCALED = "scaled"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class ServiceResult:
    """`added` and `removed` are instance numbers. `before` and `after` are what it came from and to, for a dry run."""

    service_id: ServiceId
    name: str
    outcome: Outcome
    replicas: int
    spec_revision: int
    added: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    before: ServiceIntent | None = field(default=None, repr=False, compare=False)
    after: ServiceIntent | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ApplicationResult:
    application_id: ApplicationId
    name: str
    namespace: str
    outcome: Outcome
    services: tuple[ServiceResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What to write, and what to tell the user."""

    put_applications: tuple[Application, ...] = ()
    delete_applications: tuple[ApplicationId, ...] = ()
    put_services: tuple[ServiceIntent, ...] = ()
    delete_services: tuple[ServiceId, ...] = ()
    results: tuple[ApplicationResult, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.put_applications or self.delete_applications or self.put_services or self.delete_services)

    @property
    def service_ids(self) -> tuple[ServiceId, ...]:
        return (*(service.service_id for service in self.put_services), *self.delete_services)


@dataclass(frozen=True, slots=True)
class Made:
    """Who asks, when, and where new ids come from."""

    owner: str
    now_s: float
    new_id: Callable[[], str]
    organization: str = DEFAULT_ORGANIZATION


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """`before` None: it is new. `after` None: it can go at once."""

    before: ServiceIntent | None
    after: ServiceIntent | None
    outcome: Outcome

    @property
    def result(self) -> ServiceResult:
        shown = self.after or self.before
        if shown is None:
            raise ValueError("A change of a service needs a before or an after.")
        had = set(self.before.slots) if self.before else set()
        has = set(self.after.slots) if self.after else set()
        return ServiceResult(
            service_id=shown.service_id,
            name=shown.spec.name,
            outcome=self.outcome,
            replicas=len(has),
            spec_revision=shown.spec_revision,
            added=tuple(sorted(has - had)),
            removed=tuple(sorted(had - has)),
            before=self.before,
            after=self.after,
        )


def change(
    application: Application, outcome: Outcome, changes: Sequence[ServiceChange], *, is_written: bool = False
) -> Change:
    return Change(
        put_applications=(application,) if is_written else (),
        put_services=tuple(c.after for c in changes if c.after is not None and c.after != c.before),
        delete_services=tuple(c.before.service_id for c in changes if c.after is None and c.before is not None),
        results=(
            ApplicationResult(
                application_id=application.application_id,
                name=application.name,
                namespace=application.namespace,
                outcome=outcome,
                services=tuple(c.result for c in changes),
            ),
        ),
    )


def merged(changes: Iterable[Change]) -> Change:
    found = list(changes)
    return Change(
        put_applications=tuple(a for one in found for a in one.put_applications),
        put_services=tuple(s for one in found for s in one.put_services),
        delete_services=tuple(i for one in found for i in one.delete_services),
        results=tuple(r for one in found for r in one.results),
    )
