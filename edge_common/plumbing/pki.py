"""Keys and certificates: what a parent signs and what a child shows. P-256 throughout.

`cryptography` costs megabytes, so it is imported where it is used: a node that has its certificate never pays for it.
"""

import base64
import datetime
import fcntl
import hashlib
import ipaddress
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_common.model.errors import Broken, InvalidInput
from edge_common.plumbing.files import write_secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder, GeneralName, Name

FINGERPRINT_LENGTH: Final = 64
PARENT_NAME: Final = "hedgerow-parent"
"""In the certificate of each server of ours: a child checks this name, whatever address it dialled."""
CA_LIFE_S: Final = 10 * 365 * 86_400.0
SERVER_LIFE_S: Final = 2 * 365 * 86_400.0
CLOCK_MARGIN_S: Final = 86_400.0
"""How far into the past our certificates begin, for machines whose clock is late."""
MAX_PEM_LENGTH: Final = 16 * 1024
_MAX_SIGNATURE_LENGTH = 256
_MAX_NAME_LENGTH = 40
_PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")


@dataclass(frozen=True, slots=True)
class KeyPair:
    key_pem: str = field(repr=False)
    certificate_pem: str


@dataclass(frozen=True, slots=True)
class PrivateKey:
    pem: str = field(repr=False)

    @property
    def public_der(self) -> bytes:
        """SubjectPublicKeyInfo."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return _load_key(self.pem).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, message: bytes) -> str:
        """ECDSA with SHA-256, DER in base64; another text each time."""
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        return base64.b64encode(_load_key(self.pem).sign(message, ECDSA(SHA256()))).decode()

    def make_csr(self) -> str:
        """It only carries the key: whoever signs it decides the name."""
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import Encoding
        from cryptography.x509 import CertificateSigningRequestBuilder, Name

        request = CertificateSigningRequestBuilder().subject_name(Name([])).sign(_load_key(self.pem), SHA256())
        return request.public_bytes(Encoding.PEM).decode()


def make_key() -> PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    made = generate_private_key(SECP256R1())
    return PrivateKey(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def load_or_make_key(file: Path) -> PrivateKey:
    """Raises Broken for a file that holds no P-256 key: a new one would be another identity."""
    if not file.exists():
        write_secret(file, make_key().pem)
    key = PrivateKey(file.read_text("utf-8"))
    try:
        _load_key(key.pem)
    except ValueError as error:
        raise Broken(f"{file} holds no P-256 key ({error}). Restore it from a backup, or remove it.") from None
    return key


@dataclass(frozen=True, slots=True)
class Authority:
    """A tier's certificate authority: a self-signed certificate that its children pin, and what it signs."""

    certificate_pem: str
    key: PrivateKey = field(repr=False)

    @property
    def fingerprint(self) -> str:
        return certificate_fingerprint(self.certificate_pem)

    def issue_child(self, csr_pem: str, child_id: str, now_s: float, life_s: float) -> str:
        """The certificate in PEM, which names `child_id`, whatever the request says. Raises InvalidInput as
        `public_der_of_csr` does. It begins a tenth of its life, at most a day, before `now_s`."""
        from cryptography.x509 import ExtendedKeyUsage
        from cryptography.x509.oid import ExtendedKeyUsageOID

        margin_s = min(CLOCK_MARGIN_S, life_s / 10)
        builder = self._begin(public_der_of_csr(csr_pem), child_id, now_s - margin_s, now_s + life_s)
        return self._finish(builder.add_extension(ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False))

    def issue_server(self, hosts: Sequence[str], now_s: float) -> KeyPair:
        """For `PARENT_NAME` and these host names and IP addresses. Raises InvalidInput for one that is neither."""
        from cryptography.x509 import ExtendedKeyUsage, SubjectAlternativeName
        from cryptography.x509.oid import ExtendedKeyUsageOID

        key = make_key()
        names = [_general_name(host) for host in dict.fromkeys((PARENT_NAME, *hosts))]
        builder = self._begin(key.public_der, PARENT_NAME, now_s - CLOCK_MARGIN_S, now_s + SERVER_LIFE_S)
        builder = builder.add_extension(SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return KeyPair(key.pem, self._finish(builder))

    def _begin(self, public_der: bytes, name: str, start_s: float, end_s: float) -> "CertificateBuilder":
        from cryptography.x509 import AuthorityKeyIdentifier, SubjectKeyIdentifier

        ca = load_certificate(self.certificate_pem)
        end_s = min(end_s, ca.not_valid_after_utc.timestamp())
        own_id = ca.extensions.get_extension_for_class(SubjectKeyIdentifier).value
        return (
            _builder(public_der, name, start_s, end_s, is_ca=False)
            .issuer_name(ca.subject)
            .add_extension(AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_id), critical=False)
        )

    def _finish(self, builder: "CertificateBuilder") -> str:
        return _sign(builder, self.key)


def open_authority(directory: Path, name: str, now_s: float) -> Authority:
    """The authority in `directory` (`ca.crt`, `ca.key`), made when there is none; safe from several processes at once.

    `name` is for people who look at the certificate. Raises Broken when the two files do not belong together: a new
    authority would shut out every child, so an operator has to decide that.
    """
    with _locked(directory):
        certificate, key_file = directory / "ca.crt", directory / "ca.key"
        if certificate.exists() and not key_file.exists():
            raise Broken(f"{key_file} is missing beside {certificate}; restore it from a backup.")
        key = load_or_make_key(key_file)
        if not certificate.exists():
            write_secret(certificate, _self_signed(key, name, now_s))
            certificate.chmod(0o644)
        authority = Authority(certificate.read_text("utf-8"), key)
    if not matches_key(authority.certificate_pem, key):
        raise Broken(f"{key_file} is not the key of {certificate}; restore both from one backup.")
    return authority


def public_der_of_csr(csr_pem: str) -> bytes:
    """SubjectPublicKeyInfo of the key that made it.

    Raises InvalidInput unless it is a certificate signing request of a P-256 key, signed by that key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from cryptography.x509 import InvalidVersion, load_pem_x509_csr

    if len(csr_pem) > MAX_PEM_LENGTH:
        raise InvalidInput(f"The certificate signing request must have at most {MAX_PEM_LENGTH} characters.", "csr")
    try:
        request = load_pem_x509_csr(csr_pem.encode())
        key = request.public_key()
        is_sound = request.is_signature_valid
    except (ValueError, InvalidVersion, UnsupportedAlgorithm):
        raise InvalidInput("The certificate signing request cannot be read; send PEM of a P-256 key.", "csr") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise InvalidInput("The certificate signing request must be for a P-256 key.", "csr")
    if not is_sound:
        raise InvalidInput("The certificate signing request is not signed by its own key.", "csr")
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def verify_signature(public_der: bytes, message: bytes, signature: str) -> bool:
    """Whether `signature`, as `PrivateKey.sign` makes it, is of this message by this key; False for any nonsense."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    if len(signature) > _MAX_SIGNATURE_LENGTH:
        return False
    try:
        key = load_der_public_key(public_der)
        raw = base64.b64decode(signature, validate=True)
    except (ValueError, UnsupportedAlgorithm):
        return False
    if not isinstance(key, EllipticCurvePublicKey):
        return False
    try:
        key.verify(raw, message, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def certificate_fingerprint(pem: str) -> str:
    """SHA-256 of the DER, lower-case hex. Raises InvalidInput for what is no certificate in PEM."""
    return hashlib.sha256(_der(pem)).hexdigest()


def certificate_start_s(pem: str) -> float:
    return load_certificate(pem).not_valid_before_utc.timestamp()


def certificate_end_s(pem: str) -> float:
    return load_certificate(pem).not_valid_after_utc.timestamp()


def matches_key(certificate_pem: str, key: PrivateKey) -> bool:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    certified = load_certificate(certificate_pem).public_key()
    return certified.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == key.public_der


def is_issued_by(certificate_pem: str, ca_pem: str) -> bool:
    """By signature and name; neither the dates nor what the certificate is for are looked at."""
    from cryptography.exceptions import InvalidSignature

    try:
        load_certificate(certificate_pem).verify_directly_issued_by(load_certificate(ca_pem))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def server_names(certificate_pem: str) -> frozenset[str]:
    """The host names and addresses that a server certificate is for."""
    from cryptography.x509 import ExtensionNotFound, SubjectAlternativeName

    try:
        names = load_certificate(certificate_pem).extensions.get_extension_for_class(SubjectAlternativeName)
    except (ExtensionNotFound, ValueError):
        return frozenset()
    return frozenset(str(name.value) for name in names.value)


def load_certificate(pem: str) -> "Certificate":
    """Raises InvalidInput for what is no certificate in PEM."""
    from cryptography.x509 import InvalidVersion, load_pem_x509_certificate

    _der(pem)
    try:
        return load_pem_x509_certificate(pem.encode())
    except (ValueError, InvalidVersion) as error:
        raise InvalidInput(f"The certificate cannot be read: {error}.", "certificate") from None


def _load_key(pem: str) -> "EllipticCurvePrivateKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("it is a key of another kind")
    return key


def _der(pem: str) -> bytes:
    """Strict, so that whoever else reads the text finds the same certificate in it."""
    match = _PEM.fullmatch(pem) if len(pem) <= MAX_PEM_LENGTH else None
    try:
        if match is not None:
            return base64.b64decode("".join(match[1].split()), validate=True)
    except ValueError:
        pass
    raise InvalidInput(f"This is not one certificate in PEM of at most {MAX_PEM_LENGTH} characters.", "certificate")


def _self_signed(key: PrivateKey, name: str, now_s: float) -> str:
    public_der = key.public_der
    mark = hashlib.sha256(public_der).hexdigest()[:8]
    called = f"Hedgerow {name[:_MAX_NAME_LENGTH]} {mark}"  # no two share a name: OpenSSL finds an issuer by it
    builder = _builder(public_der, called, now_s - CLOCK_MARGIN_S, now_s + CA_LIFE_S, is_ca=True)
    return _sign(builder.issuer_name(_name(called)), key)


def _builder(public_der: bytes, name: str, start_s: float, end_s: float, *, is_ca: bool) -> "CertificateBuilder":
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    key = load_der_public_key(public_der)
    if not isinstance(key, EllipticCurvePublicKey):
        raise InvalidInput("The key must be a P-256 key.")
    usage = x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime.fromtimestamp(int(start_s), datetime.UTC))
        .not_valid_after(datetime.datetime.fromtimestamp(int(end_s), datetime.UTC))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _sign(builder: "CertificateBuilder", key: PrivateKey) -> str:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    return builder.sign(_load_key(key.pem), SHA256()).public_bytes(Encoding.PEM).decode()


def _name(common_name: str) -> "Name":
    from cryptography.x509 import Name, NameAttribute
    from cryptography.x509.oid import NameOID

    return Name([NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> "GeneralName":
    from cryptography.x509 import DNSName, IPAddress

    try:
        return IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return DNSName(host)
    except ValueError:
        raise InvalidInput(f"{host!r} is neither a host name nor an IP address.") from None


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
