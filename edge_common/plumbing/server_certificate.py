"""A tier's own certificates on disk, beside its authority: what it serves, and what it shows to its broker."""

from collections.abc import Sequence
from pathlib import Path

from edge_common.model.errors import InvalidInput
from edge_common.plumbing.files import write_secret
from edge_common.plumbing.pki import (
    CA_LIFE_S,
    PARENT_NAME,
    SERVER_LIFE_S,
    Authority,
    PrivateKey,
    certificate_end_s,
    is_issued_by,
    load_or_make_key,
    matches_key,
    server_names,
)
from edge_common.plumbing.tls import ServerTls, TlsFiles

FRESH_SHARE = 0.5


def keep_server_certificate(authority: Authority, directory: Path, hosts: Sequence[str], now_s: float) -> ServerTls:
    """`server.crt` and `server.key` in the authority's directory, made anew when less than half of their life is left,
    when another authority made them, when they lack one of `hosts`, or when they do not belong together, as after a
    crash between the two."""
    files = ServerTls(directory / "server.crt", directory / "server.key", directory / "ca.crt")
    if not _is_fit(authority, files, hosts, now_s):
        made = authority.issue_server(hosts, now_s)
        write_secret(files.certificate, made.certificate_pem)
        write_secret(files.key, made.key_pem)
    return files


def keep_own_certificate(authority: Authority, directory: Path, name: str, now_s: float) -> TlsFiles:
    """`own.crt` and `own.key`, a client's, which last as long as the authority: its key lies beside them anyway."""
    files = TlsFiles(directory / "ca.crt", directory / "own.crt", directory / "own.key")
    key = load_or_make_key(directory / "own.key")
    if not _is_own(authority, directory / "own.crt", key):
        made = authority.issue_child(key.make_csr(), name, now_s, CA_LIFE_S)
        write_secret(directory / "own.crt", made)
    return files


def _is_own(authority: Authority, file: Path, key: PrivateKey) -> bool:
    try:
        certificate = file.read_text("utf-8")
        return matches_key(certificate, key) and is_issued_by(certificate, authority.certificate_pem)
    except (OSError, InvalidInput):
        return False


def _is_fit(authority: Authority, files: ServerTls, hosts: Sequence[str], now_s: float) -> bool:
    try:
        certificate = files.certificate.read_text("utf-8")
        return (
            matches_key(certificate, PrivateKey(files.key.read_text("utf-8")))
            and is_issued_by(certificate, authority.certificate_pem)
            and certificate_end_s(certificate) - now_s > SERVER_LIFE_S * FRESH_SHARE
            and {PARENT_NAME, *hosts} <= server_names(certificate)
        )
    except (OSError, ValueError, InvalidInput):
        return False
