"""What the routes answer, for the OpenAPI document. The answers themselves are built in core/views.py."""

from marshmallow import Schema, fields

_ANY = fields.Raw
_TEXTS = fields.List(fields.String())


class RefusalAnswer(Schema):
    """`field` names what is wrong in the request, when one thing is."""

    code = fields.Integer()
    status = fields.String()
    message = fields.String()
    field = fields.String()


class MessageAnswer(Schema):
    message = fields.String()


class HealthAnswer(Schema):
    status = fields.String()
    version = fields.String()


class LoginAnswer(Schema):
    token = fields.String(metadata={"description": "for ten minutes"})
    refresh_token = fields.String(metadata={"description": "for seven days"})


class RefreshAnswer(LoginAnswer):
    """The refresh token that was sent does not count any more."""


class EndedAnswer(Schema):
    ended = fields.Integer(metadata={"description": "how many sessions"})
    message = fields.String()


class MemberAnswer(Schema):
    user_id = fields.String()
    roles = _TEXTS


class OidAnswer(Schema):
    oid = fields.String(data_key="$oid")


class UserAnswer(Schema):
    _id = fields.Nested(OidAnswer)
    username = fields.String()
    email = fields.String()
    roles = _TEXTS
    organization = fields.String()
    created_at = fields.Float(metadata={"description": "seconds since the epoch"})


class OrganizationAnswer(Schema):
    _id = fields.Nested(OidAnswer)
    name = fields.String()
    member = fields.List(fields.Nested(MemberAnswer), metadata={"description": "those whom the caller may see"})
    created_at = fields.Float()


class ApiTokenAnswer(Schema):
    token_id = fields.String()
    name = fields.String()
    username = fields.String()
    scopes = fields.List(fields.String(), metadata={"description": "roles; those that its user has lost do not count"})
    created_at = fields.Float(metadata={"description": "seconds since the epoch"})
    expires_at = fields.Float()
    last_used_at = fields.Float(allow_none=True, metadata={"description": "to the hour"})


class NewApiTokenAnswer(ApiTokenAnswer):
    token = fields.String(metadata={"description": "shown this once"})


class PermissionAnswer(Schema):
    username = fields.String()
    roles = _TEXTS


class AuditEntryAnswer(Schema):
    sequence = fields.Integer()
    at = fields.Float(metadata={"description": "seconds since the epoch"})
    username = fields.String()
    organization = fields.String()
    token = fields.String(metadata={"description": "the personal token's name; empty for a session"})
    verb = fields.String()
    resource = fields.String()
    object = fields.String(metadata={"description": "its id or name, as far as there is one"})
    outcome = fields.String(metadata={"description": "done, refused, hidden or failed"})
    reason = fields.String()
    address = fields.String()
    request_id = fields.String()


class AuditAnswer(Schema):
    entries = fields.List(fields.Nested(AuditEntryAnswer))
    next = fields.Integer(allow_none=True, metadata={"description": "ask for what is before it; null at the end"})
    last = fields.Integer(metadata={"description": "ask later for what is after it"})


class ApplicationAnswer(Schema):
    _id = fields.Nested(OidAnswer)
    application_id = fields.String(data_key="applicationID")
    application_name = fields.String()
    application_namespace = fields.String()
    application_desc = fields.String()
    user_id = fields.String(data_key="userId")
    microservices = fields.List(fields.String(), metadata={"description": "ids of its services"})
    created_at = fields.Float()


class ServiceChangeAnswer(Schema):
    microservice_id = fields.String(data_key="microserviceID")
    job_name = fields.String()
    outcome = fields.String(metadata={"description": "created, changed, scaled, unchanged, removed or kept"})
    replicas = fields.Integer()
    spec_revision = fields.Integer()
    instances_added = fields.List(fields.Integer())
    instances_removed = fields.List(fields.Integer())


class SpecChangeAnswer(Schema):
    field = fields.String()
    before = _ANY(allow_none=True)
    after = _ANY(allow_none=True)


class TriedClusterAnswer(Schema):
    cluster_name = fields.String()
    fits = fields.Boolean()
    score = fields.Float(allow_none=True)
    refused_by = fields.List(fields.String(), metadata={"description": "the rules that it does not pass"})


class PlacedAnswer(Schema):
    cluster_name = fields.String()
    instances = fields.Integer()


class TrialAnswer(Schema):
    tried = fields.Integer(metadata={"description": "new instances, a hundred at most"})
    placed = fields.List(fields.Nested(PlacedAnswer))
    refused = fields.Integer()
    reason = fields.String()
    detail = fields.String()
    clusters = fields.List(fields.Nested(TriedClusterAnswer), metadata={"description": "as the first one is judged"})


class PlannedServiceAnswer(ServiceChangeAnswer):
    """`changes` and `placement` come with a dry run alone."""

    changes = fields.List(fields.Nested(SpecChangeAnswer))
    placement = fields.Nested(TrialAnswer, allow_none=True)


class InstanceChangeAnswer(ServiceChangeAnswer):
    instance_number = fields.Integer(metadata={"description": "of the new instance, when there is one"})
    message = fields.String()


class AddedServicesAnswer(Schema):
    job_id = fields.String()
    services = fields.List(fields.Nested(ServiceChangeAnswer))


class ApplicationChangeAnswer(Schema):
    application_id = fields.String(data_key="applicationID")
    application_name = fields.String()
    application_namespace = fields.String()
    outcome = fields.String()
    services = fields.List(fields.Nested(PlannedServiceAnswer))


class ApplyAnswer(Schema):
    dry_run = fields.Boolean()
    applications = fields.List(fields.Nested(ApplicationChangeAnswer))


class InstanceAnswer(Schema):
    instance_number = fields.Integer()
    instance_id = fields.String()
    desired = fields.String()
    status = fields.String()
    status_detail = fields.String()
    reason = fields.String()
    age_s = fields.Float(metadata={"description": "how long the root has known this status"})
    health = fields.String()
    attempt = fields.Integer()
    exit_code = fields.Integer(allow_none=True)
    spec_revision = fields.Integer()
    is_current = fields.Boolean(metadata={"description": "it runs the spec that is wanted"})
    cluster_id = fields.String()
    cluster_name = fields.String()
    cluster_location = fields.String()
    worker_id = fields.String()
    node_name = fields.String()
    publicip = fields.String()
    host_ip = fields.String()
    host_port = fields.String()
    namespace_ip = fields.String(metadata={"description": "its own address in the overlay network, if it has one"})
    namespace_ip_v6 = fields.String()
    logs = fields.String(metadata={"description": "the end of its output, when one service is asked for"})
    cpu_percent = fields.Float()
    memory_percent = fields.Float()
    disk = fields.Float()
    cpu_history = fields.List(_ANY())
    memory_history = fields.List(_ANY())
    last_modified_timestamp = fields.Float()


class ServiceIpAnswer(Schema):
    ip_type = fields.String(data_key="IpType")
    address = fields.String(data_key="Address")
    address_v6 = fields.String(data_key="Address_v6")


class RolloutAnswer(Schema):
    state = fields.String(
        metadata={"description": "rolling, waiting, paused, done, failed, rolling_back or rolled_back"}
    )
    strategy = fields.String()
    from_revision = fields.Integer(data_key="from", metadata={"description": "the last that was well; 0 is none"})
    to = fields.Integer(metadata={"description": "the revision that is wanted"})
    updated = fields.Integer(metadata={"description": "slots with an instance of it"})
    healthy = fields.Integer()
    total = fields.Integer()
    reason = fields.String()
    started_at = fields.Float()
    promotes_at = fields.Float(allow_none=True)


class VersionAnswer(Schema):
    spec_revision = fields.Integer()
    since = fields.Float(metadata={"description": "when it became wanted"})
    cause = fields.String(metadata={"description": "why, when it was no change of the SLA"})
    image = fields.String()
    is_current = fields.Boolean()
    is_stable = fields.Boolean(metadata={"description": "the last of which all instances were well at once"})
    changes = fields.List(fields.Nested(SpecChangeAnswer), metadata={"description": "against the one before it"})
    sla = _ANY()


class ServiceAnswer(Schema):
    """Beside these, every field of the SLA as it was sent."""

    _id = fields.Nested(OidAnswer)
    application_id = fields.String(data_key="applicationID")
    app_name = fields.String()
    app_ns = fields.String()
    user_id = fields.String(data_key="userId")
    microservice_id = fields.String(data_key="microserviceID")
    microservice_name = fields.String()
    microservice_namespace = fields.String()
    job_name = fields.String()
    image = fields.String()
    cmd = _TEXTS
    status = fields.String(metadata={"description": "that of its most telling instance"})
    status_detail = fields.String()
    reason = fields.String()
    age_s = fields.Float()
    replicas = fields.Integer()
    spec_revision = fields.Integer()
    next_instance_progressive_number = fields.Integer()
    rollout = fields.Nested(RolloutAnswer)
    service_ip_list = fields.List(fields.Nested(ServiceIpAnswer))
    instance_list = fields.List(fields.Nested(InstanceAnswer))


class LogAnswer(Schema):
    text = fields.String()
    cursor = fields.Integer(metadata={"description": "ask again with it to go on"})


class ClusterAnswer(Schema):
    _id = fields.Nested(OidAnswer)
    cluster_id = fields.String()
    cluster_name = fields.String()
    candidate_name = fields.String()
    cluster_location = fields.String()
    candidate_location = fields.String()
    ip = fields.String()
    port = fields.Integer()
    version = fields.String()
    active = fields.Boolean()
    readiness = fields.String()
    age_s = fields.Float(metadata={"description": "since its last sign of life"})
    last_modified_timestamp = fields.Float()
    joined_at = fields.Float()
    active_nodes = fields.Integer()
    node_count = fields.Integer()
    instance_count = fields.Integer()
    virtualization = _TEXTS
    architectures = _TEXTS
    aggregated_cpu_percent = fields.Float()
    cpu_percent = fields.Float()
    memory_percent = fields.Float()
    memory_in_mb = fields.Integer(metadata={"description": "free"})
    total_memory_in_mb = fields.Integer()
    total_cpu_cores = fields.Float()
    free_cpu_cores = fields.Float()
    total_gpu_cores = fields.Integer()
    free_disk_in_mb = fields.Integer()
    total_disk_in_mb = fields.Integer()
    supported_addons = _TEXTS
    desired_revision = fields.Integer()
    acked_revision = fields.Integer()
    pools = fields.List(_ANY())


class NodeAnswer(Schema):
    """As its cluster describes it."""

    node_id = fields.String()
    node_name = fields.String()
    cluster_id = fields.String()
    cluster_name = fields.String()


class JoinTokenAnswer(Schema):
    token_id = fields.String()
    kind = fields.String(metadata={"description": "what it admits: cluster or node"})
    state = fields.String(metadata={"description": "good, expired, revoked or used up"})
    created_at = fields.Float()
    expires_at = fields.Float(allow_none=True)
    max_uses = fields.Integer(allow_none=True)
    uses = fields.Integer()
    note = fields.String()


class NewJoinTokenAnswer(JoinTokenAnswer):
    token = fields.String(metadata={"description": "the token itself; it is not shown again"})


class NewcomerAnswer(Schema):
    child_id = fields.String()
    kind = fields.String()
    name = fields.String(metadata={"description": "what it calls itself"})
    key_fingerprint = fields.String(metadata={"description": "to compare with what it shows"})
    address = fields.String()
    state = fields.String(metadata={"description": "waiting, refused or admitted"})
    first_asked_at = fields.Float()
    age_s = fields.Float(metadata={"description": "since it last asked"})
    refused_until = fields.Float(allow_none=True)


class WaitingAnswer(Schema):
    is_open = fields.Boolean()
    newcomers = fields.List(fields.Nested(NewcomerAnswer))


class ForgottenAnswer(Schema):
    child_id = fields.String()
    name = fields.String()


class SilentClusterAnswer(Schema):
    cluster_id = fields.String()
    cluster_name = fields.String()
    message = fields.String()


class NodesAnswer(Schema):
    nodes = fields.List(fields.Nested(NodeAnswer))
    unreachable = fields.List(fields.Nested(SilentClusterAnswer))
