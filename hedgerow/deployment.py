"""How far a deployment is, from the service documents of the API. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_common.model.lifecycle import Desired, Health, Reason, State

Document = Mapping[str, Any]

STUCK = frozenset({
    Reason.NO_CANDIDATE, Reason.NO_CAPACITY, Reason.NOT_ELIGIBLE, Reason.TARGET_NOT_FOUND, Reason.TARGET_NOT_READY,
    Reason.TARGET_NO_CAPACITY, Reason.IMAGE_NOT_FOUND, Reason.IMAGE_REFUSED, Reason.START_FAILED,
    Reason.BACKING_OFF, Reason.PORT_TAKEN, Reason.RUNTIME_MISSING,
})  # fmt: skip
"""Reasons that rarely go away by themselves: worth a few seconds of patience, not the whole time-out."""


ENDED = frozenset({"done", "rolled_back"})
"""States of a rollout after which nothing more happens."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one service. `failed` and `stuck` are sentences; `waiting` says what the others are at.

    `rollout` says how a change of a running version goes, "" for a first one.
    """

    name: str
    wanted: int
    ready: int
    failed: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    rollout: str = ""
    is_rolling: bool = False
    needs_promotion: bool = False

    @property
    def is_done(self) -> bool:
        return self.ready >= self.wanted and not self.failed and not self.is_rolling


def progress_of(service: Document, revision: int | None = None) -> Progress:
    """`revision` is the one that was asked for: when the root has gone back from it, that is a failure."""
    instances = [instance for instance in service["instance_list"] if instance.get("desired") != Desired.STOPPED]
    rollout = service.get("rollout") or {}
    ready = [instance for instance in instances if _is_ready(instance, service)]
    others = [instance for instance in instances if not _is_ready(instance, service)]
    failed = [each for each in others if each["status"] == State.FAILED and _is_current(each, service)]
    stuck = [
        each for each in others if each not in failed and each.get("reason") in STUCK and _is_current(each, service)
    ]
    waiting = [instance for instance in others if instance not in failed and instance not in stuck]
    return Progress(
        name=short_name(service),
        wanted=service["replicas"],
        ready=len(ready),
        failed=(*_rollout_failure(service, rollout, revision), *_sentences(service, failed)),
        stuck=_sentences(service, stuck),
        waiting=_sentences(service, waiting),
        rollout=_rollout_sentence(rollout),
        is_rolling=bool(rollout.get("from")) and rollout["state"] not in ENDED,
        needs_promotion=rollout.get("state") == "waiting",
    )


def rollout_state(service: Document) -> str:
    """In a line: state, revision, how many are well, and why."""
    rollout = service.get("rollout")
    if not rollout:
        return ""
    counts = "" if rollout["state"] in ENDED else f", {rollout['healthy']} of {rollout['total']} are well"
    reason = f": {rollout['reason']}" if rollout["reason"] else ""
    return f"{rollout['state']}, revision {rollout['to']}{counts}{reason}"


def _rollout_sentence(rollout: Document) -> str:
    if not rollout.get("from") or rollout["state"] in ENDED:
        return ""
    return f"{rollout['state']} to revision {rollout['to']}: {rollout['healthy']} of {rollout['total']} are well"


def _rollout_failure(service: Document, rollout: Document, revision: int | None) -> tuple[str, ...]:
    name = short_name(service)
    if revision is not None and service.get("spec_revision", revision) > revision:
        return (f"{name} did not stay at revision {revision}: {rollout.get('reason') or 'it was changed again'}",)
    if rollout.get("state") in ("paused", "failed") and rollout.get("from"):
        return (f"The update of {name} is {rollout['state']}: {rollout.get('reason')}",)
    return ()


def short_name(service: Document) -> str:
    return f"{service['app_name']}.{service['microservice_name']}"


def endpoints(service: Document) -> tuple[str, ...]:
    """Where its running instances answer, as host:port."""
    host_ports = [mapping.partition(":")[0] for mapping in str(service.get("port") or "").split(";") if mapping]
    addresses = dict.fromkeys(
        instance.get("publicip") or "127.0.0.1"
        for instance in service["instance_list"]
        if instance["status"] == State.RUNNING
    )
    return tuple(f"{_bracketed(address)}:{port}" for address in addresses for port in host_ports)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _is_current(instance: Document, service: Document) -> bool:
    is_newest: bool = instance.get("spec_revision") == service.get("spec_revision")
    return bool(instance.get("is_current", is_newest))


def _is_ready(instance: Document, service: Document) -> bool:
    if not _is_current(instance, service):
        return False
    if service.get("one_shot"):
        return bool(instance["status"] == State.COMPLETED)
    return bool(instance["status"] == State.RUNNING and instance.get("health", Health.HEALTHY) == Health.HEALTHY)


def _sentences(service: Document, instances: Iterable[Document]) -> tuple[str, ...]:
    return tuple(
        f"{short_name(service)}.{instance['instance_number']} is {instance['status']}"
        + (f": {instance['status_detail']}" if instance.get("status_detail") else "")
        for instance in instances
    )
