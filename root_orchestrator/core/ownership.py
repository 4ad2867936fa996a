"""Whose an application or a service is, and so who may see and change it."""

from edge_common.model.errors import Forbidden, NotFound
from root_orchestrator.core.permissions import Actor, Permission, Resource, Verb, check, may
from root_orchestrator.core.records import Application, ServiceIntent

READ_APPLICATION = Permission(Verb.READ, Resource.APPLICATION)
READ_SERVICE = Permission(Verb.READ, Resource.SERVICE)


def visible_application(
    actor: Actor, application: Application | None, application_id: str, needs: Permission
) -> Application:
    """`needs` is on the application itself. Raises NotFound in the same words for one that is not theirs to see."""
    missing = f"There is no application {application_id}."
    if application is None:
        raise NotFound(missing)
    check(actor, needs, application.organization, application.owner, missing)
    return application


def visible_service(
    actor: Actor, service: ServiceIntent | None, application: Application | None, service_id: str, needs: Permission
) -> tuple[ServiceIntent, Application]:
    """A service is its application's. Raises NotFound also for one that is going."""
    missing = f"There is no service {service_id}."
    if service is None or service.is_removed or application is None:
        raise NotFound(missing)
    check(actor, needs, application.organization, application.owner, missing)
    return service, application


def check_may_add_services(actor: Actor, application: Application) -> None:
    """Raises Forbidden."""
    if not may(actor, Verb.CREATE, Resource.SERVICE, application.organization, application.owner):
        raise Forbidden(f"{actor.username} may read application {application.name} and not add services to it.")
