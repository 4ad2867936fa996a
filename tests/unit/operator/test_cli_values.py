"""`hedgerow secret` and `hedgerow config`: values come from a file or standard input, and a secret never comes out."""

import base64
import io
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.operator.fake_root import FakeRoot
from tests.unit.operator.test_cli import Hedgerow, hedgerow, root, session_file

__all__ = ["hedgerow", "root", "session_file"]


def value(**changes: Any) -> dict[str, Any]:
    return {
        "id": "v1",
        "name": "db-password",
        "kind": "secret",
        "version": 1,
        "size_bytes": 5,
        "userId": "Admin",
        "used_by": [{"microserviceID": "s1", "job_name": "shop.prod.web.prod"}],
    } | changes


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_file_is_taken_as_it_is(root: FakeRoot, hedgerow: Hedgerow, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"\xff\x00\n")
    root.on("POST /api/secrets", value())
    outcome = hedgerow("secret", "create", "db-password", "--from-file", str(file))
    assert outcome.code == 0 and outcome.out == "Created the secret db-password.\n"
    (asked,) = root.asked("POST /api/secrets")
    assert asked.body == {"name": "db-password", "value_base64": encoded(b"\xff\x00\n")}


def test_standard_input_too(root: FakeRoot, hedgerow: Hedgerow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"newer")))
    root.on("PUT /api/secrets/db-password", value(version=2, rolled=value()["used_by"]))
    outcome = hedgerow("secret", "update", "db-password", "--from-stdin")
    assert outcome.out == ("The secret db-password is at version 2; replacing the instances of shop.prod.web.prod.\n")
    assert root.asked("PUT /api/secrets/db-password")[0].body == {"value_base64": encoded(b"newer")}


@pytest.mark.parametrize("options", [[], ["--from-stdin", "--from-file", "x"], ["--from-file", "/nowhere"]])
def test_a_value_comes_from_one_place(hedgerow: Hedgerow, options: list[str]) -> None:
    outcome = hedgerow("secret", "create", "x", *options)
    assert outcome.code == 2 and ("--from-file FILE or --from-stdin" in outcome.err or "cannot be read" in outcome.err)


def test_secrets_are_listed_with_who_uses_them(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/secrets", [value()])
    heading, row = hedgerow("secret", "ls").out.splitlines()
    assert heading.split() == ["NAME", "VERSION", "BYTES", "USED", "BY", "OWNER", "ID"]
    assert row.split() == ["db-password", "1", "5", "shop.prod.web.prod", "Admin", "v1"]


def test_a_config_is_shown_with_its_value(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("GET /api/configs/site", value(kind="config", name="site", value="a = 1\n", value_base64="YSA9IDEK"))
    assert hedgerow("config", "show", "site").out.endswith("\na = 1\n")


def test_what_is_used_stays(root: FakeRoot, hedgerow: Hedgerow) -> None:
    root.on("DELETE /api/secrets/x", {"message": "The secret x is used by shop."}, status=409)
    outcome = hedgerow("secret", "rm", "x", "--yes")
    assert outcome.code != 0 and "is used by shop" in outcome.err
