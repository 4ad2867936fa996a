"""Organisations, API tokens and the audit log on a whole system, with the operator's own command."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_common.model.errors import Forbidden, NotFound, Unauthenticated
from edge_common.plumbing.http_client import HttpClient
from tests.parts.stack import Stack, sla
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

PASSWORD = "a-long-password"
USERS = {"carol": ("acme", "Organization_Admin"), "dave": ("acme", "Application_Provider"), "eve": ("apex", "Viewer")}


def clean(system: Stack) -> None:
    known = {user["username"] for user in system.api.request("GET", "/api/users")}
    for name in known & set(USERS):
        for application in system.api.request("GET", f"/api/applications/{name}"):
            system.api.request("DELETE", f"/api/application/{application['applicationID']}")
        system.api.request("DELETE", f"/api/user/{name}")
    for name in ("acme", "apex"):
        system.cli("org", "rm", name, "--yes", check=False)


def as_user(system: Stack, name: str) -> HttpClient:
    body = {"username": name, "password": PASSWORD, "organization_name": USERS[name][0]}
    return HttpClient(system.url, 30.0, system.api.request("POST", "/api/auth/login", json=body)["token"])


def audited(system: Stack, **wanted: str) -> bool:
    entries: list[dict[str, Any]] = json.loads(system.cli("audit", "-n", "200", "-o", "json").stdout)
    return any(wanted.items() <= entry.items() for entry in entries)


def test_two_organisations_on_one_root(system: Stack, tmp_path: Path) -> None:
    clean(system)
    for name in ("acme", "apex"):
        system.cli("org", "add", name)
    for name, (organization, role) in USERS.items():
        body = {"username": name, "password": PASSWORD, "organization": organization, "roles": [role]}
        system.api.request("POST", "/api/auth/register", json=body)
    dave = as_user(system, "dave")
    made = dave.request("POST", "/api/tokens", json={"name": "ci", "ttl": 3600})
    document = {**sla("shop"), "customerID": "dave"}
    (tmp_path / "shop.json").write_text(json.dumps(document))
    robot = replace(system, environment={**system.environment, "HEDGEROW_TOKEN": made["token"]})

    robot.cli("deploy", str(tmp_path / "shop.json"), timeout_s=120)

    (application,) = as_user(system, "carol").request("GET", "/api/applications")
    path = f"/api/application/{application['applicationID']}"
    assert application["userId"] == "dave"
    eve = as_user(system, "eve")
    assert eve.request("GET", "/api/applications") == []
    with pytest.raises(NotFound):
        eve.request("GET", path)
    with pytest.raises(Forbidden):
        eve.request("DELETE", path)
    eventually(lambda: audited(system, username="dave", token="ci", verb="create", object="shop"), message="dave")
    eventually(lambda: audited(system, username="eve", verb="read", outcome="hidden"), message="what was hidden")
    eventually(lambda: audited(system, username="eve", verb="delete", outcome="refused"), message="what was refused")

    system.cli("api-token", "rm", "ci", "--user", "dave")
    refused = robot.cli("service", "ls", check=False)
    assert refused.returncode == 1 and "HEDGEROW_TOKEN" in refused.stderr
    system.cli("user", "set-role", "dave", "Viewer")
    with pytest.raises(Forbidden):
        dave.request("DELETE", path)
    clean(system)
    with pytest.raises(Unauthenticated):
        dave.request("GET", "/api/applications")
