"""Who the operator is: the session that `hedgerow login` or `hedgerow up` left, and requests made with it."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from edge_common.model.errors import HedgerowError, Unauthenticated
from edge_common.plumbing.http_client import HttpClient, Params
from edge_common.plumbing.tls import TlsFiles
from hedgerow.machine.files import SECRET, write_if_changed
from hedgerow.machine.layout import Layout, find_layout
from hedgerow.machine.programs import ROOT

URL_VARIABLE = "HEDGEROW_URL"
CA_VARIABLE = "HEDGEROW_CA"
TOKEN_VARIABLE = "HEDGEROW_TOKEN"  # noqa: S105 - the name of a variable
REQUEST_TIMEOUT_S = 30.0
_LOG_IN = "Run `hedgerow login`."


@dataclass(frozen=True, slots=True)
class Session:
    """A session without a refresh token ends with its token. `ca`: the file with the root's CA, with https://."""

    url: str
    token: str = field(repr=False)
    username: str = ""
    refresh_token: str = field(default="", repr=False)
    ca: str = ""


def load(path: Path) -> Session | None:
    try:
        return Session(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise Unauthenticated(f"The session in {path} is damaged. {_LOG_IN}") from error


def save(path: Path, session: Session) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_if_changed(path, json.dumps(asdict(session), indent=1) + "\n", SECRET)


def log_in(url: str, username: str, password: str, ca: str = "") -> Session:
    client = _client(url, None, ca)
    try:
        answer = client.request("POST", "/api/auth/login", json={"username": username, "password": password})
    finally:
        client.close()
    return Session(url, answer["token"], username, answer.get("refresh_token", ""), ca)


def _client(url: str, token: str | None, ca: str) -> HttpClient:
    return HttpClient(url, timeout_s=REQUEST_TIMEOUT_S, token=token, tls=TlsFiles(Path(ca)) if ca else None)


class Api:
    """The root's API in the name of the session's user. An expired token is renewed once.

    A refresh token counts once, so what came of it goes into `file`, which other commands of this user share.
    """

    def __init__(self, session: Session, file: Path | None = None) -> None:
        self._session = session
        self._file = file
        self._client = _client(session.url, session.token, session.ca)

    @property
    def url(self) -> str:
        return self._session.url

    @property
    def username(self) -> str:
        """ "" for a token of the environment, which is known to the root alone."""
        return self._session.username

    def get(self, path: str, params: Params | None = None) -> Any:
        return self.request("GET", path, params=params)

    def request(self, method: str, path: str, json: Any = None, params: Params | None = None) -> Any:
        with suppress(Unauthenticated):
            return self._client.request(method, path, json=json, params=params)
        if self._take_renewed():
            with suppress(Unauthenticated):
                return self._client.request(method, path, json=json, params=params)
        self._renew()
        return self._client.request(method, path, json=json, params=params)

    def _take_renewed(self) -> bool:
        """Whether another command has renewed the session meanwhile."""
        stored = None if self._file is None else load(self._file)
        mine = self._session
        if stored is None or (stored.url, stored.username) != (mine.url, mine.username) or stored.token == mine.token:
            return False
        self._use(stored)
        return True

    def _use(self, session: Session) -> None:
        self._session = session
        self._client.token = session.token

    def _renew(self) -> None:
        if not self._session.refresh_token:
            raise Unauthenticated(
                f"The root at {self.url} does not accept the token in {TOKEN_VARIABLE}: it is wrong, expired or "
                "revoked. Make another with `hedgerow api-token create`, or unset it."
            )
        client = _client(self.url, self._session.refresh_token, self._session.ca)
        try:
            answer = client.request("POST", "/api/auth/refresh")
        except Unauthenticated:
            raise Unauthenticated(f"Your session at {self.url} has ended. {_LOG_IN}") from None
        finally:
            client.close()
        refresh_token = answer.get("refresh_token", self._session.refresh_token)
        self._use(replace(self._session, token=answer["token"], refresh_token=refresh_token))
        if self._file is not None:
            save(self._file, self._session)


def connect(environ: Mapping[str, str] = os.environ) -> Api:
    """With HEDGEROW_URL, HEDGEROW_TOKEN and HEDGEROW_CA where they are set, else as the stored session."""
    layout = find_layout(environ)
    path = layout.session
    stored = load(path)
    url = environ.get(URL_VARIABLE) or (stored.url if stored else "")
    if environ.get(TOKEN_VARIABLE):
        url = url or layout.api_url
        known = stored.ca if stored is not None and stored.url == url else ""
        return Api(Session(url, environ[TOKEN_VARIABLE], ca=environ.get(CA_VARIABLE) or known or local_ca(layout, url)))
    if stored is None or stored.url != url:
        where = f" at {url}" if url else ""
        raise Unauthenticated(f"You are not logged in{where}. {_LOG_IN}")
    return Api(stored, path)


def local_ca(layout: Layout, url: str) -> str:
    """The file of the CA of this machine's own root; "" for another one."""
    tls = layout.tls_of(ROOT) if url == layout.api_url else None
    return "" if tls is None else str(tls.ca)


def is_alive(api: Api) -> bool:
    """Whether the root still takes its session, renewing it if it must."""
    try:
        api.get("/api/clusters")
    except HedgerowError:
        return False
    return True
