"""Ports and addresses, as a spec asks for them."""

from dataclasses import dataclass
from enum import StrEnum


class Transport(StrEnum):
    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True, slots=True)
class PortMapping:
    host_port: int
    instance_port: int
    transport: Transport = Transport.TCP

    def __str__(self) -> str:
        return f"{self.host_port}:{self.instance_port}/{self.transport}"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Service addresses that the SLA fixes; "" leaves the choice to the root."""

    rr_ip: str = ""
    rr_ip_v6: str = ""
    closest_ip: str = ""
    closest_ip_v6: str = ""


@dataclass(frozen=True, slots=True)
class Subnet:
    """A part of the overlay's address plan with its IPv6 twin, as networks: a cluster's block or a node's subnet."""

    v4: str
    v6: str
