"""Whether the network manager of this machine is there."""

from edge_common.model.errors import HedgerowError
from node_engine.adapters.networks import open_network
from node_engine.settings import Settings


def network_state(settings: Settings) -> str:
    url = settings.net_manager_url
    if not url:
        return "no network manager; instances use the host's network"
    try:
        view = open_network(url, settings.net_manager_token_file).look()
    except HedgerowError as error:
        return f"the network manager is not there: {error}"
    return f"the network manager at {url} " + (f"is not ready: {view.detail}" if view.detail else "is ready")
