"""A tier that cannot serve ends all that it had begun, before another may act on its store."""

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster_orchestrator.app import App as ClusterApp
from cluster_orchestrator.settings import Settings as ClusterSettings
from edge_common.link.child_keys import child_id_of
from edge_common.link.identity import IdentityFiles
from edge_common.model.errors import Broken
from edge_common.plumbing.pki import open_authority
from edge_common.wire.join_messages import MqttAccess
from root_orchestrator.app import App as RootApp
from root_orchestrator.settings import Settings as RootSettings
from tests.support import free_port


def admitted(data_dir: Path) -> None:
    """As after a join, to a root whose broker is away."""
    now_s = time.time()
    root = open_authority(data_dir / "root-ca", "root", now_s)
    files = IdentityFiles(data_dir)
    key = files.key()
    child_id = child_id_of(key.public_der)
    files.keep_ca(root.certificate_pem)
    access = MqttAccess("127.0.0.1", free_port(), str(child_id), "secret")
    files.keep(child_id, "root", access, root.issue_child(key.make_csr(), str(child_id), now_s, 86_400.0))


def cluster(data_dir: Path, port: int, password_file: Path) -> ClusterApp:
    admitted(data_dir)
    return ClusterApp(
        ClusterSettings(data_dir, http_port=port, mqtt_port=free_port(), mqtt_password_file=password_file)
    )


def root(data_dir: Path, port: int, password_file: Path) -> RootApp:
    return RootApp(RootSettings(data_dir, http_port=port, mqtt_port=free_port(), mqtt_password_file=password_file))


@pytest.mark.parametrize("make", [cluster, root])
def test_a_port_that_is_taken(make: Callable[[Path, int, Path], ClusterApp | RootApp], tmp_path: Path) -> None:
    password_file = tmp_path / "password"
    password_file.write_text("secret")
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        app = make(tmp_path / "tier", taken.getsockname()[1], password_file)
        with pytest.raises(Broken, match="Cannot listen on"):
            app.start()
        app.stop()
    assert {thread.name for thread in threading.enumerate() if thread not in before} == set()
