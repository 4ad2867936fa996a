"""The networks of instances, made by NetManager."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from edge_common.model.errors import InvalidInput, Unauthenticated, Unreachable
from edge_common.model.ids import InstanceId
from edge_common.model.network import PortMapping, Subnet
from edge_common.plumbing.addresses import is_loopback
from edge_common.plumbing.files import read_secret
from edge_common.plumbing.http_client import HttpClient, Params
from edge_common.plumbing.unix_client import SCHEME, UnixHttpClient
from edge_common.wire import routes
from edge_common.wire.codec import from_document, to_document
from edge_common.wire.net_messages import InstancePlace, InstancePlaces, InstanceWish, NetworkState, SubnetGrant
from node_engine.core.network import NetworkView, Place
from node_engine.networks import HostNetwork
from node_engine.ports import Network

TIMEOUT_S = 15.0


class GuardedClient(HttpClient):
    """Takes NetManager's token when it is needed: at the first start of a machine that writes it while we start."""

    def __init__(self, url: str, token_file: Path) -> None:
        super().__init__(url, TIMEOUT_S)
        self._token_file = token_file

    def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Raises Unreachable as long as there is no token."""
        if self.token is None:
            self.token = self._read_token()
        try:
            return super().request(method, path, json, params, headers)
        except Unauthenticated:
            self.token = None  # made anew, perhaps: the next request looks
            raise

    def _read_token(self) -> str:
        try:
            return read_secret(self._token_file)
        except OSError as error:
            raise Unreachable(
                f"NetManager's token cannot be read from {self._token_file}: {error.strerror}. NetManager writes it."
            ) from error


class NetManagerNetwork:
    """Thread-safe."""

    is_overlay = True

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def attach(self, instance_id: InstanceId, ports: tuple[PortMapping, ...]) -> Place:
        wish = to_document(InstanceWish(ports))
        return _place(from_document(InstancePlace, self._client.request("PUT", _path(instance_id), json=wish)))

    def detach(self, instance_id: InstanceId) -> None:
        self._client.request("DELETE", _path(instance_id))

    def look(self) -> NetworkView:
        state = from_document(NetworkState, self._client.request("GET", routes.HEALTH))
        listed = from_document(InstancePlaces, self._client.request("GET", routes.NET_INSTANCES))
        return NetworkView(
            "" if state.is_ready else state.detail,
            state.subnets,
            state.subnets_wanted,
            tuple(_place(each) for each in listed.instances),
        )

    def grant(self, subnets: Sequence[Subnet]) -> None:
        self._client.request("PUT", routes.NET_SUBNETS, json=to_document(SubnetGrant(tuple(subnets))))


def open_network(url: str, token_file: Path | None) -> Network:
    """ "" is the host's network, else unix:///path or http://127.0.0.1:port. Raises InvalidInput."""
    if not url:
        return HostNetwork()
    if url.startswith(f"{SCHEME}/"):
        return NetManagerNetwork(UnixHttpClient(Path(url.removeprefix(SCHEME)), TIMEOUT_S))
    parts = urlsplit(url)
    if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        raise InvalidInput(
            f"The network manager is {url!r}; it must be unix:///path, or http:// and an address of loopback.",
            "net_manager",
        )
    if token_file is None:
        raise InvalidInput(
            f"To use NetManager at {url} its token is needed; name the file that has it.", "net_manager_token_file"
        )
    return NetManagerNetwork(GuardedClient(url, token_file))


def _path(instance_id: InstanceId) -> str:
    return routes.NET_INSTANCE_ONE.replace("<instance_id>", quote(instance_id, safe=""))


def _place(said: InstancePlace) -> Place:
    return Place(said.instance_id, said.namespace, said.ip, said.ip_v6)
