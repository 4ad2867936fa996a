"""Waits until services are as wanted, and shows how far they are."""

import time
from collections.abc import Mapping, Sequence

from rich.live import Live
from rich.text import Text

from edge_common.model.errors import Broken
from hedgerow.cli.output import say, stderr, stdout
from hedgerow.cli.session import Api
from hedgerow.deployment import Document, Progress, endpoints, progress_of, short_name

STUCK_PATIENCE_S = 10.0
SETTLE_S = 0.5
"""What dies right after its start is seen running for a moment: only the same attempts, seen twice, count."""
_FIRST_POLL_S = 0.05
_LONGEST_POLL_S = 1.0


def wait_for_services(
    api: Api, service_ids: Sequence[str], timeout_s: float, revisions: Mapping[str, int] | None = None
) -> Sequence[Document]:
    """Raises Broken with the reason when one fails, stays stuck, or is not ready in time. What was asked for stays.

    One that waits for a promotion has come as far as it comes by itself. `revisions` are those that were asked for.
    """
    asked = revisions or {}
    started_s = time.monotonic()
    stuck_since_s: dict[str, float] = {}
    poll_s = _FIRST_POLL_S
    settled: tuple[str, ...] = ()
    with Live(console=stderr(), transient=True, refresh_per_second=8) as live:
        while True:
            services = [api.get(f"/api/service/{service_id}", {"logs": False}) for service_id in service_ids]
            steps = [progress_of(service, asked.get(service["microserviceID"])) for service in services]
            now_s = time.monotonic()
            live.update(_picture(steps, now_s - started_s))
            is_done = all(step.is_done or (step.needs_promotion and not step.failed) for step in steps)
            if is_done and settled == _attempts(services):
                break
            settled = _attempts(services) if is_done else ()
            if not is_done:
                _give_up(steps, stuck_since_s, now_s, now_s - started_s >= timeout_s, timeout_s)
            time.sleep(SETTLE_S if is_done else poll_s)
            poll_s = min(poll_s * 1.3, _LONGEST_POLL_S)
    _tell(services, steps)
    return services


def _attempts(services: Sequence[Document]) -> tuple[str, ...]:
    return tuple(
        f"{instance.get('instance_id')} {instance.get('attempt')}"
        for service in services
        for instance in service["instance_list"]
    )


def _give_up(
    steps: Sequence[Progress], stuck_since_s: dict[str, float], now_s: float, is_late: bool, timeout_s: float
) -> None:
    for step in steps:
        if step.failed:
            raise Broken(_sentence(step.failed))
        if not step.stuck:
            stuck_since_s.pop(step.name, None)
        elif now_s - stuck_since_s.setdefault(step.name, now_s) >= STUCK_PATIENCE_S:
            raise Broken(f"{_sentence(step.stuck)} It stays wanted and starts as soon as it can.")
    if is_late:
        step = next(step for step in steps if not step.is_done)
        said = _sentence((*step.stuck, *step.waiting)) or "No instance was made yet."
        raise Broken(f"{step.name} has {step.ready} of {step.wanted} ready after {timeout_s:g} s. {said}")


def _sentence(reasons: Sequence[str]) -> str:
    if not reasons:
        return ""
    first = reasons[0].rstrip(".")
    return f"{first}." if len(reasons) == 1 else f"{first}; and {len(reasons) - 1} more like it."


def _picture(steps: Sequence[Progress], elapsed_s: float) -> Text:
    picture = Text()
    for step in steps:
        now = (*step.failed, *step.stuck, *step.waiting)
        picture.append(f"{step.name}  {step.ready}/{step.wanted}  ", style="green" if step.is_done else "yellow")
        picture.append(step.rollout or (now[0] if now else ""), style="dim")
        picture.append("\n")
    picture.append(f"{elapsed_s:.0f} s", style="dim")
    return picture


def _tell(services: Sequence[Document], steps: Sequence[Progress]) -> None:
    for service, step in zip(services, steps, strict=True):
        if step.needs_promotion:
            say(f"{step.name}: {step.rollout}. Go on with `hedgerow service promote {step.name}`, or roll back.")
            continue
        where = ", ".join(f"http://{endpoint}" if _is_tcp(service) else endpoint for endpoint in endpoints(service))
        say(f"{short_name(service)}: {step.ready} of {step.wanted} ready" + (f", answers at {where}" if where else ""))
    stdout().file.flush()


def _is_tcp(service: Document) -> bool:
    return "/udp" not in str(service.get("port"))
