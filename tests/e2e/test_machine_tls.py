"""One machine with TLS on every door, and its way there and back while a container runs."""

import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.parts.stack import Stack, sla, stack

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def secured() -> Iterator[Stack]:
    with stack(has_tls=True) as running:
        yield running


def test_a_service_runs_and_every_door_speaks_tls(secured: Stack) -> None:
    secured.apply(sla("web", replicas=2))
    secured.wait_running(2)
    secured.cli("status")
    for name, part in (("api", "root"), ("cluster", "cluster"), ("mqtt", "root"), ("cluster-mqtt", "cluster")):
        context = ssl.create_default_context(cafile=str(secured.home / "data" / part / "ca" / "ca.crt"))
        with (
            socket.create_connection(("127.0.0.1", secured.ports[name]), timeout=5) as raw,
            context.wrap_socket(raw, server_hostname="hedgerow-parent") as connection,
        ):
            assert connection.version() == "TLSv1.3"


def test_a_second_up_changes_nothing(secured: Stack) -> None:
    before = secured.pids()
    assert "everything ran already" in secured.cli("up").stdout
    assert secured.pids() == before


def test_to_plain_and_back_with_the_same_children_and_containers(secured: Stack) -> None:
    secured.apply(sla("web", replicas=2))
    secured.wait_running(2)
    tasks = secured.tasks()
    nodes = _node_ids(secured)
    for option in ("--no-tls", "--tls"):
        secured.cli("up", option, timeout_s=120)
        secured.has_tls, secured._client = option == "--tls", None
        secured.login()
        secured.wait_running(2)
        assert secured.tasks() == tasks
        assert _node_ids(secured) == nodes


def _node_ids(running: Stack) -> list[str]:
    return [node["node_id"] for node in running.api.request("GET", "/api/nodes")["nodes"]]
