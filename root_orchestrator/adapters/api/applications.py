"""Applications."""

from edge_common.model.ids import ApplicationId
from edge_common.plumbing.http_app import read_json
from edge_common.wire import routes
from edge_common.wire.sla import SlaSchema, parse_sla
from root_orchestrator.adapters.api.answers import ApplicationAnswer, ApplyAnswer, MessageAnswer
from root_orchestrator.adapters.api.bodies import DescriptionBody, read
from root_orchestrator.adapters.api.parts import Parts, caller, note_object
from root_orchestrator.adapters.api.routing import Answer, Routes, query_flag
from root_orchestrator.core.permissions import Resource, Verb, may
from root_orchestrator.core.views import change_view

_DRY_RUN = {"dry_run": "true: say what would happen and do nothing"}
_PRUNE = {"prune": "true: remove the services of these applications that the SLA does not name"}


class Applications:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add_to(self, to: Routes) -> None:
        to.post(
            routes.APPLICATION,
            self.create,
            "Register applications; starts nothing",
            ApplicationAnswer,
            is_list=True,
            body=SlaSchema,
            needs=(Verb.CREATE, Resource.APPLICATION),
        )
        to.get(
            routes.APPLICATION_ONE,
            self.show,
            "One application",
            ApplicationAnswer,
            needs=(Verb.READ, Resource.APPLICATION),
        )
        to.put(
            routes.APPLICATION_ONE,
            self.describe,
            "Change the description",
            ApplicationAnswer,
            body=DescriptionBody,
            needs=(Verb.CHANGE, Resource.APPLICATION),
        )
        to.delete(
            routes.APPLICATION_ONE,
            self.delete,
            "Stop and delete an application",
            MessageAnswer,
            needs=(Verb.DELETE, Resource.APPLICATION),
        )
        to.get(
            routes.APPLICATIONS,
            self.list_all,
            "The applications that one may see",
            ApplicationAnswer,
            is_list=True,
            needs=(Verb.READ, Resource.APPLICATION),
        )
        to.get(
            routes.APPLICATIONS_OF,
            self.list_of,
            "The applications of a user",
            ApplicationAnswer,
            is_list=True,
            needs=(Verb.READ, Resource.APPLICATION),
        )
        to.put(
            routes.APPLY,
            self.apply,
            "Make it so",
            ApplyAnswer,
            body=SlaSchema,
            query={**_DRY_RUN, **_PRUNE},
            needs=(Verb.CREATE, Resource.APPLICATION),
        )

    def create(self) -> Answer:
        """Answers with all applications of the caller, as Oakestra's clients expect."""
        actor, sla = caller(), parse_sla(read_json())
        note_object(", ".join(application.application_name for application in sla.applications))
        self._parts.ask(lambda: self._parts.manager.create_applications(actor, sla))
        return self._parts.application_views(self._parts.intents.applications(actor.username))

    def show(self, application_id: str) -> Answer:
        return self._parts.application_views([self._parts.application(caller(), application_id)])[0]

    def describe(self, application_id: str) -> Answer:
        actor, text = caller(), read(DescriptionBody)["application_desc"]
        wanted = ApplicationId(application_id)
        self._parts.ask(lambda: self._parts.manager.describe_application(actor, wanted, text))
        return self.show(application_id)

    def delete(self, application_id: str) -> Answer:
        actor = caller()
        self._parts.ask(lambda: self._parts.manager.delete_application(actor, ApplicationId(application_id)))
        return {"message": f"Application {application_id} is deleted; its instances are being stopped."}

    def list_all(self) -> Answer:
        return self._parts.application_views(self._parts.visible_applications(caller()))

    def list_of(self, username: str) -> Answer:
        """Those of them that the caller may see; a user who is not there has none either."""
        actor = caller()
        owned = self._parts.intents.applications(username)
        visible = [a for a in owned if may(actor, Verb.READ, Resource.APPLICATION, a.organization, a.owner)]
        return self._parts.application_views(visible)

    def apply(self) -> Answer:
        actor, sla = caller(), parse_sla(read_json())
        is_dry_run, is_pruning = query_flag("dry_run"), query_flag("prune")
        names = ", ".join(application.application_name for application in sla.applications)
        note_object(f"{names} (dry run)" if is_dry_run else names)
        change = self._parts.ask(
            lambda: self._parts.manager.apply(actor, sla, is_dry_run=is_dry_run, is_pruning=is_pruning)
        )
        clusters = self._parts.placements.clusters() if is_dry_run else None
        return {"dry_run": is_dry_run, "applications": change_view(change.results, clusters)}
