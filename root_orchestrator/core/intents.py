"""What each command of a user does to applications and services. Nothing here knows where instances are."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from edge_common.model.errors import Conflict, InvalidInput, NotFound
from edge_common.model.ids import ApplicationId, ServiceId
from edge_common.model.service import ServiceSpec
from edge_common.model.sla import at
from root_orchestrator.core.admission import NO_APPLICATION, ApplicationDraft, ServiceDraft
from root_orchestrator.core.changes import Change, Made, Outcome, ServiceChange, change, merged
from root_orchestrator.core.records import Application, ServiceIntent
from root_orchestrator.core.versions import with_spec

ALL_INSTANCES = -1
MAX_REPLICAS = 100_000


def create_applications(drafts: Sequence[ApplicationDraft], owned: Sequence[Application], made: Made) -> Change:
    """Registers them; starts only what declares `replicas`. Raises Conflict when one of that name exists."""
    taken = {(application.name, application.namespace) for application in owned}
    for draft in drafts:
        if draft.application_id != NO_APPLICATION:
            field = at(draft.path, "applicationID")
            raise InvalidInput(f"{field}: must be empty; ids are given, not chosen", field)
        if draft.key in taken:
            raise Conflict(
                f"{draft.path}: you already have an application {draft.name} in namespace {draft.namespace}; "
                "delete it first, take another name, or apply the file instead."
            )
    return merged(_created_application(draft, made) for draft in drafts)


def add_services(
    application: Application, existing: Sequence[ServiceIntent], drafts: Sequence[ServiceDraft], made: Made
) -> Change:
    """Raises Conflict when one of that name exists."""
    taken = {service.spec.name for service in existing if not service.is_removed}
    for draft in drafts:
        if draft.name in taken:
            raise Conflict(f"{draft.path}: the service {draft.name} exists already; change it or take another name.")
    changes = [_created_service(application.application_id, draft, made) for draft in drafts]
    return change(application, Outcome.UNCHANGED, changes)


def describe_application(application: Application, description: str) -> Change:
    if description == application.description:
        return change(application, Outcome.UNCHANGED, [])
    return change(replace(application, description=description), Outcome.CHANGED, [], is_written=True)


def update_service(application: Application, service: ServiceIntent, draft: ServiceDraft, now_s: float) -> Change:
    """A new spec, and the number of replicas when the draft says one. Raises InvalidInput for another name."""
    if draft.name != service.spec.name:
        field = at(draft.path, "microservice_name")
        raise InvalidInput(f"{field}: a service keeps its name; this one is {service.spec.name}", field)
    return change(application, Outcome.UNCHANGED, [_updated(service, draft, draft.replicas, now_s)])


def replaced(application: Application, before: ServiceIntent, after: ServiceIntent) -> Change:
    return change(application, Outcome.UNCHANGED, [ServiceChange(before, after, Outcome.CHANGED)])


def scale(application: Application, service: ServiceIntent, replicas: int) -> Change:
    return change(application, Outcome.UNCHANGED, [_scaled(service, replicas)])


def add_instance(application: Application, service: ServiceIntent) -> Change:
    return scale(application, service, len(service.slots) + 1)


def remove_instance(application: Application, service: ServiceIntent, number: int) -> Change:
    """ALL_INSTANCES removes all; one that was removed before is no mistake. Raises NotFound for one that never was."""
    if number == ALL_INSTANCES:
        return scale(application, service, 0)
    if not 0 <= number < service.next_number:
        raise NotFound(f"Service {service.spec.name} has no instance {number}; see which it has and try again.")
    slots = tuple(slot for slot in service.slots if slot != number)
    return change(application, Outcome.UNCHANGED, [_with_slots(service, slots)])


def remove_service(application: Application, service: ServiceIntent) -> Change:
    return change(application, Outcome.UNCHANGED, [_removed(service)])


def remove_application(application: Application, services: Sequence[ServiceIntent]) -> Change:
    changes = [_removed(service) for service in services if not service.is_removed]
    removal = change(application, Outcome.REMOVED, changes)
    return replace(removal, delete_applications=(application.application_id,))


def apply(
    drafts: Sequence[ApplicationDraft],
    owned: Sequence[Application],
    services: Sequence[ServiceIntent],
    made: Made,
    *,
    is_pruning: bool = False,
) -> Change:
    """Makes what the drafts declare; a service without `replicas` gets one instance.

    Services of these applications that the drafts do not name are removed when pruning, else kept and reported.
    """
    by_key = {(application.name, application.namespace): application for application in owned}
    return merged(
        _applied(draft, by_key[draft.key], services, made, is_pruning=is_pruning)
        if draft.key in by_key
        else _created_application(draft, made, default_replicas=1)
        for draft in drafts
    )


def refuse_taken_addresses(
    drafts: Iterable[ServiceDraft], services: Iterable[ServiceIntent], own: Collection[ApplicationId]
) -> None:
    """Raises Conflict when a draft fixes a service address that another service has fixed.

    `own` are the applications that the drafts may change: only there is a service of the same name the same service.
    The message does not tell a neighbour's service from one of one's own.
    """
    holders = {
        address: (service.spec.name, service.application_id in own)
        for service in services
        if not service.is_removed
        for address in fixed_addresses(service.spec)
    }
    for draft in drafts:
        for address in fixed_addresses(draft.spec):
            if holders.get(address, (draft.name, True)) != (draft.name, True):
                raise Conflict(f"{draft.path}: the address {address} is not free; take another one, or leave it out.")


def fixed_addresses(spec: ServiceSpec) -> tuple[str, ...]:
    asked = (spec.addresses.rr_ip, spec.addresses.rr_ip_v6)
    return tuple(address for address in asked if address)


def _created_application(draft: ApplicationDraft, made: Made, default_replicas: int = 0) -> Change:
    application = Application(
        application_id=ApplicationId(made.new_id()),
        name=draft.name,
        namespace=draft.namespace,
        description=draft.description,
        owner=made.owner,
        created_at_s=made.now_s,
        organization=made.organization,
    )
    changes = [_created_service(application.application_id, d, made, default_replicas) for d in draft.services]
    return change(application, Outcome.CREATED, changes, is_written=True)


def _created_service(
    application_id: ApplicationId, draft: ServiceDraft, made: Made, default_replicas: int = 0
) -> ServiceChange:
    service_id = ServiceId(made.new_id())
    replicas = default_replicas if draft.replicas is None else draft.replicas
    intent = ServiceIntent(
        service_id=service_id,
        application_id=application_id,
        spec=replace(draft.spec, service_id=service_id, application_id=application_id),
        sla=draft.sla,
        slots=tuple(range(replicas)),
        next_number=replicas,
        created_at_s=made.now_s,
        update=draft.update,
        spec_since_s=made.now_s,
    )
    return ServiceChange(None, intent, Outcome.CREATED)


def _applied(
    draft: ApplicationDraft,
    application: Application,
    services: Sequence[ServiceIntent],
    made: Made,
    *,
    is_pruning: bool,
) -> Change:
    if draft.application_id not in (NO_APPLICATION, application.application_id):
        field = at(draft.path, "applicationID")
        raise InvalidInput(f"{field}: {draft.name} has the id {application.application_id}; leave it empty", field)
    mine = [s for s in services if s.application_id == application.application_id and not s.is_removed]
    by_name = {service.spec.name: service for service in mine}
    named = {service.name for service in draft.services}
    changes = [
        _updated(by_name[d.name], d, 1 if d.replicas is None else d.replicas, made.now_s)
        if d.name in by_name
        else _created_service(application.application_id, d, made, default_replicas=1)
        for d in draft.services
    ]
    left = [service for service in mine if service.spec.name not in named]
    changes += [_removed(s) if is_pruning else ServiceChange(s, s, Outcome.KEPT) for s in left]
    is_described = draft.description != application.description
    described = replace(application, description=draft.description)
    return change(described, Outcome.CHANGED if is_described else Outcome.UNCHANGED, changes, is_written=is_described)


def _updated(service: ServiceIntent, draft: ServiceDraft, replicas: int | None, now_s: float) -> ServiceChange:
    scaled = service if replicas is None else _scaled(service, replicas).after or service
    spec = replace(draft.spec, service_id=service.service_id, application_id=service.application_id)
    if spec == service.spec:
        after = replace(scaled, sla=draft.sla, update=draft.update)
        outcome = Outcome.UNCHANGED if scaled.slots == service.slots else Outcome.SCALED
        outcome = Outcome.CHANGED if draft.update != service.update else outcome
    else:
        after = with_spec(replace(scaled, update=draft.update), spec, draft.sla, now_s)
        outcome = Outcome.CHANGED
    return ServiceChange(service, after, outcome)


def _scaled(service: ServiceIntent, replicas: int) -> ServiceChange:
    """The highest numbers go first; new ones go on from the last ever used."""
    if not 0 <= replicas <= MAX_REPLICAS:
        raise InvalidInput(f"replicas: must be a whole number from 0 to {MAX_REPLICAS}", "replicas")
    missing = replicas - len(service.slots)
    if missing <= 0:
        return _with_slots(service, service.slots[:replicas])
    added = range(service.next_number, service.next_number + missing)
    return _with_slots(replace(service, next_number=added.stop), (*service.slots, *added), before=service)


def _with_slots(service: ServiceIntent, slots: tuple[int, ...], before: ServiceIntent | None = None) -> ServiceChange:
    before = before or service
    outcome = Outcome.UNCHANGED if slots == before.slots else Outcome.SCALED
    return ServiceChange(before, replace(service, slots=slots), outcome)


def _removed(service: ServiceIntent) -> ServiceChange:
    """One that never had an instance has nothing to wait for."""
    if service.next_number == 0:
        return ServiceChange(service, None, Outcome.REMOVED)
    return ServiceChange(service, replace(service, slots=(), is_removed=True), Outcome.REMOVED)
