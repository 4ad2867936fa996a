from pathlib import Path
from typing import Any

import pytest

from edge_common.model.errors import InvalidInput
from edge_common.plumbing.pki import Authority, PrivateKey, is_issued_by, matches_key, open_authority, server_names
from edge_common.plumbing.tier_tls import Listeners, open_tier_tls

NOW_S = 1_800_000_000.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(tmp_path, "root", NOW_S)


def served(listeners: Listeners, authority: Authority, directory: Path) -> list[tuple[str, bool, bool]]:
    """Host, whether TLS is spoken there, and whether plain HTTP over loopback too."""
    told: list[tuple[str, bool, bool]] = []

    def make(host: str, port: int, **options: Any) -> Any:
        told.append((host, "tls" in options, not options or options["takes_plain_on_loopback"]))

    open_tier_tls(listeners, authority, directory, NOW_S).serve(make)
    return told


@pytest.mark.parametrize(
    ("mode", "host", "also_loopback", "expected"),
    [
        ("auto", "127.0.0.1", False, [("127.0.0.1", False, True)]),
        ("auto", "127.0.0.1", True, [("127.0.0.1", False, True)]),
        ("on", "127.0.0.1", False, [("127.0.0.1", True, False)]),
        ("auto", "0.0.0.0", True, [("0.0.0.0", True, True)]),
        ("on", "0.0.0.0", False, [("0.0.0.0", True, False)]),
        ("auto", "10.0.0.1", False, [("10.0.0.1", True, True)]),
        ("auto", "10.0.0.1", True, [("10.0.0.1", True, True), ("127.0.0.1", False, True)]),
        ("on", "10.0.0.1", True, [("10.0.0.1", True, False), ("127.0.0.1", True, False)]),
    ],
)
def test_where_tls_is_spoken(
    authority: Authority,
    tmp_path: Path,
    mode: str,
    host: str,
    also_loopback: bool,
    expected: list[tuple[str, bool, bool]],
) -> None:
    listeners = Listeners(mode, host, 1, "127.0.0.1", also_loopback=also_loopback)
    assert served(listeners, authority, tmp_path) == expected


@pytest.mark.parametrize(
    ("mode", "mqtt_host", "is_tls"),
    [("auto", "127.0.0.1", False), ("on", "127.0.0.1", True), ("auto", "10.0.0.1", True), ("auto", "mqtt", True)],
)
def test_where_the_broker_is_dialled_with_tls(
    authority: Authority, tmp_path: Path, mode: str, mqtt_host: str, is_tls: bool
) -> None:
    files = open_tier_tls(Listeners(mode, "127.0.0.1", 1, mqtt_host), authority, tmp_path, NOW_S).broker
    assert (files is not None) == is_tls
    if files is not None:
        assert files.certificate is not None and files.key is not None
        certificate = files.certificate.read_text()
        assert matches_key(certificate, PrivateKey(files.key.read_text()))
        assert is_issued_by(certificate, files.ca.read_text())
        again = open_tier_tls(Listeners(mode, "127.0.0.1", 1, mqtt_host), authority, tmp_path, NOW_S).broker
        assert again == files and files.certificate.read_text() == certificate


def test_the_certificate_names_what_it_is_told(authority: Authority, tmp_path: Path) -> None:
    listeners = Listeners("auto", "10.0.0.1", 1, "127.0.0.1", names=("edge.example",))
    names = server_names(open_tier_tls(listeners, authority, tmp_path, NOW_S).server.certificate.read_text())
    assert names == {"hedgerow-parent", "localhost", "127.0.0.1", "::1", "10.0.0.1", "edge.example"}


def test_there_is_no_off(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="must be one of auto, on"):
        open_tier_tls(Listeners("off", "127.0.0.1", 1, "127.0.0.1"), authority, tmp_path, NOW_S)
