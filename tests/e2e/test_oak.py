"""Oakestra's own client, unchanged, against the whole system: what its users do with it, they do here."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.store import Running
from tests.parts.oak import Oak, oak_cli
from tests.parts.stack import Stack, sla
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

SPEAKER = ("/bin/busybox", "sh", "-c", "echo hello from the hedge; exec /bin/busybox sleep 100000")
VERBOSITIES = ("simple", "detailed", "exhaustive")


@pytest.fixture(scope="module")
def oak(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oak]:
    with oak_cli(tmp_path_factory.mktemp("oak"), running.stack.ports["api"]) as found:
        yield found


def write_sla(oak: Oak, name: str) -> str:
    document = sla(name, command=SPEAKER)
    # Oakestra's SLA knows no number of instances: each `deploy` adds one.
    del document["applications"][0]["microservices"][0]["replicas"]
    (oak.slas / f"{name}.json").write_text(json.dumps(document))
    return f"{name}.json"


def only_service(stack: Stack) -> dict[str, Any]:
    (service,) = stack.services()
    return service


def statuses(stack: Stack) -> list[str]:
    return [instance["status"] for instance in stack.instances()]


def test_created_without_deploying(system: Stack, oak: Oak) -> None:
    assert "Success" in oak("application", "create", "--sla-file-name", write_sla(oak, "quiet"))
    assert only_service(system)["instance_list"] == []
    assert "quiet" in oak("application", "show")
    assert "No services exist" not in oak("service", "show")


def test_the_life_of_an_application(system: Stack, oak: Oak) -> None:
    oak("application", "create", "--sla-file-name", write_sla(oak, "shop"), "-d")
    system.wait_running(1)
    service = only_service(system)
    service_id, application_id = service["microserviceID"], service["applicationID"]
    for verbosity in VERBOSITIES:
        shown = oak("application", "show", "-v", verbosity)
        assert "shop" in shown
        assert application_id in shown
        shown = oak("service", "show", "-v", verbosity)
        assert service_id in shown
        assert "RUNNING" in shown

    assert "Success" in oak("service", "deploy", service_id)
    system.wait_running(2)
    inspected = eventually(lambda: inspected_with_logs(oak, service_id, 2), message="the logs of both instances")
    assert inspected.count("RUNNING") == 3  # the service and its two instances
    assert service["instance_list"][0]["cluster_id"] in inspected

    assert "Success" in oak("service", "undeploy", "--service-id", service_id, "--instance-id", "0")
    system.wait_running(1)
    assert only_service(system)["instance_list"][0]["instance_number"] == 1
    assert len(system.containers()) == 1

    oak("service", "undeploy")
    eventually(lambda: statuses(system) == [] and not system.containers(), message="all undeployed")
    assert service_id in oak("service", "show", application_id)

    assert "Success" in oak("application", "delete", application_id)
    assert "No applications exist yet" in oak("application", "show")
    assert "No services exist yet" in oak("service", "show")
    assert system.api.request("GET", "/api/applications") == []


def inspected_with_logs(oak: Oak, service_id: str, count: int) -> str:
    said = oak("service", "inspect", service_id)
    return said if said.count("hello from the hedge") >= count else ""


def test_all_applications_are_deleted_at_once(system: Stack, oak: Oak) -> None:
    for name in ("one", "two"):
        oak("application", "create", "--sla-file-name", write_sla(oak, name))
    oak("application", "delete", "-y")
    assert system.api.request("GET", "/api/applications") == []


def test_clusters(system: Stack, oak: Oak) -> None:
    listed = oak("cluster", "list")
    assert "local" in listed
    assert "container" in listed
    assert "Connected" in oak("cluster", "list", "-all")
    shown = oak("cluster", "info", "local")
    (cluster,) = system.api.request("GET", "/api/clusters")
    assert "Active Nodes" in shown
    assert str(cluster["total_cpu_cores"]) in shown
    assert "Connected" in shown


def test_its_blank_sla(system: Stack, oak: Oak) -> None:
    oak("application", "create", "--sla-file-name", "blank_app_without_services.json", "-d")
    (application,) = system.api.request("GET", "/api/applications")
    assert application["application_name"] == "blank"
    assert application["microservices"] == []


def test_its_default_sla_is_taken_and_says_what_is_missing(system: Stack, oak: Oak) -> None:
    """nginx asks for a fixed service address, which needs an overlay; the image of curl is on a public registry."""
    oak("application", "create", "--sla-file-name", "default_app_with_services.json", "-d")

    def refused() -> dict[str, Any]:
        named = {service["microservice_name"]: service for service in system.services()}
        return named if named["nginx"]["status"] == "NoActiveClusterWithCapacity" else {}

    nginx = eventually(refused, message="the refusal")["nginx"]
    assert "overlay" in nginx["status_detail"]
    assert "service address" in nginx["status_detail"]
    assert nginx["status"] in oak("service", "show")
