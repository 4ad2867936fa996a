"""What a node's network manager says, and what the engine makes of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge_common.model.ids import InstanceId
from edge_common.model.network import Subnet


@dataclass(frozen=True, slots=True)
class Place:
    """An instance's own network. `namespace` is a path; addresses are "" for one of which the manager knows only that
    it is there.
    """

    instance_id: InstanceId
    namespace: str
    ip: str = ""
    ip_v6: str = ""


@dataclass(frozen=True, slots=True)
class NetworkView:
    """`detail` says why no network can be made now, "" when it can. `subnets` are those that the manager works with,
    `subnets_wanted` how many it should have.
    """

    detail: str = ""
    subnets: tuple[Subnet, ...] = ()
    subnets_wanted: int = 0
    places: tuple[Place, ...] = ()


def hindrance(view: NetworkView | None, trouble: str) -> str:
    """Why an instance that needs a network of its own has to wait; "" when it need not."""
    if view is None:
        return f"waiting for the network manager of this node: {trouble}" if trouble else "waiting for the network"
    if view.detail:
        return f"waiting for the network manager of this node: {view.detail}"
    if not view.subnets:
        return "waiting for the cluster to give this node a subnet of the overlay network"
    return ""


@dataclass(frozen=True, slots=True)
class Corrections:
    """What the manager must do beside what starts ask of it: forget some, and look after some that it lost."""

    detach: tuple[InstanceId, ...] = ()
    attach: tuple[InstanceId, ...] = ()


def corrections(places: Iterable[Place], is_needed: Mapping[InstanceId, bool]) -> Corrections:
    """Of each place, whether anything still needs it."""
    listed = sorted(places, key=lambda place: place.instance_id)
    return Corrections(
        tuple(place.instance_id for place in listed if not is_needed[place.instance_id]),
        tuple(place.instance_id for place in listed if is_needed[place.instance_id] and not place.ip),
    )
