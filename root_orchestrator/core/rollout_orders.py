"""What an operator may order of a rollout. Each raises Conflict when there is nothing of the kind to order."""

from dataclasses import replace
from enum import StrEnum

from edge_common.model.errors import Conflict
from root_orchestrator.core.records import ServiceIntent
from root_orchestrator.core.rollout import promoted, resumed
from root_orchestrator.core.updates import Phase, Strategy


class RolloutOrder(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"


def ordered(service: ServiceIntent, order: RolloutOrder, now_s: float) -> ServiceIntent:
    match order:
        case RolloutOrder.PAUSE:
            return _paused(service)
        case RolloutOrder.RESUME:
            return _resumed(service, now_s)
        case RolloutOrder.PROMOTE:
            return _promoted(service, now_s)


def _paused(service: ServiceIntent) -> ServiceIntent:
    rollout = service.rollout
    if rollout.phase in (Phase.DONE, Phase.PAUSED):
        raise Conflict(f"Service {service.spec.name} has no rollout to pause; it is {rollout.phase}.")
    return replace(service, rollout=replace(rollout, phase=Phase.PAUSED, reason="An operator paused it."))


def _resumed(service: ServiceIntent, now_s: float) -> ServiceIntent:
    if service.rollout.phase is not Phase.PAUSED:
        raise Conflict(f"Service {service.spec.name} has no paused rollout; it is {service.rollout.phase}.")
    return replace(service, rollout=resumed(service.rollout, now_s))


def _promoted(service: ServiceIntent, now_s: float) -> ServiceIntent:
    rollout = service.rollout
    is_waited_for = service.update.strategy is not Strategy.ROLLING and not rollout.is_promoted
    if not is_waited_for or rollout.is_rollback or rollout.phase in (Phase.DONE, Phase.FAILED):
        raise Conflict(f"Service {service.spec.name} has no rollout that waits for a promotion.")
    return replace(service, rollout=promoted(rollout, now_s))
