import base64
import datetime
import stat
import tempfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from edge_common.model.errors import Broken, InvalidInput
from edge_common.plumbing import pki
from edge_common.plumbing.server_certificate import keep_server_certificate
from edge_common.plumbing.tls import server_context

NOW_S = 1_800_000_000.0
DAY_S = 86_400.0
KEY = pki.make_key()


@pytest.fixture
def authority(tmp_path: Path) -> pki.Authority:
    return pki.open_authority(tmp_path / "ca", "root", NOW_S)


def usages(pem: str) -> list[str]:
    extension = pki.load_certificate(pem).extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    return [usage._name for usage in extension.value]


def test_an_authority_is_made_once(tmp_path: Path) -> None:
    first = pki.open_authority(tmp_path / "ca", "root", NOW_S)
    assert pki.open_authority(tmp_path / "ca", "other", NOW_S + DAY_S) == first
    assert len(first.fingerprint) == pki.FINGERPRINT_LENGTH
    assert first.fingerprint == pki.certificate_fingerprint(first.certificate_pem)
    assert stat.S_IMODE((tmp_path / "ca/ca.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ca/ca.crt").stat().st_mode) == 0o644
    assert pki.is_issued_by(first.certificate_pem, first.certificate_pem)
    assert pki.certificate_end_s(first.certificate_pem) == NOW_S + pki.CA_LIFE_S


def test_a_start_that_died_between_the_two_files_goes_on_with_the_key(tmp_path: Path) -> None:
    key = pki.load_or_make_key(tmp_path / "ca/ca.key")
    assert pki.open_authority(tmp_path / "ca", "root", NOW_S).key == key


def test_half_an_authority_is_not_replaced(tmp_path: Path) -> None:
    pki.open_authority(tmp_path / "one", "root", NOW_S)
    (tmp_path / "one/ca.key").unlink()
    with pytest.raises(Broken, match=r"ca.key is missing"):
        pki.open_authority(tmp_path / "one", "root", NOW_S)
    pki.load_or_make_key(tmp_path / "one/ca.key")
    with pytest.raises(Broken, match=r"ca.key is not the key of"):
        pki.open_authority(tmp_path / "one", "root", NOW_S)


def test_a_key_is_kept_and_one_that_cannot_be_read_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "identity/key.pem"
    assert pki.load_or_make_key(file) == pki.load_or_make_key(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("rubbish")
    with pytest.raises(Broken, match="holds no P-256 key"):
        pki.load_or_make_key(file)


def test_no_secret_is_in_a_repr(authority: pki.Authority) -> None:
    pair = authority.issue_server([], NOW_S)
    shown = f"{authority} {KEY} {pair} {authority!r} {KEY!r} {pair!r}"
    assert "PRIVATE" not in shown


def test_a_child_certificate(authority: pki.Authority) -> None:
    pem = authority.issue_child(KEY.make_csr(), "c0ffee", NOW_S, 30 * DAY_S)
    assert pki.matches_key(pem, KEY)
    assert not pki.matches_key(pem, pki.make_key())
    assert pki.is_issued_by(pem, authority.certificate_pem)
    assert usages(pem) == ["clientAuth"]
    certificate = pki.load_certificate(pem)
    assert certificate.subject.rfc4514_string() == "CN=c0ffee"
    assert (pki.certificate_start_s(pem), pki.certificate_end_s(pem)) == (NOW_S - DAY_S, NOW_S + 30 * DAY_S)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_short_life_begins_a_tenth_of_it_before(authority: pki.Authority) -> None:
    pem = authority.issue_child(KEY.make_csr(), "c0ffee", NOW_S, 100)
    assert (pki.certificate_start_s(pem), pki.certificate_end_s(pem)) == (NOW_S - 10, NOW_S + 100)


def test_nothing_outlives_its_authority(authority: pki.Authority) -> None:
    late_s = NOW_S + pki.CA_LIFE_S - DAY_S
    pem = authority.issue_child(KEY.make_csr(), "c0ffee", late_s, 30 * DAY_S)
    assert pki.certificate_end_s(pem) == pki.certificate_end_s(authority.certificate_pem)


def test_a_server_certificate(authority: pki.Authority) -> None:
    pem = authority.issue_server(["10.1.2.3", "edge.example", "::1", "edge.example"], NOW_S).certificate_pem
    assert usages(pem) == ["serverAuth"]
    assert pki.server_names(pem) == {pki.PARENT_NAME, "10.1.2.3", "edge.example", "::1"}
    assert pki.certificate_end_s(pem) == NOW_S + pki.SERVER_LIFE_S


def test_a_host_that_is_none(authority: pki.Authority) -> None:
    with pytest.raises(InvalidInput, match="neither a host name nor an IP address"):
        authority.issue_server(["münchen"], NOW_S)


def test_another_authority_issued_nothing_of_ours(authority: pki.Authority, tmp_path: Path) -> None:
    other = pki.open_authority(tmp_path / "other", "root", NOW_S)
    pem = authority.issue_child(KEY.make_csr(), "c0ffee", NOW_S, DAY_S)
    assert not pki.is_issued_by(pem, other.certificate_pem)
    assert (
        pki.load_certificate(other.certificate_pem).subject != pki.load_certificate(authority.certificate_pem).subject
    )


def test_a_server_certificate_is_kept_while_it_is_fit(authority: pki.Authority, tmp_path: Path) -> None:
    def kept(hosts: list[str], now_s: float, signer: pki.Authority = authority) -> str:
        files = keep_server_certificate(signer, tmp_path / "ca", hosts, now_s)
        assert pki.matches_key(files.certificate.read_text(), pki.PrivateKey(files.key.read_text()))
        return files.certificate.read_text()

    first = kept(["10.0.0.1"], NOW_S)
    assert kept(["10.0.0.1"], NOW_S + DAY_S) == first
    assert kept([], NOW_S + DAY_S) == first
    moved = kept(["10.0.0.2"], NOW_S + DAY_S)
    assert moved != first
    late = kept(["10.0.0.2"], NOW_S + pki.SERVER_LIFE_S / 2 + 2 * DAY_S)
    assert late != moved
    other = pki.open_authority(tmp_path / "other", "root", NOW_S)
    assert pki.is_issued_by(kept(["10.0.0.2"], NOW_S + DAY_S, other), other.certificate_pem)
    (tmp_path / "ca/server.key").write_text("rubbish")
    (tmp_path / "ca/server.crt").write_text("rubbish")
    kept(["10.0.0.2"], NOW_S)


def test_a_server_certificate_whose_key_was_not_written_any_more_is_made_anew(
    authority: pki.Authority, tmp_path: Path
) -> None:
    """As when the machine stops between the two files."""
    files = keep_server_certificate(authority, tmp_path / "ca", [], NOW_S)
    files.certificate.write_text(authority.issue_server([], NOW_S).certificate_pem)
    keep_server_certificate(authority, tmp_path / "ca", [], NOW_S)
    server_context(files)
    files.key.write_text("rubbish")
    keep_server_certificate(authority, tmp_path / "ca", [], NOW_S)
    server_context(files)


def test_a_request_gives_its_key(authority: pki.Authority) -> None:
    assert pki.public_der_of_csr(KEY.make_csr()) == KEY.public_der


def rsa_request() -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(rsa.generate_private_key(65537, 2048), SHA256()).public_bytes(Encoding.PEM).decode()


def other_curve_request() -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(ec.generate_private_key(ec.SECP384R1()), SHA256()).public_bytes(Encoding.PEM).decode()


def forged_request() -> str:
    """A request with another key's bytes put in the place of its own."""
    der = x509.load_pem_x509_csr(KEY.make_csr().encode()).public_bytes(Encoding.DER)
    forged = der.replace(KEY.public_der, pki.make_key().public_der)
    return x509.load_der_x509_csr(forged).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("csr", "message"),
    [
        ("", "cannot be read"),
        ("rubbish", "cannot be read"),
        ("é", "cannot be read"),
        ("x" * (pki.MAX_PEM_LENGTH + 1), "at most"),
        (rsa_request(), "P-256"),
        (other_curve_request(), "P-256"),
        (forged_request(), "not signed by its own key"),
    ],
)
def test_requests_that_are_refused(csr: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        pki.public_der_of_csr(csr)
    assert caught.value.field == "csr"


@given(message=st.binary(max_size=64), other=st.binary(max_size=64))
def test_a_signature_is_of_one_message_by_one_key(message: bytes, other: bytes) -> None:
    signature = KEY.sign(message)
    assert pki.verify_signature(KEY.public_der, message, signature)
    assert pki.verify_signature(KEY.public_der, other, signature) == (message == other)
    assert not pki.verify_signature(pki.make_key().public_der, message, signature)


@given(public=st.binary(max_size=100), signature=st.text(max_size=400))
def test_nonsense_is_no_signature(public: bytes, signature: str) -> None:
    assert not pki.verify_signature(public, b"message", signature)
    assert not pki.verify_signature(KEY.public_der, b"message", signature)


@given(st.text(max_size=200))
def test_nonsense_is_no_certificate(text: str) -> None:
    wrapped = f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
    for read in (pki.certificate_fingerprint, pki.certificate_end_s):
        with pytest.raises(InvalidInput):
            read(text)
    with pytest.raises(InvalidInput):
        pki.certificate_end_s(wrapped)


def test_two_certificates_are_not_one(authority: pki.Authority) -> None:
    with pytest.raises(InvalidInput, match="not one certificate"):
        pki.certificate_fingerprint(authority.certificate_pem * 2)


def test_dates_are_in_utc(authority: pki.Authority) -> None:
    end = pki.load_certificate(authority.certificate_pem).not_valid_after_utc
    assert end.tzinfo is datetime.UTC


@given(st.data())
def test_a_changed_byte_breaks_nothing_but_the_request(data: st.DataObject) -> None:
    """Versions too: they are refused with an error of their own."""
    label = data.draw(st.sampled_from(("CERTIFICATE REQUEST", "CERTIFICATE")))
    der = bytearray(CHANGED[label])
    der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    try:
        _read(label, bytes(der))
    except InvalidInput:
        return


@pytest.mark.parametrize("version", [1, 5, 127])
@pytest.mark.parametrize("label", ["CERTIFICATE REQUEST", "CERTIFICATE"])
def test_a_version_that_does_not_exist_is_refused(label: str, version: int) -> None:
    der = bytearray(CHANGED[label])
    der[der.index(b"\x02\x01") + 2] = version
    with pytest.raises(InvalidInput, match="cannot be read"):
        _read(label, bytes(der))


def _read(label: str, der: bytes) -> None:
    pem = f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"
    if label == "CERTIFICATE":
        pki.load_certificate(pem)
    else:
        pki.public_der_of_csr(pem)


def _unpacked(pem: str) -> bytes:
    return base64.b64decode("".join(pem.splitlines()[1:-1]))


def _made() -> dict[str, bytes]:
    key = pki.make_key()
    with tempfile.TemporaryDirectory() as folder:
        certificate = pki.open_authority(Path(folder), "root", 1_800_000_000.0).certificate_pem
    return {"CERTIFICATE REQUEST": _unpacked(key.make_csr()), "CERTIFICATE": _unpacked(certificate)}


CHANGED = _made()
