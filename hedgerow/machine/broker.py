"""The broker's files: its configuration, its first users, and whom it runs as."""

import json
import os
import pwd
from pathlib import Path

from edge_common.link.broker_files import DYNSEC_FILE, MqttDoor, dynsec_plugin, initial_dynsec, mosquitto_conf
from hedgerow.machine.files import SECRET, secret, write_if_changed
from hedgerow.machine.layout import Layout
from hedgerow.machine.programs import BROKER, broker_password_file, broker_users

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
    owner = pwd.getpwnam(user)
    for path in (directory, *directory.iterdir()):
        os.chown(path, owner.pw_uid, owner.pw_gid)
    text = mosquitto_conf([MqttDoor(layout.ports.mqtt, "127.0.0.1")], directory, dynsec_plugin(), user=user)
    return write_if_changed(layout.config / "mosquitto.conf", text) or has_new_users


def unix_user(directory: Path) -> str:
    """Debian's own user for mosquitto, where that user can reach the directory; else root."""
    try:
        pwd.getpwnam(_BROKER_USER)
    except KeyError:
        return "root"
    is_reachable = all(parent.stat().st_mode & 0o001 for parent in directory.absolute().parents if parent.exists())
    return _BROKER_USER if is_reachable else "root"
