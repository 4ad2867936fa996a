"""What the probes of an SLA mean. Each raises InvalidInput that names the field."""

import re

from edge_common.model.errors import InvalidInput
from edge_common.model.probes import Probe, ProbeKind, Probes
from edge_common.model.sla import ProbeSla, ProbesSla, at
from root_orchestrator.core.spec_fields import choice

_PATH = re.compile(r"/[!-~]*")
_MEANT_FOR = {
    "port": (ProbeKind.HTTP, ProbeKind.TCP, ProbeKind.GRPC),
    "path": (ProbeKind.HTTP,),
    "command": (ProbeKind.EXEC,),
    "service": (ProbeKind.GRPC,),
}


def probes(sla: ProbesSla, field: str, *, is_one_shot: bool) -> Probes:
    """A one-shot ends by itself, so there is nothing to be ready for."""
    if is_one_shot and (sla.startup or sla.readiness or sla.liveness):
        raise InvalidInput(f"{field}: a one-shot has no probes; it is well when it ends with exit code 0", field)
    return Probes(
        startup=_probe(sla.startup, at(field, "startup")),
        readiness=_probe(sla.readiness, at(field, "readiness")),
        liveness=_liveness(sla.liveness, at(field, "liveness")),
    )


def _liveness(sla: ProbeSla | None, field: str) -> Probe | None:
    if sla is not None and sla.successes not in (None, 1):
        where = at(field, "successes")
        raise InvalidInput(f"{where}: must be 1; one success is enough to go on living", where)
    return _probe(sla, field)


def _probe(sla: ProbeSla | None, field: str) -> Probe | None:
    if sla is None:
        return None
    kind = choice(sla.type, ProbeKind, at(field, "type"))
    _check_belongs(sla, kind, field)
    default = Probe(kind)
    return Probe(
        kind,
        port=sla.port or 0,
        path=sla.path or default.path,
        command=sla.command,
        service=sla.service,
        initial_delay_s=_or(sla.delay, default.initial_delay_s),
        interval_s=_or(sla.interval, default.interval_s),
        timeout_s=_or(sla.timeout, default.timeout_s),
        failures=default.failures if sla.failures is None else sla.failures,
        successes=default.successes if sla.successes is None else sla.successes,
    )


def _check_belongs(sla: ProbeSla, kind: ProbeKind, field: str) -> None:
    for name, kinds in _MEANT_FOR.items():
        where = at(field, name)
        if getattr(sla, name) and kind not in kinds:
            raise InvalidInput(f"{where}: has no meaning for a probe of type {kind}", where)
    needed = "command" if kind is ProbeKind.EXEC else "port"
    if not getattr(sla, needed):
        where = at(field, needed)
        raise InvalidInput(f"{where}: is missing; a probe of type {kind} needs it", where)
    if sla.path and not _PATH.fullmatch(sla.path):
        where = at(field, "path")
        raise InvalidInput(f"{where}: must begin with a slash and have no blanks in it", where)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
