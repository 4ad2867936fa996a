"""Applications, services and clusters as the API shows them: Oakestra's fields, and this project's beside them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edge_common.model.ids import ChildId
from edge_common.model.lifecycle import Health
from edge_common.model.node import Readiness
from root_orchestrator.core.api_tokens import ApiToken
from root_orchestrator.core.audit import Entry
from root_orchestrator.core.changes import ApplicationResult, ServiceResult
from root_orchestrator.core.organizations import Organization
from root_orchestrator.core.planning import service_plan
from root_orchestrator.core.records import Application, ClusterRecord, ServiceIntent, User
from root_orchestrator.core.rollout_views import rollout_view
from root_orchestrator.core.status import NO_STATUS, Status, most_telling
from root_orchestrator.core.versions import revisions_like
from root_orchestrator.core.whereabouts import Instance, Whereabouts, instances_of

View = dict[str, Any]


def application_view(application: Application, services: Iterable[ServiceIntent]) -> View:
    return {
        "_id": {"$oid": application.application_id},
        "applicationID": application.application_id,
        "application_name": application.name,
        "application_namespace": application.namespace,
        "application_desc": application.description,
        "userId": application.owner,
        "microservices": [service.service_id for service in services if not service.is_removed],
        "created_at": application.created_at_s,
    }


def service_view(
    service: ServiceIntent, application: Application, where: Whereabouts, logs: Mapping[int, str] | None = None
) -> View:
    """`logs` is the end of each instance's output, by instance number."""
    instances = instances_of(service, where)
    status = _service_status(service, instances)
    newest = revisions_like(service, service.spec)
    application_name, application_namespace, name, namespace = service.spec.name.split(".")
    return {
        **service.sla,
        "_id": {"$oid": service.service_id},
        "applicationID": application.application_id,
        "app_name": application_name,
        "app_ns": application_namespace,
        "userId": application.owner,
        "microserviceID": service.service_id,
        "microservice_name": name,
        "microservice_namespace": namespace,
        "job_name": service.spec.name,
        **_spec_fields(service),
        "status": status.name,
        "status_detail": status.detail,
        "reason": status.reason,
        "age_s": _age(status.age_s),
        "replicas": len(service.slots),
        "spec_revision": service.spec_revision,
        "rollout": rollout_view(service, where),
        "next_instance_progressive_number": service.next_number,
        "service_ip_list": _service_ips(service),
        "instance_list": [_instance_view(i, where, (logs or {}).get(i.number, ""), newest) for i in instances],
    }


def cluster_view(cluster: ClusterRecord, now_s: float) -> View:
    info, summary, usage = cluster.info, cluster.summary, cluster.usage
    return {
        "_id": {"$oid": info.cluster_id},
        "cluster_id": info.cluster_id,
        "cluster_name": info.name,
        "candidate_name": info.name,
        "cluster_location": info.location,
        "candidate_location": info.location,
        "ip": info.address,
        "port": info.port,
        "version": info.version,
        "active": cluster.readiness is Readiness.READY,
        "readiness": cluster.readiness,
        "age_s": _age(now_s - cluster.heard_at_s),
        "last_modified_timestamp": cluster.heard_at_s,
        "joined_at": cluster.joined_at_s,
        "active_nodes": summary.ready_node_count,
        "node_count": summary.node_count,
        "instance_count": summary.instance_count,
        "virtualization": sorted({runtime for pool in summary.pools for runtime in pool.runtimes}),
        "architectures": sorted({pool.architecture for pool in summary.pools}),
        "aggregated_cpu_percent": usage.cpu_percent,
        "cpu_percent": usage.cpu_percent,
        "memory_percent": usage.memory_percent,
        "memory_in_mb": summary.free.memory_mb,
        "total_memory_in_mb": summary.total.memory_mb,
        "total_cpu_cores": summary.total.cpu_millis / 1000,
        "free_cpu_cores": summary.free.cpu_millis / 1000,
        "total_gpu_cores": 0,
        "free_disk_in_mb": summary.free.disk_mb,
        "total_disk_in_mb": summary.total.disk_mb,
        "supported_addons": [],
        "desired_revision": cluster.desired_revision,
        "acked_revision": cluster.acked_revision,
        "pools": [asdict(pool) for pool in summary.pools],
    }


def user_view(user: User, organization_names: Mapping[str, str]) -> View:
    return {
        "_id": {"$oid": user.username},
        "username": user.username,
        "email": user.email,
        "roles": list(user.roles),
        "organization": organization_names.get(user.organization, user.organization),
        "created_at": user.created_at_s,
    }


def organization_view(organization: Organization, members: Iterable[User]) -> View:
    return {
        "_id": {"$oid": organization.organization_id},
        "name": organization.name,
        "member": [{"user_id": user.username, "roles": list(user.roles)} for user in members],
        "created_at": organization.created_at_s,
    }


def api_token_view(token: ApiToken) -> View:
    return {
        "token_id": token.token_id,
        "name": token.name,
        "username": token.username,
        "scopes": list(token.roles),
        "created_at": token.created_at_s,
        "expires_at": token.expires_at_s,
        "last_used_at": token.last_used_at_s or None,
    }


def audit_view(entry: Entry, organization_names: Mapping[str, str]) -> View:
    return {
        "sequence": entry.sequence,
        "at": entry.at_s,
        "username": entry.username,
        "organization": organization_names.get(entry.organization, entry.organization),
        "token": entry.token_name,
        "verb": entry.verb,
        "resource": entry.resource,
        "object": entry.object_id,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "address": entry.address,
        "request_id": entry.request_id,
    }


def change_view(results: Iterable[ApplicationResult], clusters: Sequence[ClusterRecord] | None = None) -> list[View]:
    """With `clusters` also what a dry run knows of each service."""
    return [
        {
            "applicationID": result.application_id,
            "application_name": result.name,
            "application_namespace": result.namespace,
            "outcome": result.outcome,
            "services": [
                service_change_view(service) | ({} if clusters is None else service_plan(service, clusters))
                for service in result.services
            ],
        }
        for result in results
    ]


def service_change_view(result: ServiceResult) -> View:
    return {
        "microserviceID": result.service_id,
        "job_name": result.name,
        "outcome": result.outcome,
        "replicas": result.replicas,
        "spec_revision": result.spec_revision,
        "instances_added": list(result.added),
        "instances_removed": list(result.removed),
    }


def _service_status(service: ServiceIntent, instances: Sequence[Instance]) -> Status:
    """That of the wanted instances; when none is wanted, of those that are going."""
    wanted = [i.status for i in instances if i.number in service.slots]
    return most_telling(wanted or [i.status for i in instances]) if instances else NO_STATUS


def _instance_view(instance: Instance, where: Whereabouts, logs: str, newest: Collection[int]) -> View:
    assignment, status = instance.assignment, instance.status
    cluster_id = assignment.child_id if assignment else ChildId("")
    cluster = where.clusters.get(cluster_id)
    seen = instance.heard.observation if instance.heard else None
    address = seen.address if seen else ""
    return {
        "instance_number": instance.number,
        "instance_id": assignment.instance_id if assignment else "",
        "desired": assignment.desired if assignment else "",
        "status": status.name,
        "status_detail": status.detail,
        "reason": status.reason,
        "age_s": _age(status.age_s),
        "health": seen.health if seen else Health.UNKNOWN,
        "attempt": seen.attempt if seen else 0,
        "exit_code": seen.exit_code if seen else None,
        "spec_revision": assignment.spec_revision if assignment else 0,
        "is_current": assignment is not None and assignment.spec_revision in newest,
        "cluster_id": cluster_id,
        "cluster_name": cluster.info.name if cluster else "",
        "cluster_location": cluster.info.location if cluster else "",
        "worker_id": seen.node_id if seen else "",
        "node_name": seen.node_name if seen else "",
        "publicip": address,
        "host_ip": address,
        "host_port": "",
        "namespace_ip": seen.namespace_ip if seen else "",
        "namespace_ip_v6": seen.namespace_ip_v6 if seen else "",
        "logs": logs,
        "cpu_percent": 0,
        "memory_percent": 0,
        "disk": 0,
        "cpu_history": [],
        "memory_history": [],
        "last_modified_timestamp": instance.heard.heard_at_s if instance.heard else 0,
    }


def _spec_fields(service: ServiceIntent) -> View:
    spec = service.spec
    return {
        "virtualization": spec.runtime,
        "image": spec.image,
        "code": spec.image,
        "cmd": list(spec.command),
        "environment": list(spec.environment),
        "memory": spec.resources.memory_mb,
        "vcpus": spec.resources.cpu_millis / 1000,
        "storage": spec.resources.disk_mb,
        "port": ";".join(str(port) for port in spec.ports),
        "one_shot": spec.is_one_shot,
        "privileged": spec.is_privileged,
    }


def _service_ips(service: ServiceIntent) -> list[View]:
    fixed = service.spec.addresses
    if not fixed.rr_ip and not fixed.rr_ip_v6:
        return []
    return [{"IpType": "RR", "Address": fixed.rr_ip, "Address_v6": fixed.rr_ip_v6}]


def _age(seconds: float) -> float:
    return round(max(0.0, seconds), 3)
