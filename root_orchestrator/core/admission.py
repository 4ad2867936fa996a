"""Whether an SLA may become applications and services, and which specs they get."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edge_common.model.errors import InvalidInput
from edge_common.model.ids import ApplicationId, ServiceId
from edge_common.model.resources import Resources
from edge_common.model.service import PullPolicy, ServiceSpec, Spreading
from edge_common.model.sla import ApplicationSla, MicroserviceSla, Sla, at
from root_orchestrator.core import attachments, probe_fields, spec_fields
from root_orchestrator.core.update_fields import update_policy
from root_orchestrator.core.updates import UpdatePolicy

CONTAINER = "container"
NO_APPLICATION = ApplicationId("")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,28}[A-Za-z0-9])?")
_RUNTIME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*(?::[A-Za-z0-9_.][A-Za-z0-9_.-]*)?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")


@dataclass(frozen=True, slots=True)
class ServiceDraft:
    """`spec` has no ids yet. `replicas` None: the SLA does not say."""

    path: str
    spec: ServiceSpec
    sla: dict[str, Any]
    replicas: int | None = None
    update: UpdatePolicy = UpdatePolicy()

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(frozen=True, slots=True)
class ApplicationDraft:
    """`application_id` is the one that the SLA names, or NO_APPLICATION."""

    path: str
    name: str
    namespace: str
    description: str
    application_id: ApplicationId = NO_APPLICATION
    services: tuple[ServiceDraft, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return (self.name, self.namespace)


def admit(sla: Sla, username: str) -> tuple[ApplicationDraft, ...]:
    """Raises InvalidInput or Unsupported that names the field."""
    spec_fields.refuse_unsupported(sla.unsupported, "")
    if sla.customer_id not in ("", username):
        raise InvalidInput(
            f"customerID: {sla.customer_id} is not you; leave it empty or write {username}", "customerID"
        )
    if not sla.applications:
        raise InvalidInput("applications: must name at least one application", "applications")
    drafts = tuple(_application(application) for application in sla.applications)
    _refuse_duplicates((draft.path, ".".join(draft.key)) for draft in drafts)
    services = [service for draft in drafts for service in draft.services]
    for field in ("rr_ip", "rr_ip_v6"):
        _refuse_duplicates((f"{s.path}.addresses.{field}", getattr(s.spec.addresses, field)) for s in services)
    return drafts


def admit_service(sla: MicroserviceSla, application_name: str, application_namespace: str) -> ServiceDraft:
    """Raises InvalidInput or Unsupported that names the field."""
    spec_fields.refuse_unsupported(sla.unsupported, sla.path)
    name = _name(sla.microservice_name, at(sla.path, "microservice_name"))
    namespace = _name(sla.microservice_namespace, at(sla.path, "microservice_namespace"))
    spec = _spec(sla, f"{application_name}.{application_namespace}.{name}.{namespace}")
    update = update_policy(sla.update, at(sla.path, "update"))
    return ServiceDraft(path=sla.path, spec=spec, sla=dict(sla.as_sent), replicas=sla.replicas, update=update)


def _application(sla: ApplicationSla) -> ApplicationDraft:
    name = _name(sla.application_name, at(sla.path, "application_name"))
    namespace = _name(sla.application_namespace, at(sla.path, "application_namespace"))
    services = tuple(_new_service(microservice, name, namespace) for microservice in sla.microservices)
    _refuse_duplicates((service.path, service.name) for service in services)
    return ApplicationDraft(
        path=sla.path,
        name=name,
        namespace=namespace,
        description=sla.application_desc,
        application_id=ApplicationId(sla.application_id),
        services=services,
    )


def _new_service(sla: MicroserviceSla, application_name: str, application_namespace: str) -> ServiceDraft:
    if sla.microservice_id:
        field = at(sla.path, "microserviceID")
        raise InvalidInput(f"{field}: must be empty; ids are given, not chosen", field)
    return admit_service(sla, application_name, application_namespace)


def _spec(sla: MicroserviceSla, full_name: str) -> ServiceSpec:
    path = sla.path
    runtime = _runtime(sla)
    return ServiceSpec(
        service_id=ServiceId(""),
        application_id=NO_APPLICATION,
        name=full_name,
        runtime=runtime,
        image=_image(sla, runtime),
        command=sla.cmd,
        environment=spec_fields.environment(sla.environment, at(path, "environment")),
        working_directory=_absolute(sla.working_dir, at(path, "working_dir")),
        user=_user(sla.user, at(path, "user")),
        resources=_resources(sla),
        pids_limit=sla.pids,
        ulimits=spec_fields.ulimits(sla.ulimits, at(path, "ulimits")),
        devices=spec_fields.devices(sla.devices, at(path, "devices")),
        is_privileged=sla.privileged,
        is_root_read_only=sla.read_only,
        is_one_shot=sla.one_shot,
        ports=spec_fields.ports(sla.port, at(path, "port")),
        addresses=spec_fields.addresses(sla.addresses, at(path, "addresses")),
        pull_policy=spec_fields.choice(sla.pull_policy or PullPolicy.IF_MISSING, PullPolicy, at(path, "pull_policy")),
        restart=spec_fields.restart_policy(sla.restart, at(path, "restart"), is_one_shot=sla.one_shot),
        probes=probe_fields.probes(sla.probes, at(path, "probes"), is_one_shot=sla.one_shot),
        stop_grace_s=10.0 if sla.stop_grace is None else sla.stop_grace,
        architectures=spec_fields.architectures(sla.arch, at(path, "arch")),
        constraints=spec_fields.constraints(sla.constraints, sla.target_node, path),
        spreading=spec_fields.choice(sla.placement or Spreading.SPREAD, Spreading, at(path, "placement")),
        lease_s=sla.lease,
        attachments=attachments.attachments(sla),
        registry_login=attachments.registry_login(sla),
    )


def _runtime(sla: MicroserviceSla) -> str:
    """Oakestra calls its container runtime "docker" too; any other name is a runtime's own, if some node has it."""
    if sla.virtualization in ("container", "docker"):
        return CONTAINER
    if not _RUNTIME.fullmatch(sla.virtualization):
        field = at(sla.path, "virtualization")
        raise InvalidInput(f'{field}: must be "container" or the name of a runtime (a-z, 0-9, dot and dash)', field)
    return sla.virtualization


def _image(sla: MicroserviceSla, runtime: str) -> str:
    field = at(sla.path, "code")
    if runtime == CONTAINER and not _IMAGE.fullmatch(sla.code):
        raise InvalidInput(f'{field}: "{sla.code}" is no image; write for example docker.io/library/nginx:1.27', field)
    if not sla.code.isprintable() or sla.code != sla.code.strip():
        raise InvalidInput(f"{field}: must have no blanks around it and no control characters", field)
    return sla.code


def _resources(sla: MicroserviceSla) -> Resources:
    cpu_millis = round(sla.vcpus * 1000)
    if sla.vcpus and not cpu_millis:
        field = at(sla.path, "vcpus")
        raise InvalidInput(f"{field}: must be 0 or at least 0.001", field)
    return Resources(cpu_millis=cpu_millis, memory_mb=sla.memory, disk_mb=sla.storage)


def _name(text: str, field: str) -> str:
    if not _NAME.fullmatch(text):
        raise InvalidInput(f"{field}: must be 1 to 30 letters and digits, with dashes only inside", field)
    return text


def _user(text: str, field: str) -> str:
    if text and not _USER.fullmatch(text):
        raise InvalidInput(f"{field}: must be a user or user:group, names or numbers", field)
    return text


def _absolute(path: str, field: str) -> str:
    if path and not path.startswith("/"):
        raise InvalidInput(f"{field}: must be an absolute path", field)
    return path


def _refuse_duplicates(named: Iterable[tuple[str, str]]) -> None:
    """From (path, value): the second of two equal values is the mistake; empty ones are none."""
    seen: dict[str, str] = {}
    for path, value in named:
        if value and value in seen:
            raise InvalidInput(f"{path}: {value} is already at {seen[value]}; take another", path)
        seen[value] = path
