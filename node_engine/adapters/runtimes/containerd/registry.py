"""Images in registries, over HTTP: the distribution API as far as pulling needs it."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlencode, urljoin, urlsplit

from edge_common.model.errors import InvalidInput
from edge_common.model.lifecycle import Reason
from node_engine.adapters.runtimes.containerd.http_blob import HttpBlob
from node_engine.adapters.runtimes.containerd.registry_auth import (
    Challenge,
    RegistryLogin,
    basic_credentials,
    parse_challenge,
)
from node_engine.core.image_manifest import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    MAX_MANIFEST_BYTES,
    Blob,
    choose_manifest,
    digest_of,
    is_index,
    parse_json,
)
from node_engine.core.image_reference import DEFAULT_REGISTRY, ImageReference
from node_engine.ports import TaskFailure

if TYPE_CHECKING:
    import urllib3

_ACCEPT = ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 4
_MAX_TOKEN_BYTES = 64 * 1024
_HUB_HOST = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """`plain_http` are the host[:port] that may be spoken to without TLS; not even loopback is one by itself."""

    plain_http: tuple[str, ...] = ()
    auth_file: Path | None = None
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0


class RegistryClient:
    """Every method raises TaskFailure, which says whether trying again can help."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._guard = threading.Lock()
        self._pool_made: urllib3.PoolManager | None = None

    def open(self, reference: ImageReference, architecture: str, login: RegistryLogin | None = None) -> "RegistryImage":
        """Resolve to the manifest of this architecture; its blobs are fetched when they are asked for.

        `login` comes before the node's own file.
        """
        session = _Session(self, self._settings, reference, login)
        data, media_type = session.fetch_manifest(reference.version)
        document = parse_json(data, "its manifest")
        if is_index(document):
            chosen = choose_manifest(document, architecture)
            data, media_type = session.fetch_manifest(chosen.digest)
        return RegistryImage(session, data, media_type)

    @property
    def pool(self) -> "urllib3.PoolManager":
        """Made at the first pull: a node that never pulls need not hold an HTTP client in memory."""
        import urllib3

        with self._guard:
            if self._pool_made is None:
                timeout = urllib3.Timeout(connect=self._settings.connect_timeout_s, read=self._settings.read_timeout_s)
                self._pool_made = urllib3.PoolManager(timeout=timeout, retries=False, num_pools=8)
            return self._pool_made


class RegistryImage:
    """One manifest in a registry, and the way to its blobs."""

    def __init__(self, session: "_Session", manifest: bytes, media_type: str) -> None:
        self._session = session
        self.manifest = manifest
        self.media_type = media_type

    def open_blob(self, blob: Blob, offset: int) -> HttpBlob:
        return self._session.open_blob(blob, offset)


class _Session:
    """What is known while one image is pulled: where it is, and with which credentials."""

    def __init__(
        self,
        client: RegistryClient,
        settings: RegistrySettings,
        reference: ImageReference,
        login: RegistryLogin | None,
    ) -> None:
        self._client = client
        self._settings = settings
        self._reference = reference
        self._login = login
        host = _HUB_HOST if reference.registry == DEFAULT_REGISTRY else reference.registry
        scheme = "http" if host in settings.plain_http else "https"
        self._base = f"{scheme}://{host}/v2/{reference.repository}"
        self._authorization = ""

    def fetch_manifest(self, version: str) -> tuple[bytes, str]:
        response = self._get(f"{self._base}/manifests/{version}", {"Accept": _ACCEPT})
        try:
            data = self._read(response, MAX_MANIFEST_BYTES)
        finally:
            response.release_conn()
        if version.startswith("sha256:") and digest_of(data) != version:
            raise TaskFailure(
                f"The registry of {self._reference} sent another manifest than {version}; it will be asked again.",
                Reason.IMAGE_UNREACHABLE,
            )
        declared = parse_json(data, "its manifest").get("mediaType")
        media_type = str(declared or response.headers.get("Content-Type", "")).partition(";")[0]
        return data, media_type if media_type in MANIFEST_TYPES + INDEX_TYPES else MANIFEST_TYPES[0]

    def open_blob(self, blob: Blob, offset: int) -> HttpBlob:
        headers = {"Range": f"bytes={offset}-"} if 0 < offset < blob.size_bytes else {}
        response = self._get(f"{self._base}/blobs/{blob.digest}", headers)
        begin = offset if response.status == 206 and headers else 0
        return HttpBlob(response, blob, begin, str(self._reference))

    def _get(self, url: str, headers: Mapping[str, str]) -> "urllib3.BaseHTTPResponse":
        """Follow redirects and answer one challenge."""
        has_answered = False
        for _ in range(_MAX_REDIRECTS + 2):
            response = self._request(url, headers)
            if response.status in {200, 206}:
                return response
            location = response.headers.get("Location", "")
            challenge = response.headers.get("WWW-Authenticate", "")
            body = self._read_error(response)
            if response.status in _REDIRECTS and location:
                url = self._checked(urljoin(url, location))
            elif response.status == 401 and challenge and not has_answered and self._is_ours(url):
                has_answered = True
                self._authorization = self._answer(parse_challenge(challenge))
            else:
                self._fail(response.status, body)
        raise TaskFailure(f"The registry of {self._reference} redirects in circles.", Reason.IMAGE_UNREACHABLE)

    def _request(self, url: str, headers: Mapping[str, str]) -> "urllib3.BaseHTTPResponse":
        import urllib3

        sent = {"User-Agent": "hedgerow", "Accept-Encoding": "identity", **headers}
        if self._authorization and self._is_ours(url):
            sent["Authorization"] = self._authorization
        try:
            return self._client.pool.request("GET", url, headers=sent, redirect=False, preload_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(url, error) from error

    def _answer(self, challenge: Challenge) -> str:
        registry = self._reference.registry
        basic = self._login.basic_for(registry) if self._login else ""
        basic = basic or basic_credentials(self._settings.auth_file, registry)
        if challenge.scheme == "basic":
            if not basic:
                self._fail(401, b"")
            return f"Basic {basic}"
        if challenge.scheme != "bearer" or not challenge.realm:
            self._fail(401, b"")
        return f"Bearer {self._fetch_token(challenge, basic)}"

    def _fetch_token(self, challenge: Challenge, basic: str) -> str:
        import urllib3

        scope = challenge.scope or f"repository:{self._reference.repository}:pull"
        query = urlencode({"service": challenge.service, "scope": scope})
        url = self._checked(f"{challenge.realm}{'&' if '?' in challenge.realm else '?'}{query}")
        headers = {"User-Agent": "hedgerow"} | ({"Authorization": f"Basic {basic}"} if basic else {})
        try:
            response = self._client.pool.request("GET", url, headers=headers, redirect=False, preload_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(url, error) from error
        if response.status != 200:
            self._fail(response.status, self._read_error(response))
        try:
            document: Any = json.loads(self._read(response, _MAX_TOKEN_BYTES))
            token = document.get("token") or document.get("access_token")
        except (ValueError, AttributeError) as error:
            raise self._unreachable(url, error) from error
        finally:
            response.release_conn()
        if not isinstance(token, str) or not token.isprintable():
            self._fail(401, b"")
        return token

    def _checked(self, url: str) -> str:
        """Where a registry sends us must be as well protected as the registry itself has to be."""
        parts = urlsplit(url)
        if parts.scheme == "https" or (parts.scheme == "http" and parts.netloc in self._settings.plain_http):
            return url
        raise InvalidInput(
            f"its registry sends us to {parts.scheme}://{parts.netloc}, which is not among the hosts for plain HTTP"
        )

    def _is_ours(self, url: str) -> bool:
        return urlsplit(url)[:2] == urlsplit(self._base)[:2]

    def _read(self, response: "urllib3.BaseHTTPResponse", max_bytes: int) -> bytes:
        import urllib3

        try:
            data = response.read(max_bytes + 1, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(self._base, error) from error
        if len(data) > max_bytes:
            raise InvalidInput(f"its registry answers with more than {max_bytes} bytes where a document should be")
        return bytes(data)

    def _read_error(self, response: "urllib3.BaseHTTPResponse") -> bytes:
        try:
            return self._read(response, 8 * 1024)
        except (InvalidInput, TaskFailure):
            return b""
        finally:
            response.close()

    def _fail(self, status: int, body: bytes) -> NoReturn:
        name = self._reference
        if status in {401, 403}:
            raise TaskFailure(
                f"The registry refuses to give out {name} (HTTP {status}); give the service a registry_secret with a "
                f"login for {name.registry}, put one into the node's registry auth file, or check the image's name.",
                Reason.IMAGE_REFUSED,
                is_permanent=True,
            )
        if status == 404:
            raise TaskFailure(
                f"The registry has no image {name}; check its name and tag.{_said(body)}",
                Reason.IMAGE_NOT_FOUND,
                is_permanent=True,
            )
        raise TaskFailure(
            f"The registry of {name} answered HTTP {status}; it will be asked again.{_said(body)}",
            Reason.IMAGE_UNREACHABLE,
        )

    def _unreachable(self, url: str, error: Exception) -> TaskFailure:
        """`url` without its query: that may carry a signature."""
        host = urlsplit(url).netloc
        why = _cause(error)
        hint = ""
        if url.startswith("https:") and "SSL" in why.upper():
            hint = f" If {host} speaks plain HTTP, name it in the node's setting for plain-HTTP registries."
        return TaskFailure(
            f"The registry {host} of {self._reference} cannot be reached: {why}.{hint}", Reason.IMAGE_UNREACHABLE
        )


def _cause(error: Exception) -> str:
    text = str(error)
    return text.rpartition(": ")[2].rstrip(".") if len(text) > 160 else text.rstrip(".")


def _said(body: bytes) -> str:
    """The registry's own words, when they are short and plain."""
    try:
        message = json.loads(body)["errors"][0]["message"]
    except (ValueError, LookupError, TypeError):
        return ""
    return f" It says: {message}." if isinstance(message, str) and len(message) < 200 and message.isprintable() else ""
