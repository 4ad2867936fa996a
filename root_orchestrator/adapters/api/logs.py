"""What instances wrote, asked of their clusters."""

import logging
from collections.abc import Mapping
from typing import Any

from edge_common.model.errors import HedgerowError, NotFound, Temporary
from edge_common.model.lifecycle import State
from root_orchestrator.adapters.api.parts import Parts
from root_orchestrator.core.records import ServiceIntent
from root_orchestrator.core.whereabouts import Instance, Whereabouts, cluster_of, instances_of

logger = logging.getLogger(__name__)

MAX_LINES = 10_000
ANSWER_S = 5.0
_TAILS = 10
_TAIL_LINES = 20
_TAIL_CHARACTERS = 1024
_TAILS_S = 1.0
_WITH_OUTPUT = (State.RUNNING, State.COMPLETED, State.FAILED)


def instance_log(parts: Parts, instance: Instance, lines: int, cursor: int | None) -> dict[str, Any]:
    """Raises NotFound when it is on no node yet; Unreachable when its cluster or its node does not answer."""
    answer = _ask(parts, instance, lines, cursor, ANSWER_S)
    return {"text": str(answer.get("text", "")), "cursor": answer.get("cursor", 0)}


def tails(parts: Parts, service: ServiceIntent, where: Whereabouts) -> dict[int, str]:
    """The end of the output of the first few instances, as far as it comes within a second in all."""
    found: dict[int, str] = {}
    until_s = parts.clock.monotonic_s() + _TAILS_S
    talking = [i for i in instances_of(service, where) if i.heard and i.heard.observation.state in _WITH_OUTPUT]
    for instance in talking[:_TAILS]:
        left_s = until_s - parts.clock.monotonic_s()
        if left_s <= 0:
            break
        try:
            answer = _ask(parts, instance, _TAIL_LINES, None, left_s)
        except Temporary as error:
            logger.info("logs service=%s stopped asking: %s", service.service_id, error)
            break
        except HedgerowError as error:
            logger.debug("logs service=%s instance=%d: %s", service.service_id, instance.number, error)
            continue
        found[instance.number] = str(answer.get("text", ""))[-_TAIL_CHARACTERS:]
    return found


def _ask(parts: Parts, instance: Instance, lines: int, cursor: int | None, timeout_s: float) -> Mapping[str, Any]:
    cluster_id = cluster_of(instance)
    if cluster_id is None or instance.assignment is None:
        raise NotFound(f"Instance {instance.number} is on no cluster yet, so it has no output.")
    body = {
        "service_id": instance.assignment.service_id,
        "instance_id": instance.assignment.instance_id,
        "node_id": instance.heard.observation.node_id if instance.heard else "",
        "tail": lines,
        "cursor": cursor,
    }
    return parts.clusters.request(cluster_id, "logs", body, timeout_s)
