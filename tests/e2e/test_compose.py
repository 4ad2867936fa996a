"""The compose files on a real Docker engine: from `build` to RUNNING, over restarts, and down with nothing left."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.composed import PROJECT, Compose, Root, brought_up, worker
from tests.parts.docker import DockerHost, docker_host
from tests.parts.stack import sla
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

ONE_DEVICE = PROJECT / "run-a-cluster" / "1-DOC.yaml"
ROOT = PROJECT / "root_orchestrator" / "docker-compose.yml"
CLUSTER = PROJECT / "cluster_orchestrator" / "docker-compose.yml"
ROOT_PORT = 10000
STORE_PORT = 27017


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerHost]:
    """With all images built; what it did to this machine is gone afterwards."""
    with docker_host() as host:
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        host.run(str(PROJECT / "run-a-cluster" / "build-base-images"), timeout_s=400, environment=pip)
        Compose(host, "one", ONE_DEVICE)("build", "-q", timeout_s=300)
        yield host
    for command in (["ip", "netns"], ["ip", "link"], ["findmnt", "-rn"]):
        left = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert host.name not in left
        assert host.name.removeprefix("hedgerow-docker-") not in left
    assert host.cgroups() == []


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("image") / "hello.tar"
    builder = PROJECT / "examples" / "hello" / "build.py"
    subprocess.run([sys.executable, str(builder), str(file)], check=True, timeout=60)
    return file


def test_one_device(engine: DockerHost, archive: Path, tmp_path: Path) -> None:
    compose = Compose(engine, "one", ONE_DEVICE, {"CLUSTER_NAME": "My_Awesome_Cluster"})
    with brought_up(compose, "store", "root-broker", "cluster-broker", "root", "cluster"):
        root = Root(compose, ROOT_PORT, tmp_path)
        eventually(lambda: root.ready_clusters() == ["My_Awesome_Cluster"], message="a ready cluster")
        with pytest.raises(OSError, match=r"refused|timed out"):
            socket.create_connection((engine.address, STORE_PORT), 2.0)
        assert len(containers(compose)) == 5
        assert root_processes(compose) == []
        with worker(root.join_line("--cluster", "My_Awesome_Cluster"), archive) as node:
            root.api.request("PUT", "/api/apply", json=sla("steady", replicas=2))
            root.wait_running(2)
            before, running = root.instances(), node.tasks()
            assert len(running) == 2

            compose("down", "-t", "10")
            assert node.tasks() == running
            compose.up()
            compose.wait_healthy("root", "cluster")
            root.log_in_anew()
            eventually(lambda: root.ready_clusters() == ["My_Awesome_Cluster"], 30.0, message="a ready cluster")
            root.wait_running(2)
            assert [each["instance_id"] for each in root.instances()] == [each["instance_id"] for each in before]
            assert node.tasks() == running

            root.api.request("PUT", "/api/apply", json=sla("steady", replicas=3))
            root.wait_running(3)
            assert node.tasks().items() >= running.items()


def test_a_root_and_a_cluster_apart(engine: DockerHost, archive: Path, tmp_path: Path) -> None:
    root_project = Compose(engine, "upper", ROOT)
    with brought_up(root_project, "store", "broker", "root"):
        root = Root(root_project, ROOT_PORT, tmp_path)
        token = root.command("token", "create", "--uses", "1")
        given = {
            "CLUSTER_NAME": "far",
            "CLUSTER_LOCATION": "48.1,11.6",
            "SYSTEM_MANAGER_URL": engine.address,
            "CLUSTER_JOIN_TOKEN": token_in(token),
        }
        with brought_up(Compose(engine, "lower", CLUSTER, given), "store", "broker", "cluster"):
            eventually(lambda: root.ready_clusters() == ["far"], message="a ready cluster")
            with worker(root.join_line("--cluster", "far"), archive) as node:
                root.api.request("PUT", "/api/apply", json=sla("steady"))
                root.wait_running(1)
                assert len(node.tasks()) == 1


def root_processes(compose: Compose) -> list[str]:
    """What runs as root in the containers."""
    columns = ("-o", "pid,uid,args")
    listed = [compose.host.run("docker", "top", name, *columns).splitlines()[1:] for name in containers(compose)]
    return [line for lines in listed for line in lines if line.split()[1] == "0"]


def containers(compose: Compose) -> list[str]:
    return compose.host.run("docker", "ps", "-q", "--filter", f"name={compose.name}_").split()


def token_in(printed: str) -> str:
    return next(
        word for line in printed.splitlines() for word in line.replace("=", " ").split() if word.count(".") == 2
    )
