"""HTTP with JSON between our own parts: one request, one deadline, errors as ours. Nothing is tried twice."""

import json as json_codec
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlencode, urlsplit

from edge_common.model.errors import (
    Broken,
    Conflict,
    Forbidden,
    HedgerowError,
    Incompatible,
    InvalidInput,
    NotFound,
    Overloaded,
    Temporary,
    TooLarge,
    Unauthenticated,
    Unreachable,
    Unsupported,
)
from edge_common.plumbing.addresses import is_loopback
from edge_common.plumbing.tls import RenewingContext, TlsFiles, renewing_context
from edge_common.plumbing.tls_errors import explain, is_refusal

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

Params: TypeAlias = Mapping[str, str | int | float | bool | None]

MAX_BODY_BYTES = 64 * 1024 * 1024
_POOLED_CONNECTIONS = 8
_BY_STATUS: dict[int, type[HedgerowError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    426: Incompatible,
    429: Overloaded,
    502: Unreachable,
    504: Unreachable,
}


class HttpClient:
    """Thread-safe. With https:// the server must be ours: `tls` says by which CA, else the system's CAs vouch for the
    host's name. `context` takes the place of `tls`, which is read at each connection.

    urllib3 is imported at the first request: a node that never makes one does not pay for it.
    Raises InvalidInput for http:// to another machine: tokens and passwords would be there for all to read.
    """

    def __init__(
        self,
        base_url: str,
        timeout_s: float = 10.0,
        token: str | None = None,
        *,
        tls: TlsFiles | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.token = token
        self._timeout_s = timeout_s
        self._context = renewing_context(tls) if tls is not None else context
        self._pool: PoolManager | None = None
        refuse_plain(self.base_url)

    def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The decoded answer, None when it is empty.

        Raises the error that the server's status stands for, with the server's own message; Unreachable when there
        was no answer in time; Broken when the answer is no JSON.
        """
        status, body = self._send(method, path, json, params, headers)
        if 200 <= status < 300:
            return self._decode(body, path)
        raise _refusal(status, body, f"{method} {self.base_url}{path}")

    def close(self) -> None:
        if self._pool is not None:
            self._pool.clear()

    def _send(
        self, method: str, path: str, json: Any, params: Params | None, headers: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        from urllib3.exceptions import HTTPError

        url = self.base_url + path + _query(params or {})
        body = None if json is None else json_codec.dumps(json, separators=(",", ":")).encode()
        try:
            response = self._connections().request(
                method,
                url,
                body=body,
                headers=self._headers(headers, has_body=json is not None),
                preload_content=False,
                redirect=False,
            )
            return response.status, self._read(response)
        except HTTPError as error:
            raise self._failure(error, f"{method} {path}") from error

    def _failure(self, error: Exception, request: str) -> HedgerowError:
        cause = error.args[0] if error.args and isinstance(error.args[0], ssl.SSLError) else error.__cause__
        if isinstance(self._context, RenewingContext) and self._context.failure is not None:
            cause = self._context.failure
        if isinstance(cause, ssl.SSLError):
            return (Forbidden if is_refusal(cause) else Unreachable)(explain(cause, self.base_url))
        return Unreachable(f"{self.base_url} did not answer {request}: {error}")

    def _connections(self) -> "PoolManager":
        if self._pool is None:
            from urllib3 import PoolManager, Timeout

            self._pool = PoolManager(
                num_pools=1,
                maxsize=_POOLED_CONNECTIONS,
                retries=False,
                timeout=Timeout(total=self._timeout_s),
                ssl_context=self._context,
            )
        return self._pool

    def _headers(self, extra: Mapping[str, str] | None, *, has_body: bool) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if has_body:
            headers["Content-Type"] = "application/json"
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers | dict(extra or {})

    def _read(self, response: "BaseHTTPResponse") -> bytes:
        body = response.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            response.close()
            raise TooLarge(f"{self.base_url} answered with more than {MAX_BODY_BYTES} bytes.")
        response.release_conn()
        return body

    def _decode(self, body: bytes, path: str) -> Any:
        if not body.strip():
            return None
        try:
            return json_codec.loads(body)
        except ValueError as error:
            raise Broken(
                f"{self.base_url}{path} answered with something that is not JSON. Is the address right?"
            ) from error


def refuse_plain(url: str) -> None:
    """Raises InvalidInput for http:// to another machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return  # urllib3 says at the first request what is wrong with it
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidInput(
            f"{url} is on another machine and plain: what is sent there could be read on the way. Use https://.", "url"
        )


def _query(params: Params) -> str:
    given = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in params.items()
        if value is not None
    }
    return f"?{urlencode(given)}" if given else ""


def _refusal(status: int, body: bytes, request: str) -> HedgerowError:
    message, field = _explained(body)
    message = message or f"{request} was answered with status {status}."
    if status == 501:
        return Unsupported(message, field)
    if status in _BY_STATUS:
        return _BY_STATUS[status](message)
    if 400 <= status < 500:
        return InvalidInput(message, field)
    if status >= 500:
        return Temporary(message)
    return Broken(f"{request} was answered with status {status}. Is the address right?")


def _explained(body: bytes) -> tuple[str, str]:
    """The message and the field of an error in our format; two empty texts for anything else."""
    try:
        answer = json_codec.loads(body)
    except ValueError:
        return "", ""
    if not isinstance(answer, dict):
        return "", ""
    message, field = answer.get("message"), answer.get("field")
    return message if isinstance(message, str) else "", field if isinstance(field, str) else ""
