"""Directories, secrets and configuration files of the parts, written so that a second time changes nothing."""

import json
from collections.abc import Mapping
from dataclasses import asdict

from edge_common.link.identity import IdentityFiles
from edge_common.model.errors import Broken
from hedgerow.machine.broker import prepare_broker
from hedgerow.machine.files import SECRET, write_if_changed
from hedgerow.machine.layout import Layout, exposure_file, ports_file
from hedgerow.machine.programs import BROKER, CLUSTER, CONTAINERD, NODE, ROOT, SERVICES, broker_port
from hedgerow.machine.render import containerd_toml

ADMIN_PASSWORD_VARIABLE = "HEDGEROW_ADMIN_PASSWORD"  # noqa: S105 - the name of a variable
_SETTINGS_HEAD = """\
# Settings of the services on this machine, one NAME=VALUE a line; `hedgerow up` puts them into force.
# For example: HEDGEROW_NODE_PLAIN_HTTP_REGISTRIES=registry.example:5000
"""


def prepare(layout: Layout, environ: Mapping[str, str]) -> frozenset[str]:
    """The parts whose files changed. Raises Broken when a directory cannot be written."""
    try:
        _make_directories(layout)
        _keep_admin_password(layout, environ)
        if not layout.settings_file.exists():
            write_if_changed(layout.settings_file, _SETTINGS_HEAD, SECRET)
        write_if_changed(ports_file(layout), json.dumps(layout.ports.by_name()) + "\n")
        changed = {BROKER} if prepare_broker(layout) else set()
        if _has_moved(layout):
            changed |= {CLUSTER, NODE}
        if write_if_changed(layout.config / "containerd.toml", containerd_toml(layout)):
            changed.add(CONTAINERD)
    except OSError as error:
        raise Broken(f"{error.filename} cannot be written: {error.strerror}. Free it and try again.") from error
    return frozenset(changed)


def _has_moved(layout: Layout) -> bool:
    """Whether the broker is elsewhere than at the last `up`, or speaks otherwise; then its children ask again where."""
    reached = {"mqtt": layout.ports.mqtt, "cluster_mqtt": broker_port(CLUSTER, layout), **asdict(layout.exposure)}
    is_first = not exposure_file(layout).exists()
    has_moved = write_if_changed(exposure_file(layout), json.dumps(reached) + "\n") and not is_first
    if has_moved:
        for child in (CLUSTER, NODE):
            IdentityFiles(layout.data_of(child)).forget_access()
    return has_moved


def admin_password(layout: Layout, environ: Mapping[str, str]) -> str:
    """The one given now, else the one that the root started with; "" when none is known."""
    if environ.get(ADMIN_PASSWORD_VARIABLE):
        return environ[ADMIN_PASSWORD_VARIABLE]
    try:
        return layout.admin_password_file.read_text().strip()
    except FileNotFoundError:
        return ""


def _keep_admin_password(layout: Layout, environ: Mapping[str, str]) -> None:
    """A root that starts for the first time takes the password that it finds in its directory."""
    given = environ.get(ADMIN_PASSWORD_VARIABLE)
    if given and not any(layout.data_of(ROOT).iterdir()):
        write_if_changed(layout.admin_password_file, given + "\n", SECRET)


def _make_directories(layout: Layout) -> None:
    for directory in layout.directories:
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    for name in (*SERVICES, BROKER):
        layout.data_of(name).mkdir(exist_ok=True, mode=0o700)
    layout.data_of(CONTAINERD).mkdir(exist_ok=True, mode=0o711)
    layout.secrets.mkdir(exist_ok=True, mode=0o700)
