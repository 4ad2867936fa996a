"""NetManager's HTTP door, for the node engine beside it."""

import hmac
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from flask import Flask, Request, Response

from edge_common import __version__
from edge_common.addressing.address_plan import Twins, twins_of
from edge_common.model.errors import InvalidInput, Unauthenticated
from edge_common.model.ids import InstanceId
from edge_common.model.network import PortMapping, Subnet
from edge_common.plumbing.http_app import bearer_token, create_app, read_json
from edge_common.wire import routes
from edge_common.wire.codec import encode, from_document
from edge_common.wire.net_messages import InstancePlace, InstancePlaces, InstanceWish, NetworkState, SubnetGrant
from net_manager.adapters import namespaces
from net_manager.core.config_file import MAX_PORT, NodeConfig
from net_manager.core.links import Names
from net_manager.core.places import Place
from net_manager.service import NetService

T = TypeVar("T")


class Ask(Protocol):
    """Runs a function in the mailbox's thread."""

    def __call__(self, fn: Callable[[], T], /) -> T: ...


def create_api(service: NetService, ask: Ask, names: Names, config: NodeConfig, token: str = "") -> Flask:
    """`token` "" is for a socket that nobody else can open: then whoever asks is the one that may."""
    app = create_app("net", lambda request: _check(request, token))

    def health() -> Response:
        status = ask(service.status)
        subnets = tuple(_subnet(each) for each in status.subnets)
        return _answer(
            NetworkState(
                __version__,
                not status.detail,
                status.detail,
                status.mtu,
                subnets,
                status.subnets_wanted,
                status.instance_count,
                config.public_address,
                config.public_port,
            )
        )

    def put_subnets() -> Response:
        wanted = from_document(SubnetGrant, read_json()).subnets
        twins = [twins_of(each) for each in wanted]
        ask(lambda: service.grant(twins))
        return _answer(SubnetGrant(wanted))

    def instances() -> Response:
        places, strangers = ask(service.known)
        return _answer(
            InstancePlaces(
                (
                    *(_place(names, each, has_v6=service.has_v6) for each in places),
                    *(_stranger(names, each) for each in strangers),
                )
            )
        )

    def attach(instance_id: str) -> Response:
        ports = from_document(InstanceWish, read_json()).ports
        place = ask(lambda: service.attach(InstanceId(instance_id), _checked(ports)))
        return _answer(_place(names, place, has_v6=service.has_v6))

    def detach(instance_id: str) -> Response:
        ask(lambda: service.detach(InstanceId(instance_id)))
        return Response(status=204)

    rules: Sequence[tuple[str, str, Callable[..., Response]]] = (
        (routes.HEALTH, "GET", health),
        (routes.NET_SUBNETS, "PUT", put_subnets),
        (routes.NET_INSTANCES, "GET", instances),
        (routes.NET_INSTANCE_ONE, "PUT", attach),
        (routes.NET_INSTANCE_ONE, "DELETE", detach),
    )
    for path, method, view in rules:
        app.add_url_rule(path, endpoint=view.__name__, view_func=view, methods=[method])
    return app


def _check(request: Request, token: str) -> None:
    if token and not hmac.compare_digest(bearer_token(request).encode(), token.encode()):
        raise Unauthenticated("This is not NetManager's token; the file that HEDGEROW_NET_TOKEN_FILE names has it.")


def _checked(ports: tuple[PortMapping, ...]) -> tuple[PortMapping, ...]:
    for port in ports:
        if not (0 < port.host_port <= MAX_PORT and 0 < port.instance_port <= MAX_PORT):
            raise InvalidInput(f"{port} is no pair of ports; they go from 1 to {MAX_PORT}.", "ports")
    if len({(port.host_port, port.transport) for port in ports}) != len(ports):
        raise InvalidInput("A port of the node is given twice.", "ports")
    return ports


def _answer(message: Any) -> Response:
    return Response(encode(message), mimetype="application/json")


def _subnet(twins: Twins) -> Subnet:
    return Subnet(str(twins.v4), str(twins.v6))


def _place(names: Names, place: Place, *, has_v6: bool) -> InstancePlace:
    ip_v6 = str(place.v6.ip) if has_v6 else ""
    return InstancePlace(place.instance_id, _path(names, place.instance_id), str(place.v4.ip), ip_v6)


def _stranger(names: Names, instance_id: InstanceId) -> InstancePlace:
    return InstancePlace(instance_id, _path(names, instance_id), "", "")


def _path(names: Names, instance_id: InstanceId) -> str:
    return str(namespaces.DIRECTORY / names.namespace(instance_id))
