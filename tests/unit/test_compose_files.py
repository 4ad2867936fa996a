"""What must hold for every service in the compose files, whatever it is."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.parts.composed import ENV_FILE, PROJECT

FILES = {
    "root_orchestrator/docker-compose.yml": {"10000", "10002"},
    "cluster_orchestrator/docker-compose.yml": {"10100", "10003"},
    "run-a-cluster/1-DOC.yaml": {"10000", "10100", "10003"},
}
"""File -> the ports that others need."""
ASKED = {"CLUSTER_NAME": "c", "SYSTEM_MANAGER_URL": "192.0.2.7"}
SECRET_WORDS = ("password", "token", "secret", "key")


def raw(file: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROJECT / file).read_text())
    return found


def services(file: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = raw(file)["services"]
    return found


def is_setup(service: dict[str, Any]) -> bool:
    return "setup" in service.get("command", ())


every_service = pytest.mark.parametrize(("file", "name"), [(file, name) for file in FILES for name in services(file)])


@pytest.mark.parametrize("file", FILES)
def test_only_the_ports_that_others_need_are_published(file: str) -> None:
    ports = [port.rpartition(":")[2] for service in services(file).values() for port in service.get("ports", ())]
    assert sorted(ports) == sorted(FILES[file])


@every_service
def test_a_service_can_do_no_more_than_it_needs(file: str, name: str) -> None:
    service = services(file)[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    if is_setup(service):
        assert service["network_mode"] == "none"
        assert service["cap_add"] == ["CHOWN", "DAC_OVERRIDE", "FOWNER"]
    else:
        assert "cap_add" not in service
        assert service.get("user", "image's") not in {"0", "0:0", "root"}
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]


@every_service
def test_no_secret_is_in_an_environment(file: str, name: str) -> None:
    service = services(file)[name]
    for variable, value in service.get("environment", {}).items():
        is_file = variable.endswith("_FILE")
        if variable == "CLUSTER_JOIN_TOKEN":
            assert is_setup(service)
            assert value == "${CLUSTER_JOIN_TOKEN:-}"
        elif any(word in variable.lower() for word in SECRET_WORDS):
            assert is_file and str(value).startswith("/etc/hedgerow/")
        assert "@" not in str(value) or str(value).startswith("mongodb://hedgerow@store:")


@every_service
def test_what_has_to_last_is_in_named_volumes(file: str, name: str) -> None:
    service, named = services(file)[name], set(raw(file)["volumes"])
    mounts = {mount.split(":")[1]: mount.split(":") for mount in service.get("volumes", ())}
    assert {parts[0] for parts in mounts.values()} <= named
    if name == "store":
        assert set(service["environment"]) == {"MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_ROOT_PASSWORD_FILE"}
        assert "/data/db" in mounts
        assert mounts["/etc/hedgerow"][2:] == ["ro"]
    if name.endswith("broker"):
        assert mounts["/mosquitto/config"][2:] == ["ro"]
        assert mounts["/mosquitto/data"][2:] == []
    if name in {"root", "cluster"}:
        assert service["environment"][f"HEDGEROW_{name.upper()}_DATA_DIR"].startswith("/var/lib/hedgerow/")
        assert mounts["/var/lib/hedgerow"][2:] == []


@every_service
def test_the_set_up_comes_first(file: str, name: str) -> None:
    service, all_of_them = services(file)[name], services(file)
    before = service.get("depends_on", {})
    first = {other for other in before if is_setup(all_of_them[other])}
    assert all(before[other] == {"condition": "service_completed_successfully"} for other in first)
    if name == "store" or name.endswith("broker"):
        assert first


@pytest.mark.parametrize("file", FILES)
def test_no_image_is_named_without_a_way_to_name_another(file: str) -> None:
    assert all(str(service["image"]).startswith("${HEDGEROW_") for service in services(file).values())


def test_the_image_runs_as_nobody_in_particular() -> None:
    lines = (PROJECT / "Dockerfile").read_text().splitlines()
    users = [line for line in lines if line.startswith("USER")]
    assert users == ["USER 10001:10001"]


@pytest.mark.real
@pytest.mark.parametrize("file", FILES)
def test_compose_itself_takes_the_file(file: str, tmp_path: Path) -> None:
    program = shutil.which("docker-compose")
    assert program is not None, "docker-compose is not installed: apt-get install docker-compose"
    command = [program, "-f", str(PROJECT / file), "--env-file", str(ENV_FILE), "config", "-q"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **ASKED}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_cluster_without_a_name_is_asked_for_one() -> None:
    text = (PROJECT / "cluster_orchestrator/docker-compose.yml").read_text()
    assert "${CLUSTER_NAME:?" in text
    assert "${SYSTEM_MANAGER_URL:?" in text
