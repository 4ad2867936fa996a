from typing import Any

import pytest

from edge_common.model.errors import InvalidInput
from edge_common.model.probes import Probe, ProbeKind, Probes
from edge_common.model.service import ServiceSpec
from edge_common.wire.sla import parse_sla
from root_orchestrator.core.admission import admit
from tests.unit.root.world import microservice, sla


def spec_of(**fields: Any) -> ServiceSpec:
    (application,) = admit(parse_sla(sla(microservice(**fields))), "alice")
    return application.services[0].spec


def test_without_probes_there_are_none() -> None:
    assert spec_of().probes == Probes()


def test_each_kind_with_its_fields_and_its_defaults() -> None:
    probes = {
        "startup": {"type": "exec", "command": ["test", "-e", "/up"], "failures": 30, "interval": 2},
        "readiness": {"type": "http", "port": 8080, "path": "/ready?deep=1", "successes": 2, "delay": 1.5},
        "liveness": {"type": "GRPC", "port": 9000, "service": "db", "timeout": 0.5},
    }
    assert spec_of(probes=probes).probes == Probes(
        startup=Probe(ProbeKind.EXEC, command=("test", "-e", "/up"), failures=30, interval_s=2.0),
        readiness=Probe(ProbeKind.HTTP, 8080, "/ready?deep=1", successes=2, initial_delay_s=1.5),
        liveness=Probe(ProbeKind.GRPC, 9000, service="db", timeout_s=0.5),
    )
    assert spec_of(probes={"readiness": {"type": "tcp", "port": 1}}).probes.readiness == Probe(ProbeKind.TCP, 1)


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        ({"type": "udp", "port": 1}, "readiness.type: must be one of http, tcp, exec, grpc"),
        ({"type": "http"}, "readiness.port: is missing; a probe of type http needs it"),
        ({"type": "exec"}, "readiness.command: is missing; a probe of type exec needs it"),
        ({"type": "tcp", "port": 1, "path": "/a"}, "readiness.path: has no meaning for a probe of type tcp"),
        ({"type": "exec", "command": ["a"], "port": 1}, "readiness.port: has no meaning for a probe of type exec"),
        ({"type": "http", "port": 1, "path": "a"}, "readiness.path: must begin with a slash and have no blanks in it"),
        ({"type": "http", "port": 1, "path": "/a\r\nX: y"}, "readiness.path: must begin with a slash"),
        ({"type": "tcp", "port": 0}, "readiness.port: must be a whole number from 1 to 65535"),
        ({"type": "tcp", "port": 1, "failures": 0}, "readiness.failures: must be a whole number from 1 to 1000"),
        ({"type": "tcp", "port": 1, "timeout": 0}, "readiness.timeout: must be a number from 0.05 to 60"),
        ({"type": "tcp", "port": 1, "intervall": 2}, "readiness.intervall: unknown field; did you mean interval?"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_path(probe: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        spec_of(probes={"readiness": probe})
    assert str(caught.value).startswith(f"applications[0].microservices[0].probes.{message}")


def test_a_liveness_probe_lives_with_one_success() -> None:
    with pytest.raises(InvalidInput, match="successes: must be 1"):
        spec_of(probes={"liveness": {"type": "tcp", "port": 1, "successes": 2}})


def test_a_one_shot_has_no_probes() -> None:
    with pytest.raises(InvalidInput, match="a one-shot has no probes"):
        spec_of(one_shot=True, probes={"readiness": {"type": "tcp", "port": 1}})
