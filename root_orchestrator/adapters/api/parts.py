"""What the routes work with, and what they read."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import g

from edge_common.model.errors import Broken, NotFound
from edge_common.model.ids import ApplicationId, ServiceId
from edge_common.plumbing.clock import Clock
from root_orchestrator.adapters.auth import Auth
from root_orchestrator.core import organizations
from root_orchestrator.core.organizations import Organization
from root_orchestrator.core.ownership import READ_APPLICATION, READ_SERVICE, visible_application, visible_service
from root_orchestrator.core.permissions import Actor, Identity, Permission, Resource, Scope, Verb, scope_of
from root_orchestrator.core.records import Application, ClusterRecord, ServiceIntent
from root_orchestrator.core.views import View, application_view, service_view
from root_orchestrator.core.whereabouts import Whereabouts, whereabouts
from root_orchestrator.manager import Manager
from root_orchestrator.people import People
from root_orchestrator.ports import Ask, Audit, ClusterRequests, DoorQuestions, IntentStore, PeopleStore, PlacementReads
from root_orchestrator.values import Values


@dataclass(frozen=True, slots=True)
class Parts:
    """Writes go through `ask`; reads go to the stores and never wait for the mailbox."""

    manager: Manager
    intents: IntentStore
    placements: PlacementReads
    clusters: ClusterRequests
    ask: Ask
    auth: Auth
    clock: Clock
    people: People
    people_reads: PeopleStore
    audit: Audit
    values: Values
    doors: DoorQuestions

    def application(self, actor: Actor, application_id: str) -> Application:
        """To be read. Raises NotFound, also for one that they may not see."""
        application = self.intents.application(ApplicationId(application_id))
        return visible_application(actor, application, application_id, READ_APPLICATION)

    def service(
        self, actor: Actor, service_id: str, needs: Permission = READ_SERVICE
    ) -> tuple[ServiceIntent, Application]:
        """Raises NotFound, also for one that they may not see, or that is going."""
        service = self.intents.service(ServiceId(service_id))
        application = None if service is None else self.intents.application(service.application_id)
        return visible_service(actor, service, application, service_id, needs)

    def cluster(self, cluster_id: str) -> ClusterRecord:
        """By id or by name. Raises NotFound."""
        for cluster in self.placements.clusters():
            if cluster_id in (cluster.info.cluster_id, cluster.info.name):
                return cluster
        raise NotFound(f"There is no cluster {cluster_id}.")

    def where(self, services: Sequence[ServiceIntent]) -> Whereabouts:
        ids = [service.service_id for service in services]
        return whereabouts(
            self.placements.assignments_of(ids) if ids else (),
            self.placements.observations_of(ids) if ids else (),
            self.placements.clusters(),
            self.clock.now_s(),
        )

    def application_views(self, applications: Sequence[Application]) -> list[View]:
        by_application: dict[ApplicationId, list[ServiceIntent]] = {}
        for service in self.intents.services([application.application_id for application in applications]):
            by_application.setdefault(service.application_id, []).append(service)
        return [application_view(a, by_application.get(a.application_id, ())) for a in applications]

    def service_views(self, applications: Sequence[Application]) -> list[View]:
        owners = {application.application_id: application for application in applications}
        services = [s for s in self.intents.services(list(owners)) if not s.is_removed]
        where = self.where(services)
        return [service_view(service, owners[service.application_id], where) for service in services]

    def visible_applications(self, actor: Actor, resource: Resource = Resource.APPLICATION) -> list[Application]:
        match scope_of(actor, Verb.READ, resource):
            case Scope.EVERYTHING:
                return self.intents.applications()
            case Scope.ORGANIZATION:
                return self.intents.applications(organization=actor.organization)
            case Scope.OWN:
                return self.intents.applications(actor.username, organization=actor.organization)
            case _:
                return []

    def organization_names(self) -> dict[str, str]:
        """By id."""
        return {each.organization_id: each.name for each in self.people_reads.organizations()}

    def organization(self, actor: Actor, asked: str, verb: Verb = Verb.READ) -> Organization:
        """By name or id. Raises NotFound, also for one that they may not see."""
        found = organizations.find(asked, self.people_reads.organizations())
        return organizations.visible(actor, found, asked, verb)


def caller() -> Identity:
    """Who asks. Raises Broken in a route that was declared public."""
    identity = g.get("caller")
    if not isinstance(identity, Identity):
        raise Broken("A public route asked who its caller is.")
    return identity


def note_login(identity: Identity) -> None:
    """In a public route: who it turned out to be, for the audit log."""
    g.logged_in = identity


def note_object(object_id: str) -> None:
    """For the audit log, where the path does not name what was made."""
    g.audit_object = object_id
