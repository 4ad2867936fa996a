"""The SLA, version 2: Oakestra's fields and this project's, each with its type and its bounds.

What a value means, and which fields can be served, is decided by the root's admission.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from marshmallow import post_load

from edge_common.model.errors import InvalidInput
from edge_common.model.sla import (
    AddressesSla,
    ApplicationSla,
    AttachmentSla,
    ConstraintSla,
    MicroserviceSla,
    ProbeSla,
    ProbesSla,
    RestartSla,
    Sla,
    UpdateSla,
)
from edge_common.wire.derive import MAX_TEXT
from edge_common.wire.strict import Anything, Decimal, Flag, ListOf, Part, StrictSchema, Table, Text, Whole, load

VERSION = "v2.0"
MAX_NAME = 30
MAX_MEMORY_MB = 2**30
MAX_STORAGE_MB = 2**34
MAX_VCPUS = 100_000
MAX_REPLICAS = 100_000
MAX_PIDS = 4_194_304
MAX_SECONDS = 31 * 86_400
MAX_ATTACHMENTS = 16
MAX_PROBE_SECONDS = 86_400
MAX_PROBE_TIMEOUT = 60
MAX_UID = 2**32 - 2

_UNSUPPORTED = {
    "bandwidth_in", "bandwidth_out", "vgpus", "vtpus", "volumes", "connectivity", "state", "sla_violation_strategy",
    "added_files", "args", "platform", "vm_images", "closest_ip", "closest_ip_v6", "instances", "area", "location",
    "threshold", "rigidness", "convergence_time", "needs",
}  # fmt: skip


def _split(data: Mapping[str, Any]) -> dict[str, Any]:
    """The loaded fields, with those that nothing can serve under one name, and lists as tuples."""
    served = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k not in _UNSUPPORTED}
    return {**served, "unsupported": {k: v for k, v in data.items() if k in _UNSUPPORTED}}


class NumberOrText(Text):
    """A text, or a whole number as it is: Oakestra's port, or a share of instances."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return super()._deserialize(str(value) if is_number else value)


class RestartSchema(StrictSchema):
    mode = Text(max_length=20)
    attempts = Whole(0, 1_000_000, allow_none=True)
    delay = Decimal(0.01, MAX_SECONDS)
    max_delay = Decimal(0.01, MAX_SECONDS)
    reset_after = Decimal(0, MAX_SECONDS)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> RestartSla:
        return RestartSla(**data)


class ProbeSchema(StrictSchema):
    type = Text(required=True, max_length=20)
    port = Whole(1, 65_535)
    path = Text(max_length=1024)
    command = ListOf(Text(max_length=4096), max_items=64)
    service = Text(max_length=256)
    delay = Decimal(0, MAX_SECONDS)
    interval = Decimal(0.1, MAX_PROBE_SECONDS)
    timeout = Decimal(0.05, MAX_PROBE_TIMEOUT)
    failures = Whole(1, 1_000)
    successes = Whole(1, 1_000)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> ProbeSla:
        return ProbeSla(**{**data, "command": tuple(data.get("command", ()))})


class ProbesSchema(StrictSchema):
    startup = Part(ProbeSchema)
    readiness = Part(ProbeSchema)
    liveness = Part(ProbeSchema)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> ProbesSla:
        return ProbesSla(**data)


class UpdateSchema(StrictSchema):
    strategy = Text(max_length=20)
    order = Text(max_length=20)
    max_unavailable = NumberOrText(max_length=8)
    max_surge = NumberOrText(max_length=8)
    min_healthy = Decimal(0, MAX_PROBE_SECONDS)
    deadline = Decimal(10, MAX_SECONDS)
    on_failure = Text(max_length=20)
    canary = NumberOrText(max_length=8)
    promote_after = Decimal(0, MAX_SECONDS)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> UpdateSla:
        return UpdateSla(**data)


class AddressesSchema(StrictSchema):
    rr_ip = Text(max_length=64)
    rr_ip_v6 = Text(max_length=64)
    closest_ip = Anything()
    closest_ip_v6 = Anything()
    instances = Anything()

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> AddressesSla:
        return AddressesSla(**_split(data))


class ConstraintSchema(StrictSchema):
    type = Text(required=True, max_length=30)
    cluster = Text()
    node = Text()
    allowed = ListOf(Text(max_length=200, min_length=1))
    area = Anything()
    location = Anything()
    threshold = Anything()
    rigidness = Anything()
    convergence_time = Anything()
    needs = Anything()

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> ConstraintSla:
        return ConstraintSla(**_split(data))


class AttachmentSchema(StrictSchema):
    name = Text(required=True, min_length=1, max_length=64)
    env = Text(max_length=256)
    path = Text(max_length=1024)
    mode = Text(max_length=5)
    uid = Whole(0, MAX_UID)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> AttachmentSla:
        return AttachmentSla(**data)


class MicroserviceSchema(StrictSchema):
    microservice_name = Text(required=True, min_length=1, max_length=MAX_NAME)
    microservice_namespace = Text(required=True, min_length=1, max_length=MAX_NAME)
    virtualization = Text(required=True, min_length=1, max_length=64)
    code = Text(required=True, min_length=1, max_length=2048)
    microservice_id = Text(data_key="microserviceID", max_length=64)
    arch = ListOf(Text(max_length=20), max_items=16)
    memory = Whole(0, MAX_MEMORY_MB)
    vcpus = Decimal(0, MAX_VCPUS)
    storage = Whole(0, MAX_STORAGE_MB)
    port = NumberOrText()
    cmd = ListOf(Text(max_length=MAX_TEXT))
    environment = ListOf(Text(max_length=MAX_TEXT))
    one_shot = Flag()
    privileged = Flag()
    target_node = Text()
    constraints = ListOf(Part(ConstraintSchema), max_items=64)
    addresses = Part(AddressesSchema)
    vgpus = Anything()
    vtpus = Anything()
    bandwidth_in = Anything()
    bandwidth_out = Anything()
    volumes = Anything()
    connectivity = Anything()
    state = Anything()
    sla_violation_strategy = Anything()
    added_files = Anything()
    args = Anything()
    platform = Anything()
    vm_images = Anything()
    replicas = Whole(0, MAX_REPLICAS)
    user = Text(max_length=128)
    working_dir = Text()
    read_only = Flag()
    pids = Whole(0, MAX_PIDS)
    ulimits = Table(max_items=32)
    devices = ListOf(Text(), max_items=64)
    restart = Part(RestartSchema)
    probes = Part(ProbesSchema)
    update = Part(UpdateSchema)
    stop_grace = Decimal(0, 3600)
    pull_policy = Text(max_length=20)
    placement = Text(max_length=20)
    lease = Decimal(0.1, MAX_SECONDS)
    secrets = ListOf(Part(AttachmentSchema), max_items=MAX_ATTACHMENTS)
    configs = ListOf(Part(AttachmentSchema), max_items=MAX_ATTACHMENTS)
    registry_secret = Text(max_length=64)

    @post_load(pass_original=True)
    def build(self, data: dict[str, Any], original: Mapping[str, Any], **_: object) -> MicroserviceSla:
        return MicroserviceSla(path="", as_sent=original, **_split(data))


class ApplicationSchema(StrictSchema):
    application_id = Text(data_key="applicationID", max_length=64)
    application_name = Text(required=True, min_length=1, max_length=MAX_NAME)
    application_namespace = Text(required=True, min_length=1, max_length=MAX_NAME)
    application_desc = Text()
    microservices = ListOf(Part(MicroserviceSchema))

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> ApplicationSla:
        return ApplicationSla(path="", **{**data, "microservices": tuple(data.get("microservices", ()))})


class SlaSchema(StrictSchema):
    sla_version = Text(required=True, max_length=20)
    customer_id = Text(data_key="customerID", max_length=128)
    applications = ListOf(Part(ApplicationSchema), required=True, max_items=256)
    args = Anything()

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> Sla:
        return Sla(**_split(data))


_SLA = SlaSchema()
_MICROSERVICE = MicroserviceSchema()


def parse_sla(document: Any) -> Sla:
    """Raises InvalidInput that names the field by its full path, and says so when the version is another one."""
    if isinstance(document, dict):
        _check_version(document.get("sla_version"))
    sla: Sla = load(_SLA, document, "The SLA")
    applications = (_with_paths(a, f"applications[{i}]") for i, a in enumerate(sla.applications))
    return replace(sla, applications=tuple(applications))


def parse_microservice(document: Any) -> MicroserviceSla:
    microservice: MicroserviceSla = load(_MICROSERVICE, document, "The microservice")
    return microservice


def _check_version(version: object) -> None:
    if version is None:
        raise InvalidInput(f'sla_version: is missing; write "{VERSION}"', "sla_version")
    if isinstance(version, str) and version.lower().startswith("v1"):
        raise InvalidInput(f'sla_version: {version} is deprecated; write the SLA as "{VERSION}"', "sla_version")
    if version != VERSION:
        raise InvalidInput(f'sla_version: must be "{VERSION}"', "sla_version")


def _with_paths(application: ApplicationSla, path: str) -> ApplicationSla:
    microservices = tuple(
        replace(microservice, path=f"{path}.microservices[{index}]")
        for index, microservice in enumerate(application.microservices)
    )
    return replace(application, path=path, microservices=microservices)
