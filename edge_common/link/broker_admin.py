"""Who may speak on a tier's broker."""

from typing import Protocol

from edge_common.model.ids import ChildId


class BrokerAdmin(Protocol):
    """Blocks on the network: call it from a pool. Raises `Unreachable`, and `Broken` when the broker will not obey."""

    def admit(self, child_id: ChildId, password: str) -> None:
        """From now on the child connects with its id as user name and client id, and uses its own topics only.

        Idempotent; an earlier password stops working and a connection made with it is closed.
        """

    def evict(self, child_id: ChildId) -> None:
        """Closes its connection and forgets it. Idempotent."""


class MemoryBrokerAdmin:
    """Remembers the passwords, for tests and the simulation."""

    def __init__(self) -> None:
        self.passwords: dict[ChildId, str] = {}

    def admit(self, child_id: ChildId, password: str) -> None:
        self.passwords[child_id] = password

    def evict(self, child_id: ChildId) -> None:
        self.passwords.pop(child_id, None)
