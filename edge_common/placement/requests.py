"""What is to be placed: the part of a spec that decides where it may run."""

from dataclasses import dataclass
from typing import TypeAlias

from edge_common.model.network import PortMapping, Transport
from edge_common.model.resources import Resources
from edge_common.model.service import ServiceSpec, Spreading

HostPort: TypeAlias = tuple[int, Transport]


@dataclass(frozen=True, slots=True)
class Request:
    """One instance that needs a candidate. `key` comes back in the answer, most likely an instance id.

    `targets` are names or ids of candidates, empty is any; `avoid` are ids that must not be chosen, as they have
    just handed the instance back; instances with the same `group` (a service id) are kept apart by SPREAD.
    """

    key: str
    resources: Resources
    runtime: str
    architectures: tuple[str, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    needs_overlay: bool = False
    targets: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    spreading: Spreading = Spreading.SPREAD
    group: str = ""

    @property
    def host_ports(self) -> frozenset[HostPort]:
        return frozenset((port.host_port, port.transport) for port in self.ports)


def request_for(spec: ServiceSpec, key: str, targets: tuple[str, ...] = (), avoid: tuple[str, ...] = ()) -> Request:
    """`targets` are spec.constraints.clusters at the root and spec.constraints.nodes in a cluster."""
    return Request(
        key=key,
        resources=spec.resources,
        runtime=spec.runtime,
        architectures=spec.architectures,
        ports=spec.ports,
        needs_overlay=spec.needs_overlay,
        targets=targets,
        avoid=avoid,
        spreading=spec.spreading,
        group=spec.service_id,
    )
