"""The two files of a new mosquitto: its configuration, and who may do what until someone changes that at run time."""

import base64
import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_common.link.broker_roles import DENY_BY_DEFAULT, PARENT_ROLE, parent_acls
from edge_common.model.errors import Broken
from edge_common.plumbing.addresses import is_loopback
from edge_common.plumbing.tls import ServerTls

DYNSEC_FILE = "dynamic-security.json"
PLUGIN_FILES = tuple(
    Path(f"/usr/lib/{triplet}/mosquitto_dynamic_security.so")
    for triplet in ("x86_64-linux-gnu", "aarch64-linux-gnu", "arm-linux-gnueabihf")
)
HASH_ITERATIONS = 101  # mosquitto's own number; our passwords are long and random, so slowness would add nothing
MAX_PACKET_BYTES = 16 * 1024 * 1024 + 64 * 1024
MAX_QUEUED_MESSAGES = 100_000  # for one client; retained messages count too when it subscribes
MAX_QUEUED_BYTES = 128 * 1024 * 1024


def dynsec_plugin() -> Path:
    """Raises Broken when mosquitto is not installed as Debian does it."""
    for file in PLUGIN_FILES:
        if file.exists():
            return file
    raise Broken("mosquitto's dynamic-security plug-in is missing; install Debian's package mosquitto.")


def initial_dynsec(users: Mapping[str, str]) -> dict[str, Any]:
    """`users`: the parents that use this broker, name -> password. Children are added when they join."""
    return {
        "defaultACLAccess": DENY_BY_DEFAULT,
        "clients": [_client(name, password) for name, password in users.items()],
        "roles": [{"rolename": PARENT_ROLE, "acls": parent_acls()}],
    }


@dataclass(frozen=True, slots=True)
class MqttListener:
    """Where a broker listens. With `tls` it speaks nothing else there, to nobody without a certificate of the CA."""

    port: int
    host: str
    tls: ServerTls | None = None


def mosquitto_conf(
    listeners: Sequence[MqttListener], data_dir: Path, plugin: Path, *, autosave_interval_s: int = 5, user: str = "root"
) -> str:
    """`data_dir` must exist and hold DYNSEC_FILE, which the broker rewrites; `user` must be able to write there, and
    to read the files of each listener's TLS. The broker reads those anew at SIGHUP.

    Raises Broken for a listener to other machines without TLS.
    """
    lines = (
        *(line for listener in listeners for line in _listener(listener)),
        "allow_anonymous false",
        "allow_zero_length_clientid false",
        f"plugin {plugin}",
        f"plugin_opt_config_file {data_dir / DYNSEC_FILE}",
        "persistence true",
        f"persistence_location {data_dir}/",
        f"autosave_interval {autosave_interval_s}",
        f"max_packet_size {MAX_PACKET_BYTES}",
        f"max_queued_messages {MAX_QUEUED_MESSAGES}",
        f"max_queued_bytes {MAX_QUEUED_BYTES}",
        "set_tcp_nodelay true",
        "sys_interval 0",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        f"user {user}",
    )
    return "\n".join(lines) + "\n"


def _listener(listener: MqttListener) -> Iterator[str]:
    if listener.tls is None and not is_loopback(listener.host):
        raise Broken(
            f"The MQTT broker would listen on {listener.host}:{listener.port} without TLS; give it a certificate."
        )
    yield f"listener {listener.port} {listener.host}"
    if listener.tls is not None:
        yield f"cafile {listener.tls.client_ca}"
        yield f"certfile {listener.tls.certificate}"
        yield f"keyfile {listener.tls.key}"
        yield "require_certificate true"
        yield "tls_version tlsv1.2"  # or newer


def _client(name: str, password: str) -> dict[str, Any]:
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, HASH_ITERATIONS)
    return {
        "username": name,
        "password": base64.b64encode(digest).decode(),
        "salt": base64.b64encode(salt).decode(),
        "iterations": HASH_ITERATIONS,
        "roles": [{"rolename": PARENT_ROLE}],
    }
