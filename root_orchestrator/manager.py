"""The one writer of users, applications and services. Runs on the mailbox's thread."""

from collections.abc import Callable, Sequence

from edge_common.model.errors import InvalidInput, NotFound
from edge_common.model.ids import ApplicationId, ServiceId
from edge_common.model.sla import MicroserviceSla, Sla
from edge_common.plumbing.clock import Clock
from root_orchestrator.core import intents, users
from root_orchestrator.core.admission import NO_APPLICATION, ServiceDraft, admit, admit_service
from root_orchestrator.core.changes import Change, Made
from root_orchestrator.core.records import Application, ServiceIntent, User
from root_orchestrator.ports import IntentStore, Nudge


class Manager:
    """Commands on applications and services take the user who asks; what is not theirs is not found."""

    def __init__(self, store: IntentStore, nudge: Nudge, new_id: Callable[[], str], clock: Clock) -> None:
        self._store = store
        self._nudge = nudge
        self._new_id = new_id
        self._clock = clock

    def create_applications(self, user: User, sla: Sla) -> Change:
        drafts = admit(sla, user.username)
        self._check_addresses([service for draft in drafts for service in draft.services])
        owned = self._store.applications(user.username)
        return self._write(intents.create_applications(drafts, owned, self._made(user.username)))

    def apply(self, user: User, sla: Sla, *, is_dry_run: bool = False, is_pruning: bool = False) -> Change:
        drafts = admit(sla, user.username)
        self._check_addresses([service for draft in drafts for service in draft.services])
        keys = {draft.key for draft in drafts}
        owned = [a for a in self._store.applications(user.username) if (a.name, a.namespace) in keys]
        services = self._store.services([application.application_id for application in owned]) if owned else []
        made = Made(user.username, self._clock.now_s(), str if is_dry_run else self._new_id)
        change = intents.apply(drafts, owned, services, made, is_pruning=is_pruning)
        return change if is_dry_run else self._write(change)

    def describe_application(self, user: User, application_id: ApplicationId, description: str) -> Change:
        return self._write(intents.describe_application(self._application(user, application_id), description))

    def delete_application(self, user: User, application_id: ApplicationId) -> Change:
        application = self._application(user, application_id)
        return self._write(intents.remove_application(application, self._store.services([application_id])))

    def add_services(self, user: User, sla: Sla) -> Change:
        """The SLA names one application that exists, by its id."""
        drafts = admit(sla, user.username)
        if len(drafts) != 1 or drafts[0].application_id == NO_APPLICATION:
            field = "applications[0].applicationID"
            raise InvalidInput(f"{field}: must be the id of the one application that gets the services", field)
        draft = drafts[0]
        application = self._application(user, draft.application_id)
        if draft.key != (application.name, application.namespace):
            field = "applications[0].application_name"
            raise InvalidInput(f"{field}: the application is {application.name} in {application.namespace}", field)
        self._check_addresses(draft.services)
        existing = self._store.services([application.application_id])
        made = self._made(user.username)
        return self._write(intents.add_services(application, existing, draft.services, made))

    def update_service(self, user: User, service_id: ServiceId, sla: MicroserviceSla) -> Change:
        application, service = self._service(user, service_id)
        if sla.microservice_id not in ("", service_id):
            raise InvalidInput(f"microserviceID: must be empty or {service_id}", "microserviceID")
        draft = admit_service(sla, application.name, application.namespace)
        self._check_addresses([draft])
        return self._write(intents.update_service(application, service, draft))

    def scale(self, user: User, service_id: ServiceId, replicas: int) -> Change:
        return self._write(intents.scale(*self._service(user, service_id), replicas))

    def add_instance(self, user: User, service_id: ServiceId) -> Change:
        return self._write(intents.add_instance(*self._service(user, service_id)))

    def remove_instance(self, user: User, service_id: ServiceId, number: int) -> Change:
        """`number` -1 removes all."""
        return self._write(intents.remove_instance(*self._service(user, service_id), number))

    def delete_service(self, user: User, service_id: ServiceId) -> Change:
        return self._write(intents.remove_service(*self._service(user, service_id)))

    def forget_services(self, service_ids: Sequence[ServiceId]) -> None:
        """Called when removed services have no instance left; those that are not removed stay."""
        gone = [s.service_id for s in self._store.services_by_id(service_ids) if s.is_removed]
        if gone:
            self._store.write(delete_services=gone)

    def create_user(self, user: User) -> User:
        created = users.new_user(user, self._store.user(user.username))
        self._store.put_user(created)
        return created

    def change_user(self, changed: User) -> User:
        users.checked_roles(changed.roles)
        if self._store.user(changed.username) is None:
            raise NotFound(f"There is no user {changed.username}.")
        users.check_replacement(changed, self._store.users())
        self._store.put_user(changed)
        return changed

    def delete_user(self, username: str) -> None:
        users.check_deletion(username, self._store.users(), self._store.applications(username))
        self._store.delete_user(username)

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

    def _made(self, owner: str) -> Made:
        return Made(owner=owner, now_s=self._clock.now_s(), new_id=self._new_id)

    def _check_addresses(self, drafts: Sequence[ServiceDraft]) -> None:
        """Looks at every service there is, so only when an address is fixed at all."""
        if any(intents.fixed_addresses(draft.spec) for draft in drafts):
            intents.refuse_taken_addresses(drafts, self._store.services())

    def _application(self, user: User, application_id: ApplicationId) -> Application:
        application = self._store.application(application_id)
        if application is None or not users.may_see(user, application):
            raise NotFound(f"There is no application {application_id}.")
        return application

    def _service(self, user: User, service_id: ServiceId) -> tuple[Application, ServiceIntent]:
        service = self._store.service(service_id)
        application = None if service is None else self._store.application(service.application_id)
        if service is None or service.is_removed or application is None or not users.may_see(user, application):
            raise NotFound(f"There is no service {service_id}.")
        return application, service
