"""What a tier's containers share, set up in a directory."""

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_common.link.tier_setup import main
from edge_common.link.token_text import parse_token
from edge_common.plumbing.data_dir import DataDirectory
from edge_common.plumbing.pki import certificate_fingerprint, is_issued_by

ME = str(os.getuid())


@dataclass(frozen=True)
class Settings:
    folder: Path
    mqtt_host: str = "broker"
    mqtt_port: int = 10002
    mqtt_username: str = "root"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def mqtt_password_file(self) -> Path:
        return self.folder / "secrets" / "mqtt-password"

    @property
    def store_password_file(self) -> Path:
        return self.folder / "secrets" / "store-password"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("secrets", "config", "broker"):
        (tmp_path / name).mkdir()
    return Settings(tmp_path)


def set_up(settings: Settings, *more: str, token: str = "") -> int:
    folder = settings.folder
    arguments = {
        "--user": ME,
        "--broker-config": str(folder / "config"),
        "--broker-data": str(folder / "broker"),
        "--broker-user": ME,
        "--store-user": ME,
        "--plugin": "/usr/lib/plugin.so",
    }
    words = [word for option in arguments.items() for word in option]
    return main("root", settings, [*words, *more], {"CLUSTER_JOIN_TOKEN": token})


def contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_a_second_time_changes_nothing(settings: Settings) -> None:
    more = ("--first-token-file", str(settings.folder / "secrets" / "first"))
    assert set_up(settings, *more) == 0
    claimed = DataDirectory(settings.data_dir)
    before, holder = contents(settings.folder), claimed.claim()
    claimed.release()
    assert set_up(settings, *more) == 0
    assert {**contents(settings.folder), **before} == contents(settings.folder)
    assert claimed.claim() == holder


def test_the_broker_has_tls_of_the_tiers_own_authority(settings: Settings) -> None:
    set_up(settings)
    config = settings.folder / "config"
    ca = (settings.data_dir / "ca" / "ca.crt").read_text()
    assert (config / "ca.crt").read_text() == ca
    assert is_issued_by((config / "server.crt").read_text(), ca)
    conf = (config / "mosquitto.conf").read_text().splitlines()
    assert {"listener 10002 0.0.0.0", "require_certificate true", "plugin /usr/lib/plugin.so"} <= set(conf)
    assert not (config / "ca.key").exists()


def test_secrets_are_for_their_readers_only(settings: Settings) -> None:
    set_up(settings, "--first-token-file", str(settings.folder / "secrets" / "first"))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (settings.folder / "secrets").iterdir()}
    assert modes == {"mqtt-password": 0o400, "store-password": 0o440, "first": 0o400}
    for file in (settings.folder / "config" / "server.key", settings.folder / "broker" / "dynamic-security.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_first_token_names_the_authority(settings: Settings) -> None:
    file = settings.folder / "secrets" / "first"
    set_up(settings, "--first-token-file", str(file))
    token = parse_token(file.read_text())
    assert token.ca_fingerprint == certificate_fingerprint((settings.data_dir / "ca" / "ca.crt").read_text())


def test_a_lost_password_makes_new_users(settings: Settings) -> None:
    set_up(settings)
    users = settings.folder / "broker" / "dynamic-security.json"
    known = json.loads(users.read_text())
    known["clients"].append({"username": "child"})
    users.write_text(json.dumps(known))
    set_up(settings)
    assert [client["username"] for client in json.loads(users.read_text())["clients"]] == ["root", "child"]
    settings.mqtt_password_file.unlink()
    set_up(settings)
    assert [client["username"] for client in json.loads(users.read_text())["clients"]] == ["root"]


def test_a_join_token_is_kept_until_another_one_is_given(settings: Settings) -> None:
    file = settings.folder / "secrets" / "join-token"
    more = ("--join-token-file", str(file))
    set_up(settings, *more)
    assert not file.exists()
    set_up(settings, *more, token="one")
    set_up(settings, *more)
    assert file.read_text() == "one\n"
    set_up(settings, *more, token="two")
    assert file.read_text() == "two\n"


def test_an_empty_secret_is_said(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.mqtt_password_file.write_text("")
    assert set_up(settings) == 1
    assert "mqtt-password is empty" in capsys.readouterr().err
