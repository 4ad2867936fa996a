"""The one writer of applications and services. Runs on the mailbox's thread."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_common.model.errors import Conflict, HedgerowError, InvalidInput
from edge_common.model.ids import ApplicationId, ServiceId
from edge_common.model.service import ServiceSpec
from edge_common.model.sla import MicroserviceSla, Sla
from edge_common.plumbing.clock import Clock
from root_orchestrator.core import intents, versions
from root_orchestrator.core.admission import NO_APPLICATION, ApplicationDraft, ServiceDraft, admit, admit_service
from root_orchestrator.core.changes import Change, Made
from root_orchestrator.core.ownership import check_may_add_services, visible_application, visible_service
from root_orchestrator.core.permissions import Actor, Permission, Resource, Verb
from root_orchestrator.core.records import Application, ServiceIntent
from root_orchestrator.core.rollout import Verdict
from root_orchestrator.core.rollout_orders import RolloutOrder, ordered
from root_orchestrator.core.updates import Phase, Rollout, Version
from root_orchestrator.ports import IntentStore, Nudge
from root_orchestrator.values import Values

logger = logging.getLogger(__name__)

CHANGE_SERVICE = Permission(Verb.CHANGE, Resource.SERVICE)
DELETE_SERVICE = Permission(Verb.DELETE, Resource.SERVICE)
CREATE_INSTANCE = Permission(Verb.CREATE, Resource.INSTANCE)
DELETE_INSTANCE = Permission(Verb.DELETE, Resource.INSTANCE)


class Manager:
    """Commands on applications and services take who asks; what is not theirs to see is not found."""

    def __init__(
        self, store: IntentStore, nudge: Nudge, new_id: Callable[[], str], clock: Clock, values: Values
    ) -> None:
        self._store = store
        self._nudge = nudge
        self._new_id = new_id
        self._clock = clock
        self._values = values

    def create_applications(self, actor: Actor, sla: Sla) -> Change:
        drafts = self._admitted(actor, sla)
        owned = self._store.applications(actor.username)
        return self._write(intents.create_applications(drafts, owned, self._made(actor)))

    def apply(self, actor: Actor, sla: Sla, *, is_dry_run: bool = False, is_pruning: bool = False) -> Change:
        drafts = self._admitted(actor, sla)
        keys = {draft.key for draft in drafts}
        owned = [a for a in self._store.applications(actor.username) if (a.name, a.namespace) in keys]
        services = self._store.services([application.application_id for application in owned]) if owned else []
        made = self._made(actor, str if is_dry_run else self._new_id)
        change = intents.apply(drafts, owned, services, made, is_pruning=is_pruning)
        return change if is_dry_run else self._write(change)

    def describe_application(self, actor: Actor, application_id: ApplicationId, description: str) -> Change:
        application = self._application(actor, application_id, Verb.CHANGE)
        return self._write(intents.describe_application(application, description))

    def delete_application(self, actor: Actor, application_id: ApplicationId) -> Change:
        application = self._application(actor, application_id, Verb.DELETE)
        return self._write(intents.remove_application(application, self._store.services([application_id])))

    def add_services(self, actor: Actor, sla: Sla) -> Change:
        """The SLA names one application that exists, by its id."""
        drafts = admit(sla, actor.username)
        if len(drafts) != 1 or drafts[0].application_id == NO_APPLICATION:
            field = "applications[0].applicationID"
            raise InvalidInput(f"{field}: must be the id of the one application that gets the services", field)
        draft = drafts[0]
        application = self._application(actor, draft.application_id, Verb.READ)
        check_may_add_services(actor, application)
        if draft.key != (application.name, application.namespace):
            field = "applications[0].application_name"
            raise InvalidInput(f"{field}: the application is {application.name} in {application.namespace}", field)
        self._check_addresses(draft.services, lambda: [application])
        services = self._resolved(draft.services, application.owner)
        existing = self._store.services([application.application_id])
        made = self._made(actor)
        return self._write(intents.add_services(application, existing, services, made))

    def update_service(self, actor: Actor, service_id: ServiceId, sla: MicroserviceSla) -> Change:
        application, service = self._service(actor, service_id, CHANGE_SERVICE)
        if sla.microservice_id not in ("", service_id):
            raise InvalidInput(f"microserviceID: must be empty or {service_id}", "microserviceID")
        draft = admit_service(sla, application.name, application.namespace)
        self._check_addresses([draft], lambda: [application])
        (draft,) = self._resolved([draft], application.owner)
        return self._write(intents.update_service(application, service, draft, self._clock.now_s()))

    def roll_back(self, actor: Actor, service_id: ServiceId, revision: int | None) -> Change:
        """None is the last version that was well as a whole, or else the one before."""
        application, service = self._service(actor, service_id, CHANGE_SERVICE)
        to = versions.version(service, revision)
        spec = self._earlier(application, to)
        if spec == service.spec:
            raise Conflict(f"Revision {to.revision} of {service.spec.name} is the same as the present one.")
        after = versions.rolled_back(service, to, spec, self._clock.now_s())
        return self._write(intents.replaced(application, service, after))

    def order_rollout(self, actor: Actor, service_id: ServiceId, order: RolloutOrder) -> Change:
        application, service = self._service(actor, service_id, CHANGE_SERVICE)
        return self._write(intents.replaced(application, service, ordered(service, order, self._clock.now_s())))

    def scale(self, actor: Actor, service_id: ServiceId, replicas: int) -> Change:
        return self._write(intents.scale(*self._service(actor, service_id, CHANGE_SERVICE), replicas))

    def add_instance(self, actor: Actor, service_id: ServiceId) -> Change:
        return self._write(intents.add_instance(*self._service(actor, service_id, CREATE_INSTANCE)))

    def remove_instance(self, actor: Actor, service_id: ServiceId, number: int) -> Change:
        """`number` -1 removes all."""
        return self._write(intents.remove_instance(*self._service(actor, service_id, DELETE_INSTANCE), number))

    def delete_service(self, actor: Actor, service_id: ServiceId) -> Change:
        return self._write(intents.remove_service(*self._service(actor, service_id, DELETE_SERVICE)))

    def forget_services(self, service_ids: Sequence[ServiceId]) -> None:
        """Called when removed services have no instance left; those that are not removed stay."""
        gone = [s.service_id for s in self._store.services_by_id(service_ids) if s.is_removed]
        if gone:
            self._store.write(delete_services=gone)

    def note_rollouts(self, verdicts: Sequence[tuple[ServiceIntent, Verdict]]) -> None:
        """What the scheduler found. Where somebody has changed the service since, it will find anew."""
        known = {each.service_id: each for each in self._store.services_by_id([i.service_id for i, _ in verdicts])}
        noted = [self._noted(known[i.service_id], v) for i, v in verdicts if known.get(i.service_id) == i]
        try:
            if noted:
                self._store.write(put_services=noted)
        except Conflict:
            self._nudge.services_changed([each.service_id for each in noted])
            return
        changed = [each.service_id for each in noted if each.spec_revision != known[each.service_id].spec_revision]
        if changed:
            self._nudge.services_changed(changed)

    def _noted(self, service: ServiceIntent, verdict: Verdict) -> ServiceIntent:
        rollout = verdict.rollout
        logger.info(
            "event=rollout service=%s revision=%d phase=%s goes_back=%s reason=%r",
            service.service_id,
            service.spec_revision,
            rollout.phase,
            verdict.goes_back,
            rollout.reason,
        )
        if not verdict.goes_back:
            return replace(service, rollout=rollout)
        to = versions.version(service, rollout.stable_revision)
        try:
            spec = self._earlier(self._store.application(service.application_id), to)
        except HedgerowError as error:
            return _held(service, rollout, f"{rollout.reason} There is no way back: {error}")
        if spec == service.spec:
            return _held(service, rollout, f"{rollout.reason} Nothing but values changed, and they have no way back.")
        return versions.rolled_back(service, to, spec, self._clock.now_s(), rollout.reason)

    def _earlier(self, application: Application | None, to: Version) -> ServiceSpec:
        """That spec with the present values. Raises InvalidInput or Conflict when it cannot be had any more."""
        owner, own = (application.owner, [application]) if application else ("", [])
        spec = self._values.renewed(to.spec, owner)
        self._check_addresses([ServiceDraft(f"revision {to.revision}", spec, {})], lambda: own)
        return spec

    def _write(self, change: Change) -> Change:
        if change.is_empty:
            return change
        self._store.write(
            put_applications=change.put_applications,
            delete_applications=change.delete_applications,
            put_services=change.put_services,
            delete_services=change.delete_services,
        )
        if change.service_ids:
            self._nudge.services_changed(change.service_ids)
        return change

    def _admitted(self, actor: Actor, sla: Sla) -> tuple[ApplicationDraft, ...]:
        """Of applications that are the actor's own."""
        drafts = admit(sla, actor.username)
        services = [service for draft in drafts for service in draft.services]
        self._check_addresses(services, lambda: self._store.applications(actor.username))
        return tuple(replace(draft, services=self._resolved(draft.services, actor.username)) for draft in drafts)

    def _resolved(self, drafts: Sequence[ServiceDraft], owner: str) -> tuple[ServiceDraft, ...]:
        """With the present versions of the secrets and configuration objects that they name."""
        return tuple(replace(draft, spec=self._values.resolved(draft.spec, draft.path, owner)) for draft in drafts)

    def _made(self, actor: Actor, new_id: Callable[[], str] | None = None) -> Made:
        return Made(actor.username, self._clock.now_s(), new_id or self._new_id, actor.organization)

    def _check_addresses(self, drafts: Sequence[ServiceDraft], own: Callable[[], Sequence[Application]]) -> None:
        """Looks at every service there is, so only when an address is fixed at all."""
        if any(intents.fixed_addresses(draft.spec) for draft in drafts):
            own_ids = {application.application_id for application in own()}
            intents.refuse_taken_addresses(drafts, self._store.services(), own_ids)

    def _application(self, actor: Actor, application_id: ApplicationId, verb: Verb) -> Application:
        application = self._store.application(application_id)
        return visible_application(actor, application, application_id, Permission(verb, Resource.APPLICATION))

    def _service(self, actor: Actor, service_id: ServiceId, needs: Permission) -> tuple[Application, ServiceIntent]:
        found = self._store.service(service_id)
        application = None if found is None else self._store.application(found.application_id)
        service, owning = visible_service(actor, found, application, service_id, needs)
        return owning, service


def _held(service: ServiceIntent, rollout: Rollout, reason: str) -> ServiceIntent:
    return replace(service, rollout=replace(rollout, phase=Phase.PAUSED, reason=reason))
