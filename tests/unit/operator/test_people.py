"""`hedgerow user`, `org`, `api-token`, `audit` and `logout` against a root that answers as it is told to."""

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.operator.fake_root import FakeRoot
from tests.unit.operator.test_cli import Hedgerow, hedgerow, root, session_file

__all__ = ["hedgerow", "root", "session_file"]

ADA = {"username": "ada", "roles": ["Viewer"], "organization": "acme", "email": ""}
ACME = {"_id": {"$oid": "id-acme"}, "name": "acme", "member": [{"user_id": "ada", "roles": ["Viewer"]}]}
TOKEN = {
    "token_id": "id-ci",
    "name": "ci",
    "username": "Admin",
    "scopes": ["Admin"],
    "created_at": 1000.0,
    "expires_at": 1000.0 + 30 * 86_400,
    "last_used_at": None,
}


def type_in(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def entry(sequence: int, **changes: Any) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "at": 1_800_000_000.0,
        "username": "ada",
        "organization": "acme",
        "token": "",
        "verb": "delete",
        "resource": "application",
        "object": f"a{sequence}",
        "outcome": "done",
        "reason": "",
        "address": "192.0.2.7",
        "request_id": "r",
    } | changes


def test_a_user_is_added_with_a_password_that_no_process_list_shows(
    root: FakeRoot, hedgerow: Hedgerow, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.on("POST /api/auth/register", ADA)
    type_in(monkeypatch, "a-long-password")
    outcome = hedgerow("user", "add", "ada", "--role", "Viewer", "--org", "acme")
    assert outcome.code == 0 and "ada" in outcome.out and "a-long-password" not in outcome.out
    assert root.asked("POST /api/auth/register")[0].body == {
        "username": "ada",
        "password": "a-long-password",
        "roles": ["Viewer"],
        "organization": "acme",
    }


def test_a_user_without_a_password_is_not_added(
    root: FakeRoot, hedgerow: Hedgerow, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(monkeypatch)
    outcome = hedgerow("user", "add", "ada")
    assert outcome.code == 2 and "no password on standard input" in outcome.err and root.requests == []


def test_users_of_an_organisation(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/users/acme", [ADA])
    assert hedgerow("user", "ls", "--org", "acme").out.splitlines()[1].split() == ["ada", "Viewer", "acme"]
    root.on("GET /api/users", [])
    assert hedgerow("user", "ls").out == "There is no such user.\n"


def test_roles_are_set(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("PUT /api/user/ada", {**ADA, "roles": ["Viewer", "Application_Provider"]})
    outcome = hedgerow("user", "set-role", "ada", "Viewer", "Application_Provider")
    assert outcome.out == "ada has the roles Viewer, Application_Provider.\n"
    assert root.asked("PUT /api/user/ada")[0].body == {"roles": ["Viewer", "Application_Provider"]}


def test_a_user_is_removed_when_sure(root: FakeRoot, hedgerow: Hedgerow, monkeypatch: pytest.MonkeyPatch) -> None:
    root.on("DELETE /api/user/a%2Fb", {"message": "User a/b is deleted."})
    type_in(monkeypatch, "n")
    assert hedgerow("user", "rm", "a/b").code == 1 and root.requests == []
    assert hedgerow("user", "rm", "a/b", "-y").out == "User a/b is deleted.\n"


def test_ones_own_password(root: FakeRoot, hedgerow: Hedgerow, monkeypatch: pytest.MonkeyPatch) -> None:
    root.on("POST /api/user/Admin", {"message": ""})
    type_in(monkeypatch, "old-password", "new-password")
    assert hedgerow("user", "passwd").code == 0
    assert root.asked("POST /api/user/Admin")[0].body == {"oldPassword": "old-password", "newPassword": "new-password"}


def test_anothers_password(root: FakeRoot, hedgerow: Hedgerow, monkeypatch: pytest.MonkeyPatch) -> None:
    root.on("PUT /api/user/ada", ADA)
    type_in(monkeypatch, "new-password")
    assert hedgerow("user", "passwd", "ada").code == 0
    assert root.asked("PUT /api/user/ada")[0].body == {"password": "new-password"}


def test_another_user_is_logged_out(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("DELETE /api/user/ada/sessions", {"ended": 2, "message": "ada is logged out everywhere."})
    assert hedgerow("user", "logout", "ada").out == "ada is logged out everywhere.\n"


def test_a_token_changes_no_password(root: FakeRoot, hedgerow: Hedgerow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEDGEROW_TOKEN", "hrt_x")
    outcome = hedgerow("user", "passwd")
    assert outcome.code == 2 and "HEDGEROW_TOKEN is set" in outcome.err and root.requests == []


def test_organisations(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/organization", [ACME])
    assert hedgerow("org", "ls").out.splitlines()[1].split() == ["acme", "1", "id-acme"]
    assert hedgerow("org", "show", "acme").out.splitlines()[1].split() == ["ada", "Viewer"]
    root.on("POST /api/organization", {**ACME, "member": []})
    assert hedgerow("org", "add", "acme").code == 0
    root.on("PUT /api/organization/id-acme", {**ACME, "name": "apex"})
    assert hedgerow("org", "rename", "acme", "apex").out == "acme is called apex.\n"
    root.on("DELETE /api/organization/id-acme", {"message": "Organisation acme is deleted."})
    assert hedgerow("org", "rm", "acme", "--yes").out == "Organisation acme is deleted.\n"
    assert hedgerow("org", "rm", "other", "--yes").code == 2


def test_a_new_token_is_all_that_standard_output_gets(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("POST /api/tokens", {**TOKEN, "token": "hrt_" + "x" * 300})
    outcome = hedgerow("api-token", "create", "ci", "--ttl", "30d", "--role", "Admin")
    assert outcome.out == "hrt_" + "x" * 300 + "\n"
    assert outcome.err == "Keep it: it is not shown again. It is good for 30 d.\n"
    assert root.asked("POST /api/tokens")[0].body == {"name": "ci", "ttl": 30 * 86_400, "scopes": ["Admin"]}


@pytest.mark.parametrize("ttl", ["", "d", "1", "1w", "-1d", "1.5d"])
def test_a_ttl_that_is_none(root: FakeRoot, hedgerow: Hedgerow, ttl: str) -> None:
    outcome = hedgerow("api-token", "create", "ci", f"--ttl={ttl}")
    assert outcome.code == 2 and "as in 30d" in outcome.err and root.requests == []


def test_tokens_are_listed_and_revoked_by_name(root: FakeRoot, hedgerow: Hedgerow) -> None:
    used = {**TOKEN, "token_id": "id-old", "name": "old", "last_used_at": time.time() - 7300}
    root.on("GET /api/tokens", [{**TOKEN, "expires_at": time.time() + 90_000}, used])
    _, first, second = hedgerow("api-token", "ls").out.splitlines()
    assert first.split() == ["ci", "Admin", "in", "24", "h", "never", "Admin", "id-ci"] or "25 h" in first
    assert second.split()[:6] == ["old", "Admin", "expired", "2", "h", "ago"]
    root.on("DELETE /api/tokens/id-old", {"message": "Token old of Admin is revoked."})
    assert hedgerow("api-token", "rm", "old").out == "Token old of Admin is revoked.\n"


def test_a_refused_token_of_the_environment_is_named(
    root: FakeRoot, hedgerow: Hedgerow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEDGEROW_TOKEN", "hrt_gone")
    root.is_accepted = lambda _: False
    outcome = hedgerow("cluster", "ls")
    assert outcome.code == 1 and "HEDGEROW_TOKEN" in outcome.err and "hrt_gone" not in outcome.err


def test_the_audit_log_ends_with_the_newest(root: FakeRoot, hedgerow: Hedgerow) -> None:
    refused = entry(2, outcome="refused", reason="ada may not.", token="robot")
    root.on("GET /api/audit", {"entries": [refused, entry(1)], "next": None, "last": 2})
    _, first, second = hedgerow("audit").out.splitlines()
    assert first.split()[2:] == ["ada", "192.0.2.7", "delete", "application", "a1", "done"]
    assert second.split()[2:4] == ["ada", "(robot)"] and second.rstrip().endswith("ada may not.")
    shown = json.loads(hedgerow("audit", "-n", "5", "-o", "json").out)
    assert [each["sequence"] for each in shown] == [1, 2]
    assert root.requests[-1].path == "/api/audit?limit=5"


def test_the_audit_log_is_followed_from_where_it_was(root: FakeRoot, hedgerow: Hedgerow) -> None:
    pages = [{"entries": [entry(1)], "next": None, "last": 4}, {"entries": [entry(5)], "next": None, "last": 5}]
    root.answers["GET /api/audit"] = [(200, pages[0]), (200, pages[1]), (500, {"message": "It is over."})]
    outcome = hedgerow("audit", "-f", "-o", "json")
    assert [json.loads(line)["sequence"] for line in outcome.out.splitlines()] == [1, 5]
    assert [request.path.partition("?")[2] for request in root.asked("GET /api/audit")][1:] == [
        "after=4&limit=1000",
        "after=5&limit=1000",
    ]


def test_logout_ends_the_session_on_both_sides(root: FakeRoot, hedgerow: Hedgerow, session_file: Path) -> None:
    root.on("POST /api/auth/logout", {"message": "You are logged out."})
    assert hedgerow("logout").out == f"Logged out from {root.url}.\n"
    assert not session_file.exists()
    assert hedgerow("logout").out == "You are not logged in.\n"
    assert len(root.asked("POST /api/auth/logout")) == 1


def test_logout_everywhere(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("DELETE /api/user/Admin/sessions", {"ended": 3, "message": ""})
    assert hedgerow("logout", "--everywhere").code == 0


def test_logout_of_a_session_that_is_over(root: FakeRoot, hedgerow: Hedgerow, session_file: Path) -> None:
    root.is_accepted = lambda _: False
    root.on("POST /api/auth/refresh", {"message": "It has ended."}, status=401)
    outcome = hedgerow("logout")
    assert outcome.code == 0 and "had ended before" in outcome.out and not session_file.exists()


def test_every_command_for_people_explains_itself(hedgerow: Hedgerow) -> None:
    commands = [["logout"], ["audit"]]
    commands += [["user", name] for name in ("add", "ls", "rm", "set-role", "passwd", "logout")]
    commands += [["org", name] for name in ("add", "ls", "show", "rename", "rm")]
    commands += [["api-token", name] for name in ("create", "ls", "rm")]
    for command in commands:
        outcome = hedgerow(*command, "--help")
        assert outcome.code == 0 and "Example" in outcome.out, command
