"""Whether the network manager of this machine is there."""

import socket

from node_engine.settings import Settings

_PROBE_TIMEOUT_S = 1.0


def network_state(settings: Settings) -> str:
    if not settings.network_port:
        return "no network manager; instances use the host's network"
    try:
        socket.create_connection(("127.0.0.1", settings.network_port), _PROBE_TIMEOUT_S).close()
    except OSError as error:
        return f"the network manager does not answer on port {settings.network_port}: {error.strerror or error}"
    return f"the network manager answers on port {settings.network_port}"
