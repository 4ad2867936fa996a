"""A registry of a test's own on loopback, with or without a password, and a way to put images into it."""

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from tests.parts.images import BuiltImage
from tests.support import eventually, free_port

USER = "hedge"
PASSWORD = "hog-4711"
_HTPASSWD = "hedge:$2b$04$DY.7rdfsQ1fI20R1eS3unu5ASad8E1uwXUwbJjNSvmYGJQm5ETFqK"


@dataclass(frozen=True)
class Registry:
    host: str
    directory: Path
    needs_password: bool

    def headers(self) -> Mapping[str, str]:
        if not self.needs_password:
            return {}
        return urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}")

    def push(self, image: BuiltImage, repository: str, tag: str) -> str:
        """Returns the image's full name."""
        for digest, data in image.blobs.items():
            started = self._request("POST", f"/v2/{repository}/blobs/uploads/")
            location = started.headers["Location"]
            joiner = "&" if "?" in location else "?"
            done = self._request("PUT", f"{location}{joiner}digest={digest}", body=data)
            if done.status != 201:
                raise RuntimeError(f"The registry answered {done.status} to a blob: {done.data!r}")
        content_type = json.loads(image.manifest)["mediaType"]
        put = self._request(
            "PUT", f"/v2/{repository}/manifests/{tag}", body=image.manifest, headers={"Content-Type": content_type}
        )
        if put.status != 201:
            raise RuntimeError(f"The registry answered {put.status} to a manifest: {put.data!r}")
        return f"{self.host}/{repository}:{tag}"

    def blob_file(self, digest: str) -> Path:
        """Where the registry keeps a blob, for a test that damages it."""
        hexadecimal = digest.removeprefix("sha256:")
        return self.directory / "docker/registry/v2/blobs/sha256" / hexadecimal[:2] / hexadecimal / "data"

    def auth_file(self, path: Path) -> Path:
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        path.write_text(json.dumps({"auths": {self.host: {"auth": auth}}}))
        path.chmod(0o600)
        return path

    def _request(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        url = path if path.startswith("http") else f"http://{self.host}{path}"
        return urllib3.request(method, url, body=body, headers={**self.headers(), **(headers or {})}, timeout=10.0)


@contextmanager
def private_registry(*, needs_password: bool = False) -> Iterator[Registry]:
    binary = shutil.which("docker-registry")
    if binary is None:
        raise FileNotFoundError("docker-registry is not installed: apt-get install docker-registry")
    directory = Path(tempfile.mkdtemp(prefix="hedgerow-registry-"))
    port = free_port()
    (directory / "config.yml").write_text(_config(directory, port, needs_password=needs_password))
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([binary, "serve", str(directory / "config.yml")], stdout=log, stderr=log)
    registry = Registry(f"127.0.0.1:{port}", directory / "data", needs_password)
    try:
        eventually(lambda: _answers(port), message="the registry")
        yield registry
    finally:
        process.kill()
        process.wait(timeout=10)
        shutil.rmtree(directory, ignore_errors=True)


def _config(directory: Path, port: int, *, needs_password: bool) -> str:
    lines = [
        "version: 0.1",
        "log: {level: warn}",
        f"storage: {{filesystem: {{rootdirectory: {directory}/data}}, delete: {{enabled: true}}}}",
        f"http: {{addr: '127.0.0.1:{port}'}}",
    ]
    if needs_password:
        (directory / "htpasswd").write_text(_HTPASSWD + "\n")
        lines.append(f"auth: {{htpasswd: {{realm: test, path: {directory}/htpasswd}}}}")
    return "\n".join(lines) + "\n"


def _answers(port: int) -> bool:
    try:
        return urllib3.request("GET", f"http://127.0.0.1:{port}/v2/", retries=False, timeout=1.0).status in {200, 401}
    except urllib3.exceptions.HTTPError:
        return False
