"""Services and their instances."""

from edge_common.model.errors import NotFound
from edge_common.model.ids import ServiceId
from edge_common.plumbing.http_app import read_json
from edge_common.wire import routes
from edge_common.wire.sla import MicroserviceSchema, SlaSchema, parse_microservice, parse_sla
from root_orchestrator.adapters.api.answers import (
    AddedServicesAnswer,
    InstanceChangeAnswer,
    LogAnswer,
    MessageAnswer,
    ServiceAnswer,
    ServiceChangeAnswer,
    VersionAnswer,
)
from root_orchestrator.adapters.api.bodies import ReplicasBody, RollbackBody, RolloutBody, read
from root_orchestrator.adapters.api.logs import MAX_LINES, instance_log, tails
from root_orchestrator.adapters.api.parts import Parts, caller, note_object
from root_orchestrator.adapters.api.routing import Answer, Routes, query_flag, query_whole
from root_orchestrator.core.changes import Change
from root_orchestrator.core.intents import ALL_INSTANCES
from root_orchestrator.core.permissions import Permission, Resource, Verb
from root_orchestrator.core.rollout_orders import RolloutOrder
from root_orchestrator.core.rollout_views import history_view
from root_orchestrator.core.spec_fields import choice
from root_orchestrator.core.views import View, service_change_view, service_view
from root_orchestrator.core.whereabouts import find_instance

_LOGS = {"logs": "false: leave out the last output of each instance, which has to be asked for"}
_TAIL = {"tail": "how many lines from the end", "cursor": "go on from where the last answer ended"}
_DEFAULT_LINES = 100
READ_INSTANCE = Permission(Verb.READ, Resource.INSTANCE)


class Services:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add_to(self, to: Routes) -> None:
        to.post(
            routes.SERVICE,
            self.create,
            "Add services to an application",
            AddedServicesAnswer,
            body=SlaSchema,
            needs=(Verb.CREATE, Resource.SERVICE),
        )
        to.get(
            routes.SERVICE_ONE,
            self.show,
            "One service with its instances",
            ServiceAnswer,
            query=_LOGS,
            needs=(Verb.READ, Resource.SERVICE),
        )
        to.put(
            routes.SERVICE_ONE,
            self.update,
            "Change a service",
            ServiceChangeAnswer,
            body=MicroserviceSchema,
            needs=(Verb.CHANGE, Resource.SERVICE),
        )
        to.delete(
            routes.SERVICE_ONE,
            self.delete,
            "Stop and delete a service",
            MessageAnswer,
            needs=(Verb.DELETE, Resource.SERVICE),
        )
        to.get(
            routes.SERVICES,
            self.list_all,
            "The services that one may see",
            ServiceAnswer,
            is_list=True,
            needs=(Verb.READ, Resource.SERVICE),
        )
        to.get(
            routes.SERVICES_OF,
            self.list_of,
            "The services of an application",
            ServiceAnswer,
            is_list=True,
            needs=(Verb.READ, Resource.SERVICE),
        )
        to.put(
            routes.REPLICAS,
            self.scale,
            "Set the number of instances",
            ServiceChangeAnswer,
            body=ReplicasBody,
            needs=(Verb.CHANGE, Resource.SERVICE),
        )
        to.get(
            routes.HISTORY,
            self.history,
            "The versions of a service, newest first",
            VersionAnswer,
            is_list=True,
            needs=(Verb.READ, Resource.SERVICE),
        )
        to.post(
            routes.ROLLBACK,
            self.roll_back,
            "Want an earlier version again",
            ServiceChangeAnswer,
            body=RollbackBody,
            needs=(Verb.CHANGE, Resource.SERVICE),
        )
        to.post(
            routes.ROLLOUT,
            self.order_rollout,
            "Pause, resume or promote the rollout",
            ServiceChangeAnswer,
            body=RolloutBody,
            needs=(Verb.CHANGE, Resource.SERVICE),
        )
        to.post(
            routes.INSTANCES,
            self.add_instance,
            "Run one instance more",
            InstanceChangeAnswer,
            needs=(Verb.CREATE, Resource.INSTANCE),
        )
        to.delete(
            routes.INSTANCE_ONE,
            self.remove_instance,
            "Stop one instance, or all: -1",
            InstanceChangeAnswer,
            needs=(Verb.DELETE, Resource.INSTANCE),
        )
        to.get(
            routes.INSTANCE_LOGS,
            self.logs,
            "The output of an instance",
            LogAnswer,
            query=_TAIL,
            needs=(Verb.READ, Resource.INSTANCE),
        )

    def create(self) -> Answer:
        actor, sla = caller(), parse_sla(read_json())
        change = self._parts.ask(lambda: self._parts.manager.add_services(actor, sla))
        created = _changes(change)
        note_object(", ".join(each["microserviceID"] for each in created))
        return {"job_id": created[-1]["microserviceID"] if created else "", "services": created}

    def show(self, service_id: str) -> Answer:
        service, application = self._parts.service(caller(), service_id)
        where = self._parts.where([service])
        ends = tails(self._parts, service, where) if query_flag("logs", default=True) else {}
        return service_view(service, application, where, ends)

    def update(self, service_id: str) -> Answer:
        actor, sla = caller(), parse_microservice(read_json())
        return _only(self._parts.ask(lambda: self._parts.manager.update_service(actor, ServiceId(service_id), sla)))

    def delete(self, service_id: str) -> Answer:
        actor = caller()
        self._parts.ask(lambda: self._parts.manager.delete_service(actor, ServiceId(service_id)))
        return {"message": f"Service {service_id} is deleted; its instances are being stopped."}

    def list_all(self) -> Answer:
        return self._parts.service_views(self._parts.visible_applications(caller(), Resource.SERVICE))

    def list_of(self, application_id: str) -> Answer:
        return self._parts.service_views([self._parts.application(caller(), application_id)])

    def scale(self, service_id: str) -> Answer:
        actor, replicas = caller(), read(ReplicasBody)["replicas"]
        return _only(self._parts.ask(lambda: self._parts.manager.scale(actor, ServiceId(service_id), replicas)))

    def history(self, service_id: str) -> Answer:
        return history_view(self._parts.service(caller(), service_id)[0])

    def roll_back(self, service_id: str) -> Answer:
        actor, revision = caller(), read(RollbackBody).get("revision")
        return _only(self._parts.ask(lambda: self._parts.manager.roll_back(actor, ServiceId(service_id), revision)))

    def order_rollout(self, service_id: str) -> Answer:
        actor, order = caller(), choice(read(RolloutBody)["order"], RolloutOrder, "order")
        return _only(self._parts.ask(lambda: self._parts.manager.order_rollout(actor, ServiceId(service_id), order)))

    def add_instance(self, service_id: str) -> Answer:
        actor = caller()
        change = _only(self._parts.ask(lambda: self._parts.manager.add_instance(actor, ServiceId(service_id))))
        number = change["instances_added"][0]
        return {**change, "instance_number": number, "message": f"Instance {number} is asked for."}

    def remove_instance(self, service_id: str, number: int) -> Answer:
        """One that was stopped before is no mistake, so a repeated command does no harm."""
        actor = caller()
        change = self._parts.ask(lambda: self._parts.manager.remove_instance(actor, ServiceId(service_id), number))
        what = "All instances are" if number == ALL_INSTANCES else f"Instance {number} is"
        return {**_only(change), "message": f"{what} being stopped."}

    def logs(self, service_id: str, number: int) -> Answer:
        service, _ = self._parts.service(caller(), service_id, READ_INSTANCE)
        lines = query_whole("tail", _DEFAULT_LINES, 0, MAX_LINES)
        cursor = query_whole("cursor", -1, 0, 2**62)
        instance = find_instance(service, number, self._parts.where([service]))
        if instance is None:
            raise NotFound(f"Service {service.spec.name} has no instance {number}.")
        return instance_log(self._parts, instance, lines, None if cursor < 0 else cursor)


def _changes(change: Change) -> list[View]:
    return [service_change_view(service) for result in change.results for service in result.services]


def _only(change: Change) -> View:
    return _changes(change)[0]
