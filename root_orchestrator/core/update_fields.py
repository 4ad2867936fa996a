"""What the update policy of an SLA means. Raises InvalidInput that names the field."""

import re

from edge_common.model.errors import InvalidInput
from edge_common.model.sla import UpdateSla, at
from root_orchestrator.core.spec_fields import choice
from root_orchestrator.core.updates import OnFailure, Order, Share, Strategy, UpdatePolicy

MAX_SLOTS = 100_000
_SHARE = re.compile(r"(\d{1,6})(%?)", re.ASCII)


def update_policy(sla: UpdateSla, field: str) -> UpdatePolicy:
    default = UpdatePolicy()
    policy = UpdatePolicy(
        strategy=choice(sla.strategy or default.strategy, Strategy, at(field, "strategy")),
        order=choice(sla.order or default.order, Order, at(field, "order")),
        max_unavailable=_share(sla.max_unavailable, at(field, "max_unavailable")),
        max_surge=_share(sla.max_surge, at(field, "max_surge")) or default.max_surge,
        min_healthy_s=default.min_healthy_s if sla.min_healthy is None else sla.min_healthy,
        deadline_s=default.deadline_s if sla.deadline is None else sla.deadline,
        on_failure=choice(sla.on_failure or default.on_failure, OnFailure, at(field, "on_failure")),
        canary=_share(sla.canary, at(field, "canary")) or default.canary,
        promote_after_s=sla.promote_after,
    )
    _check_belongs(sla, policy, field)
    return policy


def _check_belongs(sla: UpdateSla, policy: UpdatePolicy, field: str) -> None:
    if sla.canary and policy.strategy is not Strategy.CANARY:
        where = at(field, "canary")
        raise InvalidInput(f"{where}: belongs to the strategy canary", where)
    if sla.promote_after is not None and policy.strategy is Strategy.ROLLING:
        where = at(field, "promote_after")
        raise InvalidInput(f"{where}: belongs to the strategies canary and blue_green", where)
    if policy.strategy is Strategy.BLUE_GREEN and policy.order is Order.STOP_FIRST:
        where = at(field, "order")
        raise InvalidInput(f"{where}: blue_green starts all new instances first; leave it out", where)
    is_empty = policy.max_unavailable is not None and not policy.max_unavailable.number
    if is_empty and policy.order is Order.STOP_FIRST:
        where = at(field, "max_unavailable")
        raise InvalidInput(f"{where}: must be at least 1 when the old instance stops first", where)
    if policy.min_healthy_s >= policy.deadline_s:
        where = at(field, "deadline")
        raise InvalidInput(f"{where}: must be longer than min_healthy ({policy.min_healthy_s:g} s)", where)


def _share(text: str, field: str) -> Share | None:
    if not text:
        return None
    match = _SHARE.fullmatch(text)
    number = int(match[1]) if match else -1
    if match is None or number > (100 if match[2] else MAX_SLOTS):
        raise InvalidInput(f'{field}: must be a number of instances or a percentage, such as 2 or "25%"', field)
    return Share(number, bool(match[2]))
