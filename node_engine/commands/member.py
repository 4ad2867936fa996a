"""What this node keeps of its membership."""

from dataclasses import dataclass

from edge_common.link.child_keys import child_id_of, key_fingerprint_of
from edge_common.link.identity import IdentityFiles
from edge_common.plumbing.pki import certificate_fingerprint
from node_engine.settings import Settings


@dataclass(frozen=True, slots=True)
class Member:
    """`parent_name` "" until it was admitted. Fingerprints are SHA-256 in hex; "" is not known."""

    child_id: str
    key_fingerprint: str
    parent_name: str = ""
    ca_fingerprint: str = ""
    certificate_end_s: float | None = None

    @property
    def is_admitted(self) -> bool:
        return self.certificate_end_s is not None


def read_member(settings: Settings) -> Member | None:
    """None before it ever asked. Raises Broken when its files are damaged."""
    files = IdentityFiles(settings.data_dir)
    if not (files.directory / "key.pem").exists():
        return None
    public_der = files.key().public_der
    ca = files.ca()
    known = Member(
        child_id=str(child_id_of(public_der)),
        key_fingerprint=key_fingerprint_of(public_der),
        ca_fingerprint=certificate_fingerprint(ca) if ca else "",
    )
    identity = files.load()
    if identity is None:
        return known
    return Member(
        known.child_id,
        known.key_fingerprint,
        identity.parent_name,
        known.ca_fingerprint,
        identity.certificate_ends_s,
    )
