"""The registry client against a registry that does what real ones do, and what hostile ones might."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edge_common.model.errors import InvalidInput
from edge_common.model.lifecycle import Reason
from node_engine.adapters.runtimes.containerd.registry import RegistryClient, RegistrySettings
from node_engine.core.image_manifest import Blob, digest_of
from node_engine.core.image_reference import parse
from node_engine.ports import TaskFailure

LAYER = bytes(range(256)) * 40
BLOB = Blob("application/vnd.oci.image.layer.v1.tar", digest_of(LAYER), len(LAYER))
MANIFEST = json.dumps({"mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []}).encode()

Answer = Callable[[BaseHTTPRequestHandler], None]


class FakeRegistry:
    """Answers by path; remembers every request's path and Authorization."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.seen: list[tuple[str, str]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                fake.seen.append((path, self.headers.get("Authorization", "")))
                fake.answers.get(path, send(404))(self)

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def send(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def send_blob(request: BaseHTTPRequestHandler) -> None:
    begin = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
    send(206 if begin else 200, LAYER[begin:])(request)


def only_with(authorization: str, then: Answer, challenge: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.headers.get("Authorization") == authorization:
            then(request)
        else:
            send(401, WWW_Authenticate=challenge)(request)

    return answer


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    made = FakeRegistry()
    made.answers["/v2/a/b/manifests/1"] = send(200, MANIFEST)
    made.answers[f"/v2/a/b/blobs/{BLOB.digest}"] = send_blob
    yield made
    made.close()


@pytest.fixture
def elsewhere() -> Iterator[FakeRegistry]:
    made = FakeRegistry()
    yield made
    made.close()


def client_of(*registries: FakeRegistry, auth_file: Path | None = None) -> RegistryClient:
    return RegistryClient(RegistrySettings(tuple(registry.host for registry in registries), auth_file, 2.0, 2.0))


def fetch(registry: FakeRegistry, client: RegistryClient, offset: int = 0) -> tuple[int, bytes]:
    image = client.open(parse(f"{registry.host}/a/b:1"), "amd64")
    stream = image.open_blob(BLOB, offset)
    try:
        return stream.offset, b"".join(stream)
    finally:
        stream.close()


def test_a_blob_whole_and_from_an_offset(registry: FakeRegistry) -> None:
    assert fetch(registry, client_of(registry)) == (0, LAYER)
    assert fetch(registry, client_of(registry), 100) == (100, LAYER[100:])


def test_a_registry_that_ignores_the_offset(registry: FakeRegistry) -> None:
    registry.answers[f"/v2/a/b/blobs/{BLOB.digest}"] = send(200, LAYER)
    assert fetch(registry, client_of(registry), 100) == (0, LAYER)


@pytest.mark.parametrize("body", [LAYER[:-1], LAYER + b"x"])
def test_fewer_or_more_bytes_than_announced(registry: FakeRegistry, body: bytes) -> None:
    registry.answers[f"/v2/a/b/blobs/{BLOB.digest}"] = send(200, body)
    with pytest.raises(TaskFailure) as caught:
        fetch(registry, client_of(registry))
    assert caught.value.reason is Reason.IMAGE_UNREACHABLE and not caught.value.is_permanent


def test_a_token_is_fetched_with_our_login_and_used(registry: FakeRegistry, tmp_path: Path) -> None:
    login = base64.b64encode(b"me:secret").decode()
    auth = tmp_path / "auth.json"
    auth.write_text(json.dumps({"auths": {registry.host: {"auth": login}}}))
    auth.chmod(0o600)
    challenge = f'Bearer realm="http://{registry.host}/token",service="s",scope="repository:a/b:pull"'
    for path in ("/v2/a/b/manifests/1", f"/v2/a/b/blobs/{BLOB.digest}"):
        registry.answers[path] = only_with("Bearer t0ken", registry.answers[path], challenge)
    registry.answers["/token"] = only_with(f"Basic {login}", send(200, b'{"token": "t0ken"}'), "Basic")
    assert fetch(registry, client_of(registry, auth_file=auth)) == (0, LAYER)
    assert [path for path, _ in registry.seen].count("/token") == 1
    with pytest.raises(TaskFailure) as caught:
        fetch(registry, client_of(registry))
    assert caught.value.reason is Reason.IMAGE_REFUSED and caught.value.is_permanent


def test_a_redirect_is_followed_without_our_login(registry: FakeRegistry, elsewhere: FakeRegistry) -> None:
    challenge = f'Bearer realm="http://{registry.host}/token"'
    registry.answers["/token"] = send(200, b'{"access_token": "t0ken"}')
    manifest = registry.answers["/v2/a/b/manifests/1"]
    registry.answers["/v2/a/b/manifests/1"] = only_with("Bearer t0ken", manifest, challenge)
    location = f"http://{elsewhere.host}/store?signature=x"
    registry.answers[f"/v2/a/b/blobs/{BLOB.digest}"] = send(307, Location=location)
    elsewhere.answers["/store"] = send_blob
    assert fetch(registry, client_of(registry, elsewhere)) == (0, LAYER)
    assert elsewhere.seen == [("/store", "")]


def test_it_does_not_send_us_where_we_would_not_go(registry: FakeRegistry, elsewhere: FakeRegistry) -> None:
    registry.answers[f"/v2/a/b/blobs/{BLOB.digest}"] = send(302, Location=f"http://{elsewhere.host}/store")
    with pytest.raises(InvalidInput, match="plain HTTP"):
        fetch(registry, client_of(registry))
    challenge = f'Bearer realm="http://{elsewhere.host}/token"'
    registry.answers["/v2/a/b/manifests/1"] = send(401, WWW_Authenticate=challenge)
    with pytest.raises(InvalidInput, match="plain HTTP"):
        fetch(registry, client_of(registry))
    assert elsewhere.seen == []


def test_circles_end(registry: FakeRegistry) -> None:
    registry.answers["/v2/a/b/manifests/1"] = send(302, Location="/v2/a/b/manifests/1")
    with pytest.raises(TaskFailure, match="circles"):
        fetch(registry, client_of(registry))


@pytest.mark.parametrize(
    ("status", "reason", "is_permanent"),
    [
        (401, Reason.IMAGE_REFUSED, True),
        (403, Reason.IMAGE_REFUSED, True),
        (404, Reason.IMAGE_NOT_FOUND, True),
        (429, Reason.IMAGE_UNREACHABLE, False),
        (500, Reason.IMAGE_UNREACHABLE, False),
        (503, Reason.IMAGE_UNREACHABLE, False),
    ],
)
def test_refusals(registry: FakeRegistry, status: int, reason: Reason, *, is_permanent: bool) -> None:
    registry.answers["/v2/a/b/manifests/1"] = send(status, b'{"errors": [{"message": "because"}]}')
    with pytest.raises(TaskFailure) as caught:
        fetch(registry, client_of(registry))
    assert (caught.value.reason, caught.value.is_permanent) == (reason, is_permanent)
    assert str(caught.value).count("a/b:1") >= 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b"{" * 100_000, b"x" * (4 * 1024 * 1024 + 1)])
def test_manifests_that_are_none(registry: FakeRegistry, body: bytes) -> None:
    registry.answers["/v2/a/b/manifests/1"] = send(200, body)
    with pytest.raises(InvalidInput):
        client_of(registry).open(parse(f"{registry.host}/a/b:1"), "amd64")


def test_a_pinned_manifest_must_be_the_one(registry: FakeRegistry) -> None:
    digest = digest_of(b"another")
    registry.answers[f"/v2/a/b/manifests/{digest}"] = send(200, MANIFEST)
    with pytest.raises(TaskFailure, match="another manifest"):
        client_of(registry).open(parse(f"{registry.host}/a/b@{digest}"), "amd64")


def test_a_silent_one_is_given_up(registry: FakeRegistry) -> None:
    waiting = threading.Event()

    def say_nothing(_: BaseHTTPRequestHandler) -> None:
        waiting.wait(10)

    registry.answers["/v2/a/b/manifests/1"] = say_nothing
    client = RegistryClient(RegistrySettings((registry.host,), None, 0.2, 0.2))
    with pytest.raises(TaskFailure) as caught:
        client.open(parse(f"{registry.host}/a/b:1"), "amd64")
    waiting.set()
    assert caught.value.reason is Reason.IMAGE_UNREACHABLE and not caught.value.is_permanent
