"""Who a child is to its parent: its key, its certificate, and the parent's CA, in a directory of their own.

`key.pem`, `cert.pem`, `ca.pem`, `identity.json`. Survives reboots and changes of host name and address.
"""

from dataclasses import dataclass
from pathlib import Path

from edge_common.model.errors import Broken, Incompatible, InvalidInput
from edge_common.model.ids import ChildId
from edge_common.plumbing import pki
from edge_common.plumbing.files import write_secret
from edge_common.plumbing.mqtt_types import MqttEndpoint
from edge_common.plumbing.tls import TlsFiles
from edge_common.wire.codec import decode, encode
from edge_common.wire.join_messages import MqttAccess

DIRECTORY = "identity"
_OLD_FILE = "identity.json"


@dataclass(frozen=True, slots=True)
class Identity:
    """`tls` are files, which a renewal replaces; both times are those of the certificate."""

    child_id: ChildId
    parent_name: str
    mqtt: MqttAccess
    certificate_starts_s: float
    certificate_ends_s: float
    tls: TlsFiles

    @property
    def endpoint(self) -> MqttEndpoint:
        return MqttEndpoint(
            self.mqtt.host,
            self.mqtt.port,
            self.mqtt.username,
            self.mqtt.password,
            tls=self.tls if self.mqtt.is_tls else None,
        )


@dataclass(frozen=True, slots=True)
class _Kept:
    child_id: ChildId
    parent_name: str
    mqtt: MqttAccess
    certificate_starts_s: float
    certificate_ends_s: float


class IdentityFiles:
    def __init__(self, data_dir: Path) -> None:
        self.directory = data_dir / DIRECTORY
        self._old_file = data_dir / _OLD_FILE
        self.ca_file = self.directory / "ca.pem"
        self._key_file = self.directory / "key.pem"
        self._certificate_file = self.directory / "cert.pem"
        self._kept_file = self.directory / "identity.json"

    def load(self) -> Identity | None:
        """What the last join brought; None before the first. Raises Broken when something is damaged or missing."""
        kept = self._load()
        if kept is None:
            return None
        for file in (self._key_file, self._certificate_file, self.ca_file):
            if not file.exists():
                raise Broken(f"{file} is missing; restore it, or delete {self.directory} to join as a new child.")
        tls = TlsFiles(self.ca_file, self._certificate_file, self._key_file)
        return Identity(
            kept.child_id, kept.parent_name, kept.mqtt, kept.certificate_starts_s, kept.certificate_ends_s, tls
        )

    def key(self) -> pki.PrivateKey:
        """Made the first time. Raises Broken when the file holds no key, or an identity of another version is there."""
        if self._old_file.exists() and not self._key_file.exists():
            raise Broken(
                f"{self._old_file} is an identity of an earlier version, which had a secret in the place of a key. "
                "Delete it; this child then joins as a new one, with a token or through the waiting room."
            )
        return pki.load_or_make_key(self._key_file)

    def ca(self) -> str | None:
        """The CA that this child trusts, in PEM."""
        return self.ca_file.read_text("utf-8") if self.ca_file.exists() else None

    def keep_ca(self, ca: str) -> None:
        write_secret(self.ca_file, ca)

    def keep(self, child_id: ChildId, parent_name: str, mqtt: MqttAccess, certificate: str) -> Identity:
        """Raises Broken for a certificate that is not for this key, or not of the CA that is kept."""
        self._check(certificate)
        write_secret(self._certificate_file, certificate)
        starts_s, ends_s = pki.certificate_start_s(certificate), pki.certificate_end_s(certificate)
        write_secret(self._kept_file, encode(_Kept(child_id, parent_name, mqtt, starts_s, ends_s)).decode())
        tls = TlsFiles(self.ca_file, self._certificate_file, self._key_file)
        return Identity(child_id, parent_name, mqtt, starts_s, ends_s, tls)

    def forget_access(self) -> None:
        """Where the broker is, and the password there: the child asks for both again when it starts."""
        self._kept_file.unlink(missing_ok=True)

    def keep_certificate(self, certificate: str) -> Identity:
        """A renewed one. Raises Broken as `keep` does."""
        kept = self._load()
        if kept is None:
            raise Broken(f"{self._kept_file} is missing, so there is no certificate to renew.")
        return self.keep(kept.child_id, kept.parent_name, kept.mqtt, certificate)

    def _check(self, certificate: str) -> None:
        ca = self.ca()
        try:
            is_ours = pki.matches_key(certificate, self.key())
            is_signed = ca is not None and pki.is_issued_by(certificate, ca)
        except InvalidInput as error:
            raise Broken(f"The parent sent a certificate that cannot be read: {error}") from error
        if not is_ours:
            raise Broken("The parent sent a certificate for another key than this child's; it is not used.")
        if not is_signed:
            raise Broken("The parent sent a certificate of another CA than the one this child knows; it is not used.")

    def _load(self) -> _Kept | None:
        try:
            return decode(_Kept, self._kept_file.read_bytes())
        except FileNotFoundError:
            return None
        except (InvalidInput, Incompatible) as error:
            raise Broken(
                f"{self._kept_file} is damaged; restore it, or delete it and this child joins again by its key."
            ) from error
