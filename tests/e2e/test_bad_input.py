"""What is wrong is refused over real HTTP: the right status, one sentence that names it, and nothing half-made."""

import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import urllib3

from tests.e2e.store import Running
from tests.parts.stack import Stack, sla

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

MAX_BODY_BYTES = 1 << 20
FIRST = "applications[0]"
SERVICE = f"{FIRST}.microservices[0]"


@pytest.fixture(autouse=True, scope="module")
def no_traces(running: Running) -> Iterator[None]:
    """No refusal may be a bug that was caught: none leaves a stack trace in a log."""
    logs = [running.stack.home / "logs" / f"{part}.log" for part in ("root", "cluster", "node")]
    sizes = [log.stat().st_size for log in logs]
    yield
    for log, size in zip(logs, sizes, strict=True):
        assert "Traceback" not in log.read_bytes()[size:].decode()


def ask(
    stack: Stack,
    method: str,
    path: str,
    body: Any = None,
    token: str | None = "",
    content_type: str = "application/json",
) -> tuple[int, Any]:
    """`body` is sent as JSON unless it is bytes. `token` "" is that of somebody who is logged in, None is none."""
    headers = {"Content-Type": content_type}
    if token is not None:
        headers["Authorization"] = f"Bearer {token or stack.api.token}"
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    answer = urllib3.request(method, stack.url + path, body=data, headers=headers, retries=False, timeout=20.0)
    return answer.status, answer.json()


def assert_refused(answered: tuple[int, Any], status: int, *words: str) -> None:
    """One or two sentences, and never a trace of where in the code it happened."""
    code, body = answered
    message = str(body["message"])
    assert code == status == body["code"], message
    assert "\n" not in message
    assert "Traceback" not in message
    assert ".py" not in message
    assert len(message) < 400
    for word in words:
        assert word in message


def changed(path: str, value: Any) -> dict[str, Any]:
    """An SLA that is well but for one field."""
    document = sla("fine")
    at: Any = document
    *parents, last = path.replace("[", ".").replace("]", "").split(".")
    for name in parents:
        at = at[int(name)] if name.isdigit() else at[name]
    at[last] = value
    return document


def twice(document: dict[str, Any]) -> dict[str, Any]:
    services = document["applications"][0]["microservices"]
    services.append(dict(services[0]))
    return document


BAD_SLAS: list[tuple[str, Any, int, tuple[str, ...]]] = [
    ("no JSON", b"{not json", 400, ("not JSON",)),
    ("no object", [1, 2], 400, ("SLA",)),
    ("the same key twice", b'{"sla_version": "v2.0", "sla_version": "v2.0"}', 400, ("sla_version", "twice")),
    ("another version", changed("sla_version", "v1.0"), 400, ("sla_version", "v2.0")),
    ("no application", changed("applications", []), 400, ("applications",)),
    ("an unknown field", changed(f"{SERVICE}.colour", "red"), 400, (f"{SERVICE}.colour",)),
    ("a text for a number", changed(f"{SERVICE}.memory", "much"), 400, (f"{SERVICE}.memory",)),
    ("a number for a text", changed(f"{SERVICE}.code", 7), 400, (f"{SERVICE}.code",)),
    ("a negative number", changed(f"{SERVICE}.memory", -1), 400, (f"{SERVICE}.memory",)),
    ("an impossible number", changed(f"{SERVICE}.vcpus", 1e99), 400, (f"{SERVICE}.vcpus",)),
    ("not a number", json.dumps(changed(f"{SERVICE}.vcpus", float("nan"))).encode(), 400, ("NaN",)),
    ("too many instances", changed(f"{SERVICE}.replicas", 10**12), 400, (f"{SERVICE}.replicas",)),
    ("a long name", changed(f"{FIRST}.application_name", "n" * 31), 400, (f"{FIRST}.application_name", "30")),
    ("a name with a slash", changed(f"{SERVICE}.microservice_name", "a/b"), 400, (f"{SERVICE}.microservice_name",)),
    ("no image", changed(f"{SERVICE}.code", "not an image!"), 400, (f"{SERVICE}.code", "image")),
    ("a bad port", changed(f"{SERVICE}.port", "80:99999"), 400, (f"{SERVICE}.port",)),
    ("two services of one name", twice(sla("fine")), 400, ("fine.test.fine.test",)),
    ("what nobody can serve", changed(f"{SERVICE}.vgpus", 1), 422, (f"{SERVICE}.vgpus",)),
    ("somebody else's", changed("customerID", "mallory"), 400, ("customerID",)),
]


@pytest.mark.parametrize(("body", "status", "words"), [c[1:] for c in BAD_SLAS], ids=[c[0] for c in BAD_SLAS])
@pytest.mark.parametrize("path", ["POST /api/application", "PUT /api/apply"])
def test_a_bad_sla_makes_nothing(system: Stack, path: str, body: Any, status: int, words: tuple[str, ...]) -> None:
    method, _, where = path.partition(" ")
    assert_refused(ask(system, method, where, body), status, *words)
    assert system.api.request("GET", "/api/applications") == []
    assert system.services() == []


def test_one_bad_application_spoils_its_good_neighbour(system: Stack) -> None:
    document = sla("good")
    document["applications"] += changed(f"{SERVICE}.memory", -5)["applications"]
    assert_refused(ask(system, "PUT", "/api/apply", document), 400, "applications[1].microservices[0].memory")
    assert system.api.request("GET", "/api/applications") == []


def test_bodies_that_are_none(system: Stack) -> None:
    huge = b'{"a": "' + b"x" * MAX_BODY_BYTES + b'"}'
    assert_refused(ask(system, "POST", "/api/application", huge), 413, str(MAX_BODY_BYTES))
    assert_refused(ask(system, "POST", "/api/application", b"[" * 100_000), 400, "nested")
    assert_refused(ask(system, "POST", "/api/application", b"a=b", content_type="text/plain"), 415, "application/json")
    assert_refused(ask(system, "POST", "/api/application", b"\xff\xfe\x00"), 400, "JSON")
    assert_refused(ask(system, "GET", "/api/services?colour=red"), 400, "colour")


def test_what_exists_is_not_made_again(system: Stack) -> None:
    document = sla("once", 0)
    ask(system, "POST", "/api/application", document)
    assert_refused(ask(system, "POST", "/api/application", document), 409, "once")
    assert len(system.services()) == 1


@pytest.mark.parametrize(
    "path",
    [
        "GET /api/application/nobody",
        "DELETE /api/application/nobody",
        "GET /api/service/nobody",
        "DELETE /api/service/nobody",
        "POST /api/service/nobody/instance",
        "DELETE /api/service/nobody/instance/0",
        "GET /api/service/nobody/instance/0/logs",
        "GET /api/clusters/nobody",
        "GET /api/user/nobody",
        "GET /api/nowhere",
    ],
)
def test_what_is_not_there(system: Stack, path: str) -> None:
    method, _, where = path.partition(" ")
    assert_refused(ask(system, method, where), 404, "There is no")


def test_instances_that_are_not_there(system: Stack) -> None:
    (made,) = system.apply(sla("short", 0))
    base = f"/api/service/{made['microserviceID']}"
    assert_refused(ask(system, "DELETE", f"{base}/instance/7"), 404, "7")
    assert_refused(ask(system, "GET", f"{base}/instance/7/logs"), 404, "7")
    assert_refused(ask(system, "PUT", f"{base}/replicas", {"replicas": -1}), 400, "replicas")
    assert_refused(ask(system, "PUT", f"{base}/replicas", {"replicas": True}), 400, "replicas")


def test_tokens(system: Stack) -> None:
    key = (system.home / "data" / "root" / "jwt-key").read_text().strip()
    claims = jwt.decode(str(system.api.token), options={"verify_signature": False})
    expired = jwt.encode({**claims, "exp": int(time.time()) - 1}, key, algorithm="HS256")
    foreign = jwt.encode(claims, "k" * 64, algorithm="HS256")
    unsigned = jwt.encode(claims, "", algorithm="none")
    assert ask(system, "GET", "/api/services", token=jwt.encode(claims, key, algorithm="HS256"))[0] == 200
    assert_refused(ask(system, "GET", "/api/services", token=None), 401, "log in")
    assert_refused(ask(system, "GET", "/api/services", token=expired), 401, "expired")
    for token in ("garbage", "a.b.c", foreign, unsigned):
        assert_refused(ask(system, "GET", "/api/services", token=token), 401)
    assert_refused(ask(system, "POST", "/api/auth/login", {"username": "Admin", "password": "x"}, token=None), 401)


def test_a_user_without_the_role(system: Stack) -> None:
    ada = {"username": "ada", "password": "correct horse battery"}
    assert ask(system, "POST", "/api/auth/register", ada)[0] == 200
    try:
        token = ask(system, "POST", "/api/auth/login", ada, token=None)[1]["token"]
        (made,) = system.apply(sla("private", 0))
        assert_refused(ask(system, "GET", "/api/audit", token=token), 403)
        assert [each["username"] for each in ask(system, "GET", "/api/users", token=token)[1]] == ["ada"]
        assert_refused(ask(system, "POST", "/api/auth/register", {**ada, "username": "eve"}, token=token), 403)
        assert_refused(ask(system, "GET", f"/api/service/{made['microserviceID']}", token=token), 404)
        (cluster,) = system.api.request("GET", "/api/clusters")
        (node,) = system.api.request("GET", "/api/nodes")["nodes"]
        cordon = f"/api/clusters/{cluster['cluster_id']}/nodes/{node['node_id']}/cordon"
        assert_refused(ask(system, "PUT", cordon, {"cordoned": True}, token=token), 403)
        assert ask(system, "GET", "/api/services", token=token) == (200, [])
    finally:
        ask(system, "DELETE", "/api/user/ada")
