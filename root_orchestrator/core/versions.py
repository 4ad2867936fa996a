"""The specs that a service had, and what it takes to want one of them again."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from edge_common.model.errors import Conflict, NotFound
from edge_common.model.service import ServiceSpec
from root_orchestrator.core.records import ServiceIntent
from root_orchestrator.core.updates import Phase, Rollout, Version

MAX_VERSIONS = 10
"""Earlier ones that are kept; the last one that was well as a whole is kept beyond that."""
MAX_CHARACTERS = 1_000_000
"""Of all of them together, as Python spells them: a service's document must stay below the database's limit."""


def with_spec(
    service: ServiceIntent, spec: ServiceSpec, sla: dict[str, Any], now_s: float, cause: str = ""
) -> ServiceIntent:
    """The service with another spec: a new revision, the one before in its history, and a rollout that begins."""
    before = Version(service.spec_revision, service.spec, service.sla, service.spec_since_s, service.spec_cause)
    stable = service.rollout.stable_revision
    return replace(
        service,
        spec=spec,
        sla=sla,
        spec_revision=service.spec_revision + 1,
        spec_since_s=now_s,
        spec_cause=cause,
        history=_bounded((*service.history, before), stable),
        rollout=Rollout(started_at_s=now_s, progress_at_s=now_s, stable_revision=stable),
    )


def spec_of(service: ServiceIntent, revision: int) -> ServiceSpec | None:
    """None: so old that it is forgotten."""
    if revision == service.spec_revision:
        return service.spec
    return next((each.spec for each in service.history if each.revision == revision), None)


def revisions_like(service: ServiceIntent, spec: ServiceSpec | None) -> frozenset[int]:
    """Those that are this very spec: a rollback leaves alone what runs it already."""
    alike = [each.revision for each in service.history if each.spec == spec]
    return frozenset((*alike, service.spec_revision) if service.spec == spec else alike)


def stable_spec(service: ServiceIntent) -> ServiceSpec | None:
    return spec_of(service, service.rollout.stable_revision)


def can_go_back(service: ServiceIntent) -> bool:
    """Whether there is another spec that was well as a whole."""
    stable = stable_spec(service)
    return stable is not None and stable != service.spec


def version(service: ServiceIntent, revision: int | None) -> Version:
    """None is the last that was well as a whole, or else the one before. Raises NotFound or Conflict."""
    if revision == service.spec_revision:
        raise Conflict(f"Service {service.spec.name} is at revision {revision} already.")
    if revision is None:
        stable = service.rollout.stable_revision
        wanted = stable if can_go_back(service) else max((each.revision for each in service.history), default=0)
    else:
        wanted = revision
    found = next((each for each in service.history if each.revision == wanted), None)
    if found is None:
        known = ", ".join(str(each.revision) for each in service.history) or "none"
        asked = "an earlier revision" if revision is None else f"revision {revision}"
        raise NotFound(f"Service {service.spec.name} has not kept {asked}; it has kept {known}.")
    return found


def rolled_back(
    service: ServiceIntent, to: Version, spec: ServiceSpec, now_s: float, reason: str = ""
) -> ServiceIntent:
    """`spec` is that of `to`, with the present versions of the values that it names. Policy and replicas stay."""
    kept = {name: service.sla[name] for name in ("update", "replicas") if name in service.sla}
    sla = {name: value for name, value in to.sla.items() if name not in ("update", "replicas")} | kept
    cause = f"Back to revision {to.revision}" + (f": {reason}" if reason else ".")
    after = with_spec(service, spec, sla, now_s, cause)
    return replace(after, rollout=replace(after.rollout, phase=Phase.ROLLING, is_rollback=True, reason=cause))


def differences(before: ServiceSpec, after: ServiceSpec) -> dict[str, tuple[Any, Any]]:
    """What differs, by the model's names, with dots between: the value before and the value after."""
    return _differences(asdict(before), asdict(after), "")


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found |= _differences(old, new, f"{path}{name}.")
        elif old != new:
            found[f"{path}{name}"] = (old, new)
    return dict(sorted(found.items()))


def _bounded(history: tuple[Version, ...], stable: int) -> tuple[Version, ...]:
    """The newest, and the stable one in any case."""
    kept: list[Version] = []
    characters = 0
    for each in reversed(history):
        characters += len(repr(each.sla)) + len(repr(each.spec))
        fits = len(kept) < MAX_VERSIONS and (characters <= MAX_CHARACTERS or not kept)
        if fits or each.revision == stable:
            kept.append(each)
    return tuple(reversed(kept))
