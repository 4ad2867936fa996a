"""A WSGI server of which a unix socket may be opened by its owner alone."""

import os
import socket
from pathlib import Path

from cheroot.wsgi import Server

from edge_common.model.errors import Broken

_OWNER_ONLY = 0o177
_PROBE_S = 1.0


class GuardedServer(Server):
    """cheroot would let everybody open its socket, and take over that of a server that still runs."""

    def bind_unix_socket(self, bind_addr: str) -> socket.socket:
        path = Path(bind_addr)
        if _is_served(path):
            raise Broken(f"Another process serves {path} already; stop it first.")
        path.unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        before = os.umask(_OWNER_ONLY)
        try:
            made.bind(bind_addr)
        except OSError:
            made.close()
            raise
        finally:
            os.umask(before)
        self.bind_addr = bind_addr
        self.socket = made
        return made


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
