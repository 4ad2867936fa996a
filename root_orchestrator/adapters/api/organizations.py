"""Organisations."""

from edge_common.wire import routes
from root_orchestrator.adapters.api.answers import MessageAnswer, OrganizationAnswer
from root_orchestrator.adapters.api.bodies import OrganizationBody, read
from root_orchestrator.adapters.api.parts import Parts, caller, note_object
from root_orchestrator.adapters.api.routing import Answer, Routes
from root_orchestrator.core.organizations import Organization
from root_orchestrator.core.permissions import Resource, Scope, Verb, may, scope_of
from root_orchestrator.core.records import User
from root_orchestrator.core.views import View, organization_view


class Organizations:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add_to(self, to: Routes) -> None:
        one, body, what = routes.ORGANIZATION_ONE, OrganizationBody, Resource.ORGANIZATION
        to.get(
            routes.ORGANIZATIONS,
            self.list_all,
            "All organisations for an Admin, else one's own",
            OrganizationAnswer,
            is_list=True,
            needs=(Verb.READ, what),
        )
        to.post(
            routes.ORGANIZATIONS,
            self.create,
            "Make an organisation",
            OrganizationAnswer,
            body=body,
            needs=(Verb.CREATE, what),
        )
        to.put(one, self.rename, "Rename one", OrganizationAnswer, body=body, needs=(Verb.CHANGE, what))
        to.delete(one, self.delete, "Delete one that is empty", MessageAnswer, needs=(Verb.DELETE, what))

    def list_all(self) -> Answer:
        actor = caller()
        if scope_of(actor, Verb.READ, Resource.ORGANIZATION) is Scope.EVERYTHING:
            members: dict[str, list[User]] = {}
            for user in self._parts.intents.users():
                members.setdefault(user.organization, []).append(user)
            known = self._parts.people_reads.organizations()
            return [self._view(each, members.get(each.organization_id, [])) for each in known]
        mine = self._parts.people_reads.organization(actor.organization)
        return [] if mine is None else [self._view(mine, self._parts.intents.users(actor.organization))]

    def create(self) -> Answer:
        name = read(OrganizationBody)["name"]
        made = self._parts.ask(lambda: self._parts.people.create_organization(name))
        note_object(made.organization_id)
        return organization_view(made, [])

    def rename(self, organization_id: str) -> Answer:
        actor, name = caller(), read(OrganizationBody)["name"]
        wanted = self._parts.organization(actor, organization_id).organization_id
        renamed = self._parts.ask(lambda: self._parts.people.rename_organization(actor, wanted, name))
        return self._view(renamed, self._parts.intents.users(wanted))

    def delete(self, organization_id: str) -> Answer:
        actor = caller()
        wanted = self._parts.organization(actor, organization_id).organization_id
        gone = self._parts.ask(lambda: self._parts.people.delete_organization(actor, wanted))
        return {"message": f"Organisation {gone.name} is deleted."}

    def _view(self, organization: Organization, users: list[User]) -> View:
        actor, own_id = caller(), organization.organization_id
        members = [
            user
            for user in users
            if user.organization == own_id and may(actor, Verb.READ, Resource.USER, own_id, user.username)
        ]
        return organization_view(organization, members)
