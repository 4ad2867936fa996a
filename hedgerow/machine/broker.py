"""The broker's files: its configuration, its first users, and whom it runs as."""

import json
import os
import pwd
import time
from pathlib import Path

from edge_common.link.broker_files import DYNSEC_FILE, MqttListener, dynsec_plugin, initial_dynsec, mosquitto_conf
from edge_common.plumbing.pki import open_authority
from edge_common.plumbing.tier_tls import Listeners, TlsMode, open_tier_tls
from edge_common.plumbing.tls import ServerTls
from hedgerow.machine.files import SECRET, secret, write_if_changed
from hedgerow.machine.layout import Layout
from hedgerow.machine.programs import (
    BROKER,
    CLUSTER,
    CLUSTER_NAME,
    ROOT,
    broker_password_file,
    broker_port,
    broker_users,
)

AUTHORITIES = {ROOT: "root", CLUSTER: CLUSTER_NAME}
"""The tiers with children, and the names that their authorities are given."""
_BROKER_USER = "mosquitto"


def prepare_broker(layout: Layout) -> bool:
    """Whether something changed that the broker reads only when it starts."""
    directory = layout.data_of(BROKER)
    user = unix_user(directory)
    # mosquitto itself rewrites this file whenever a child gets or loses its credentials: ours is only the first one.
    users_file = directory / DYNSEC_FILE
    has_new_users = not users_file.exists()
    if has_new_users:
        passwords = {name: secret(broker_password_file(layout, name)) for name in broker_users()}
        write_if_changed(users_file, json.dumps(initial_dynsec(passwords), indent=1), SECRET)
    listeners, has_new_keys = _listeners(layout, directory)
    owner = pwd.getpwnam(user)
    give(directory, owner.pw_uid, owner.pw_gid)
    text = mosquitto_conf(listeners, directory, dynsec_plugin(), user=user)
    return write_if_changed(layout.config / "mosquitto.conf", text) or has_new_users or has_new_keys


def _listeners(layout: Layout, directory: Path) -> tuple[list[MqttListener], bool]:
    """Where the broker listens, and whether a key or certificate of a listener is new."""
    if not layout.exposure.has_tls:
        return [MqttListener(layout.ports.mqtt, layout.address)], False
    made = [_tls_listener(layout, directory, part, name) for part, name in AUTHORITIES.items()]
    return [listener for listener, _ in made], any(is_new for _, is_new in made)


def _tls_listener(layout: Layout, directory: Path, part: str, name: str) -> tuple[MqttListener, bool]:
    """The broker gets copies: it runs as a user who cannot see into the tier's directory."""
    now_s = time.time()
    port = broker_port(part, layout)
    theirs = layout.authority_of(part)
    authority = open_authority(theirs, name, now_s)
    original = open_tier_tls(
        Listeners(TlsMode.ON, layout.address, port, layout.address), authority, theirs, now_s
    ).server
    copy = ServerTls(*(directory / f"{part}-{file}" for file in ("server.crt", "server.key", "ca.crt")))
    pairs = ((original.certificate, copy.certificate), (original.key, copy.key), (original.client_ca, copy.client_ca))
    is_new = [write_if_changed(to, source.read_text(), SECRET) for source, to in pairs]
    return MqttListener(port, layout.address, copy), any(is_new)


def give(directory: Path, uid: int, gid: int) -> None:
    """With what is in it. A link is given and not what it leads to: that user can make links to any file there."""
    for path in (directory, *directory.iterdir()):
        os.chown(path, uid, gid, follow_symlinks=False)


def unix_user(directory: Path) -> str:
    """Debian's own user for mosquitto, where that user can reach the directory; else root."""
    try:
        pwd.getpwnam(_BROKER_USER)
    except KeyError:
        return "root"
    is_reachable = all(parent.stat().st_mode & 0o001 for parent in directory.absolute().parents if parent.exists())
    return _BROKER_USER if is_reachable else "root"
