"""What NetManager's shell needs of the world, in the core's words."""

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from edge_common.addressing.address_plan import Twins
from edge_common.addressing.pool import Network
from edge_common.model.ids import InstanceId
from net_manager.core.commands import Command, Ip
from net_manager.core.links import Observed
from net_manager.core.places import Kept, Place
from net_manager.core.service_table import ServiceTable, TableChange


class Kernel(Protocol):
    """Each call takes milliseconds and has a bound. Raises Broken, NotFound or Unreachable with the kernel's reason."""

    def observe(self, host_sysctls: Iterable[str], only: Iterable[str] | None = None) -> Observed:
        """`only` are the namespaces to look into; None is all of ours."""

    def execute(self, commands: Iterable[Command]) -> None:
        """In order; stops at the first that fails."""

    def has_ipv6(self) -> bool: ...

    def uplink_mtu(self) -> int | None:
        """That of the link by which the machine reaches others; None when there is none just now."""

    def table(self) -> ServiceTable:
        """What the packet filter has; its table is made when there is none."""

    def change_table(self, changes: Iterable[TableChange]) -> None:
        """All of them or none."""

    def forget_flows(self, addresses: Collection[Ip]) -> None:
        """Those from and to these addresses, so that what follows is looked up anew."""


class Store(Protocol):
    """Durable when a call returns. Raises Unreachable."""

    def load(self) -> Kept: ...

    def save_subnets(self, subnets: Iterable[Twins]) -> None: ...

    def put(self, place: Place) -> None: ...

    def remove(self, instance_id: InstanceId, resting: Mapping[Network, float]) -> None:
        """With all that rests from now on."""
