"""An authority in a directory, and what it signs for the two ends of a connection."""

import time
from pathlib import Path

from edge_common.plumbing.pki import make_key, open_authority
from edge_common.plumbing.server_certificate import keep_server_certificate
from edge_common.plumbing.tls import ServerTls, TlsFiles

DAY_S = 86_400.0


class Trust:
    def __init__(self, directory: Path, name: str = "root") -> None:
        self.directory = directory
        self.authority = open_authority(directory, name, time.time())

    @property
    def ca(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def server(self) -> ServerTls:
        return keep_server_certificate(self.authority, self.directory, [], time.time())

    def child(self, name: str, ends_in_s: float = DAY_S, trusts: Path | None = None) -> TlsFiles:
        """A new key and a certificate of 30 days; the child believes this authority unless it `trusts` another."""
        key = make_key()
        life_s = 30 * DAY_S
        made = self.authority.issue_child(key.make_csr(), name, time.time() + ends_in_s - life_s, life_s)
        files = TlsFiles(trusts or self.ca, self.directory / f"{name}.crt", self.directory / f"{name}.key")
        (self.directory / f"{name}.crt").write_text(made)
        (self.directory / f"{name}.key").write_text(key.pem)
        return files
