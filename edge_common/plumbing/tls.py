"""TLS contexts of our own: a child trusts its parent's CA and one fixed name, and nothing else.

Addresses of a parent may change, and a child may reach it through another one, without a new certificate.
"""

import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_common.model.errors import Broken
from edge_common.plumbing.pki import PARENT_NAME

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The client's side, PEM. `certificate` and `key` are given together, or neither."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The server's side, PEM. `client_ca` signs the certificates that clients may show."""

    certificate: Path
    key: Path
    client_ca: Path


class RememberingSocket(ssl.SSLSocket):
    """Keeps why TLS failed. With TLS 1.3 a server refuses our certificate after the handshake, when nobody who only
    sees that the connection ended could tell."""

    failure: ssl.SSLError | None = None

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            with suppress(OSError):
                self.recv(1)  # the other side hung up, and the alert that says why may wait to be read
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.failure = error
            raise


class FixedNameContext(ssl.SSLContext):
    """Checks `server_name` whatever name its caller believes to have dialled."""

    server_name = PARENT_NAME
    sslsocket_class = RememberingSocket

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        return super().wrap_socket(*args, **{**options, "server_hostname": self.server_name})


class RenewingContext(ssl.SSLContext):
    """For a client that connects again and again and takes one context for ever: it reads `files` at each connection,
    so that a renewed certificate is used. It remembers the last connection, of which others may have let go."""

    files: TlsFiles | None = None
    _last: ssl.SSLSocket | None = None

    @property
    def failure(self) -> ssl.SSLError | None:
        """Why TLS ended the last connection, if it did so after the handshake."""
        return self._last.failure if isinstance(self._last, RememberingSocket) else None

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        self._last = None
        if self.files is None:
            raise Broken("TLS was used before and there are no files for it now; plain text is not an alternative.")
        self._last = client_context(self.files).wrap_socket(*args, **options)
        return self._last


def renewing_context(files: TlsFiles | None) -> RenewingContext:
    context = RenewingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.files = files
    return context


def client_context(files: TlsFiles, server_name: str = PARENT_NAME) -> ssl.SSLContext:
    """TLS 1.2 or newer. The files are read now: make a new context to take a renewed certificate.

    Raises Broken when one is missing or is not what it should be.
    """
    context = FixedNameContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = server_name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(files.ca)
        if files.certificate is not None:
            context.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as error:
        raise Broken(f"Cannot use {_names(files.ca, files.certificate, files.key)} for TLS: {error}.") from error
    return context


def unverified_context() -> ssl.SSLContext:
    """Believes anybody. Only for asking a parent for the CA that is then compared with a fingerprint."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def server_context(files: ServerTls) -> ssl.SSLContext:
    """TLS 1.2 or newer; a client may come without a certificate, one that it shows must be of `client_ca`.

    Raises Broken when a file is missing or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    try:
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(files.client_ca)
    except (OSError, ssl.SSLError) as error:
        raise Broken(f"Cannot use {_names(files.certificate, files.key, files.client_ca)} for TLS: {error}.") from error
    return context


def fetch_unverified(url: str, path: str, timeout_s: float = 10.0) -> Any:
    """The JSON that `url` answers to GET `path`, from whoever answers: send no secret and believe nothing before the
    CA in it is compared with a fingerprint. Raises as `HttpClient.request` does."""
    from urllib3 import disable_warnings

    from edge_common.plumbing.http_client import HttpClient

    disable_warnings()  # for the operator they would say what is done here on purpose
    client = HttpClient(url, timeout_s, context=unverified_context())
    try:
        return client.request("GET", path)
    finally:
        client.close()


def _names(*files: Path | None) -> str:
    return ", ".join(str(file) for file in files if file is not None)
