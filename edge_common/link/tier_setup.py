"""Sets up what a tier's containers share before any of them starts: authority, broker, passwords, tokens.

A second time changes nothing but what has to be renewed. It runs as root and hands each file to who reads it.
"""

import argparse
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from edge_common.link.broker_files import DYNSEC_FILE, MqttListener, initial_dynsec, mosquitto_conf
from edge_common.link.join_tokens import mint
from edge_common.model.errors import Broken, HedgerowError
from edge_common.plumbing.clock import Clock, SystemClock
from edge_common.plumbing.files import write_secret
from edge_common.plumbing.pki import Authority, open_authority
from edge_common.plumbing.server_certificate import keep_server_certificate

ALL_ADDRESSES = "0.0.0.0"
JOIN_TOKEN_VARIABLE = "CLUSTER_JOIN_TOKEN"  # noqa: S105 - the name of a variable
SECRET_BYTES = 24


class TierSettings(Protocol):
    @property
    def data_dir(self) -> Path: ...
    @property
    def mqtt_host(self) -> str: ...
    @property
    def mqtt_port(self) -> int: ...
    @property
    def mqtt_username(self) -> str: ...
    @property
    def mqtt_password_file(self) -> Path: ...
    @property
    def store_password_file(self) -> Path | None: ...


def main(tier: str, settings: TierSettings, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """The exit status, after one sentence on stderr when it is not 0."""
    options = _parser(tier).parse_args(arguments)
    try:
        set_up(tier, settings, options, environ, SystemClock())
    except HedgerowError as error:
        sys.stderr.write(f"{tier}: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{tier}: {error.filename} cannot be set up: {error.strerror}.\n")
        return 1
    return 0


def set_up(
    tier: str, settings: TierSettings, options: argparse.Namespace, environ: Mapping[str, str], clock: Clock
) -> None:
    """Raises Broken for an authority that cannot be read, and OSError."""
    now_s = clock.now_s()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = open_authority(settings.data_dir / "ca", tier, now_s)
    _set_up_broker(settings, options, authority, now_s)
    if settings.store_password_file is not None:
        _keep_secret(settings.store_password_file)
        _hand_over(settings.store_password_file, options.store_user, options.user, mode=0o440)
    if options.first_token_file is not None and not options.first_token_file.exists():
        write_secret(options.first_token_file, f"{mint(authority.fingerprint)}\n")
        _hand_over(options.first_token_file, options.user, options.user)
    given = environ.get(JOIN_TOKEN_VARIABLE, "").strip()
    if given and options.join_token_file is not None:
        write_secret(options.join_token_file, f"{given}\n")
        _hand_over(options.join_token_file, options.user, options.user)
    for path in (settings.data_dir, *settings.data_dir.rglob("*")):
        _give(path, options.user)


def _set_up_broker(settings: TierSettings, options: argparse.Namespace, authority: Authority, now_s: float) -> None:
    config, data = options.broker_config, options.broker_data
    has_new_password = _keep_secret(settings.mqtt_password_file)
    _hand_over(settings.mqtt_password_file, options.user, options.user)
    users = data / DYNSEC_FILE
    # mosquitto rewrites this file whenever a child gets or loses its credentials: ours is only the first one.
    if has_new_password or not users.exists():
        password = settings.mqtt_password_file.read_text().strip()
        write_secret(users, json.dumps(initial_dynsec({settings.mqtt_username: password}), indent=1))
    write_secret(config / "ca.crt", authority.certificate_pem)
    tls = keep_server_certificate(authority, config, [settings.mqtt_host], now_s)
    listener = MqttListener(settings.mqtt_port, ALL_ADDRESSES, tls)
    write_secret(config / "mosquitto.conf", mosquitto_conf([listener], data, options.plugin, user="mosquitto"))
    for path in (config, *config.iterdir(), data, *data.iterdir()):
        _give(path, options.broker_user)


def _give(path: Path, user: int) -> None:
    """What is his already is left alone, with its change time: a data directory is known by that of its lock."""
    if path.lstat().st_uid != user:
        os.chown(path, user, user, follow_symlinks=False)


def _keep_secret(file: Path) -> bool:
    """Whether it had to be made."""
    if file.exists():
        if not file.read_text().strip():
            raise Broken(f"{file} is empty; delete it and a new secret is made.")
        return False
    write_secret(file, secrets.token_urlsafe(SECRET_BYTES) + "\n")
    return True


def _hand_over(file: Path, user: int, group: int, mode: int = 0o400) -> None:
    os.chown(file, user, group)
    file.chmod(mode)
    file.parent.chmod(0o755)


def _parser(tier: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"{tier} setup", description=__doc__)
    parser.add_argument("--user", type=int, required=True, help="user id (and group id) of the tier")
    parser.add_argument("--broker-config", type=Path, required=True, metavar="DIR", help="of mosquitto.conf")
    parser.add_argument("--broker-data", type=Path, required=True, metavar="DIR", help="of the broker's own files")
    parser.add_argument("--broker-user", type=int, required=True, help="user id (and group id) of the broker")
    parser.add_argument("--plugin", type=Path, required=True, metavar="FILE", help="the broker's dynamic security")
    parser.add_argument("--store-user", type=int, default=0, help="user id of the store")
    parser.add_argument("--first-token-file", type=Path, metavar="FILE", help="for the join token of the first child")
    parser.add_argument("--join-token-file", type=Path, metavar="FILE", help=f"takes what {JOIN_TOKEN_VARIABLE} says")
    return parser
