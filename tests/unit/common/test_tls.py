import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from edge_common.model.errors import Broken, InvalidInput
from edge_common.plumbing.addresses import is_loopback
from edge_common.plumbing.http_client import HttpClient
from edge_common.plumbing.pki import Authority, make_key, open_authority
from edge_common.plumbing.server_certificate import keep_server_certificate
from edge_common.plumbing.tls import ServerTls, TlsFiles, client_context, server_context

DAY_S = 86_400.0


@pytest.fixture
def now_s() -> float:
    return time.time()


def child(authority: Authority, directory: Path, now_s: float, ca: Path) -> TlsFiles:
    key = make_key()
    directory.mkdir()
    (directory / "key.pem").write_text(key.pem)
    (directory / "cert.pem").write_text(authority.issue_child(key.make_csr(), "c0ffee", now_s, DAY_S))
    return TlsFiles(ca, directory / "cert.pem", directory / "key.pem")


def talk(server: ServerTls, client: TlsFiles, dialled: str = "10.9.8.7") -> str:
    """What both ends said: the client's error, the server's error, or the name that the server saw."""
    ours, theirs = socket.socketpair()
    seen: list[str] = []

    def serve() -> None:
        try:
            with server_context(server).wrap_socket(theirs, server_side=True) as connection:
                certificate = connection.getpeercert() or {}
                connection.sendall(b"x")
            seen.append(str(certificate.get("subject", "nobody")))
        except OSError as error:
            seen.append(str(error))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client_context(client).wrap_socket(ours, server_hostname=dialled) as connection:
            connection.recv(1)
    except OSError as error:
        seen.append(str(error))
    finally:
        ours.close()
        thread.join(10)
        theirs.close()
    return " | ".join(seen)


def test_whoever_is_dialled_the_fixed_name_is_checked(tmp_path: Path, now_s: float) -> None:
    authority = open_authority(tmp_path / "ca", "root", now_s)
    server = keep_server_certificate(authority, tmp_path / "ca", [], now_s)
    assert "c0ffee" in talk(server, child(authority, tmp_path / "child", now_s, server.client_ca))
    assert talk(server, TlsFiles(server.client_ca)) == "nobody"


def test_a_child_of_another_authority_is_refused(tmp_path: Path, now_s: float) -> None:
    authority = open_authority(tmp_path / "ca", "root", now_s)
    server = keep_server_certificate(authority, tmp_path / "ca", [], now_s)
    other = open_authority(tmp_path / "other", "root", now_s)
    stranger = child(other, tmp_path / "stranger", now_s, server.client_ca)
    assert "certificate verify failed" in talk(server, stranger)
    late = child(authority, tmp_path / "late", now_s - 30 * DAY_S, server.client_ca)
    assert "certificate has expired" in talk(server, late)


def test_a_server_of_another_authority_is_refused(tmp_path: Path, now_s: float) -> None:
    authority = open_authority(tmp_path / "ca", "root", now_s)
    open_authority(tmp_path / "other", "root", now_s)
    server = keep_server_certificate(authority, tmp_path / "ca", [], now_s)
    assert "certificate verify failed" in talk(server, TlsFiles(tmp_path / "other/ca.crt"))


def test_a_child_cannot_play_the_parent(tmp_path: Path, now_s: float) -> None:
    authority = open_authority(tmp_path / "ca", "root", now_s)
    files = child(authority, tmp_path / "child", now_s, tmp_path / "ca/ca.crt")
    assert files.certificate is not None
    assert files.key is not None
    posing = ServerTls(files.certificate, files.key, files.ca)
    assert "certificate verify failed" in talk(posing, TlsFiles(files.ca))


def test_nothing_older_than_tls_1_2(tmp_path: Path, now_s: float) -> None:
    authority = open_authority(tmp_path / "ca", "root", now_s)
    server = keep_server_certificate(authority, tmp_path / "ca", [], now_s)
    assert client_context(TlsFiles(server.client_ca)).minimum_version == ssl.TLSVersion.TLSv1_2
    assert server_context(server).minimum_version == ssl.TLSVersion.TLSv1_2


def test_files_that_are_missing_or_wrong_are_named(tmp_path: Path) -> None:
    with pytest.raises(Broken, match=r"ca\.crt"):
        client_context(TlsFiles(tmp_path / "ca.crt"))
    (tmp_path / "ca.crt").write_text("rubbish")
    with pytest.raises(Broken, match=r"ca\.crt"):
        client_context(TlsFiles(tmp_path / "ca.crt"))
    with pytest.raises(Broken, match=r"server\.crt"):
        server_context(ServerTls(tmp_path / "server.crt", tmp_path / "server.key", tmp_path / "ca.crt"))


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "[::1]", "LOCALHOST", "::ffff:127.0.0.1"]
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::ffff:10.0.0.1", "10.0.0.1", "", "localhost.example.org"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("url", ["http://10.0.0.1:10000", "http://root.example", "http://localhost.example:1"])
def test_a_plain_url_to_another_machine_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="Use https://"):
        HttpClient(url)
