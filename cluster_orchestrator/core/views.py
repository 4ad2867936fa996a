"""What an operator sees of a node."""

from typing import Any

from cluster_orchestrator.core.records import NodeRecord
from edge_common.model.network import Subnet
from edge_common.model.node import ChildHealth, Usage
from edge_common.model.resources import Resources


def node_view(
    record: NodeRecord,
    health: ChildHealth,
    usage: Usage,
    free: Resources,
    instance_count: int,
    revisions: tuple[int, int],
    subnets: tuple[Subnet, ...],
) -> dict[str, Any]:
    """`revisions` are the desired and the acknowledged one."""
    info = record.info
    return {
        "node_id": info.node_id,
        "node_name": info.name,
        "address": info.address,
        "readiness": str(health.readiness),
        "unheard_s": round(health.unheard_s, 1),
        "is_cordoned": record.is_cordoned,
        "architecture": info.architecture,
        "virtualization": list(info.runtimes),
        "has_overlay": info.has_overlay,
        "subnets": [f"{subnet.v4} {subnet.v6}" for subnet in subnets],
        "labels": dict(info.labels),
        "version": info.version,
        "capacity": _resources(info.capacity),
        "free": _resources(free),
        "cpu_percent": usage.cpu_percent,
        "memory_percent": usage.memory_percent,
        "disk_used_mb": usage.disk_used_mb,
        "instances": instance_count,
        "desired_revision": revisions[0],
        "acked_revision": revisions[1],
        "joined_at_s": record.joined_at_s,
    }


def _resources(resources: Resources) -> dict[str, int]:
    return {
        "cpu_millis": resources.cpu_millis,
        "memory_mb": resources.memory_mb,
        "disk_mb": resources.disk_mb,
    }
