"""How far a rollout is and which versions a service had, as the API shows it."""

from typing import Any

from edge_common.model.lifecycle import Desired, Health, State
from root_orchestrator.core.records import ServiceIntent
from root_orchestrator.core.updates import Phase, Version
from root_orchestrator.core.versions import differences, revisions_like
from root_orchestrator.core.whereabouts import Whereabouts

View = dict[str, Any]

_OF_ROLLBACKS = {Phase.ROLLING: "rolling_back", Phase.DONE: "rolled_back"}


def rollout_view(service: ServiceIntent, where: Whereabouts) -> View:
    """`updated` and `healthy` count slots with an instance of the newest spec."""
    rollout, policy = service.rollout, service.update
    newest = revisions_like(service, service.spec)
    updated = {
        each.instance_number: where.heard.get(each.instance_id)
        for each in where.assignments.get(service.service_id, ())
        if each.desired is Desired.RUNNING and each.spec_revision in newest and each.instance_number in service.slots
    }
    seen = [heard.observation for heard in updated.values() if heard is not None]
    healthy = sum(
        each.state is State.COMPLETED
        or (each.state is State.RUNNING and each.health not in (Health.STARTING, Health.UNHEALTHY))
        for each in seen
    )
    promotes_at = None
    if rollout.phase is Phase.WAITING and policy.promote_after_s is not None:
        promotes_at = rollout.waiting_since_s + policy.promote_after_s
    return {
        "state": _OF_ROLLBACKS.get(rollout.phase, str(rollout.phase)) if rollout.is_rollback else str(rollout.phase),
        "strategy": policy.strategy,
        "from": rollout.stable_revision if rollout.phase is not Phase.DONE else service.spec_revision,
        "to": service.spec_revision,
        "updated": len(updated),
        "healthy": healthy,
        "total": len(service.slots),
        "reason": rollout.reason,
        "started_at": rollout.started_at_s,
        "promotes_at": promotes_at,
    }


def history_view(service: ServiceIntent) -> list[View]:
    """Newest first; `changes` are against the version before it, as far as that is kept."""
    present = Version(
        service.spec_revision, service.spec, service.sla, service.spec_since_s or service.created_at_s,
        service.spec_cause,
    )  # fmt: skip
    versions = [*service.history, present]
    before = [None, *versions]
    return [
        _version_view(service, version, earlier)
        for version, earlier in reversed(list(zip(versions, before, strict=False)))
    ]


def _version_view(service: ServiceIntent, version: Version, before: Version | None) -> View:
    changes = differences(before.spec, version.spec) if before else {}
    return {
        "spec_revision": version.revision,
        "since": version.since_s,
        "cause": version.cause,
        "image": version.spec.image,
        "is_current": version.revision == service.spec_revision,
        "is_stable": version.revision == service.rollout.stable_revision,
        "changes": [{"field": name, "before": old, "after": new} for name, (old, new) in changes.items()],
        "sla": version.sla,
    }
