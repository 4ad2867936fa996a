"""What our containers are called, so that a later engine finds them again."""

from edge_common.model.ids import InstanceId
from node_engine.core.task import TaskKey, TaskPlan

PREFIX = "hedgerow-"


def container_id(key: TaskKey) -> str:
    return f"{PREFIX}{key.instance_id}-{key.attempt}"


def key_of(container: str) -> TaskKey | None:
    """None for a container that is not one of ours."""
    instance, dash, attempt = container.removeprefix(PREFIX).rpartition("-")
    if not container.startswith(PREFIX) or not dash or not instance or not attempt.isdigit():
        return None
    return TaskKey(InstanceId(instance), int(attempt))


def labels(plan: TaskPlan) -> dict[str, str]:
    """For people and their tools; the engine itself reads only the id."""
    return {
        "io.hedgerow.instance-id": plan.key.instance_id,
        "io.hedgerow.attempt": str(plan.key.attempt),
        "io.hedgerow.instance-number": str(plan.instance_number),
        "io.hedgerow.service-id": plan.spec.service_id,
        "io.hedgerow.service-name": plan.spec.name,
        "io.hedgerow.application-id": plan.spec.application_id,
    }
