"""What a network in memory may do to a packet, and who decides it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Packet:
    """`is_upload`: from the client to the broker, else the other way."""

    client_id: str
    is_upload: bool
    topic: str
    payload: bytes
    is_retained: bool


class Fate(Enum):
    DELIVER = auto()
    DUPLICATE = auto()
    DELAY = auto()  # until the next pump
    CUT = auto()  # the client's connection breaks; the packet is sent again after the reconnect


class Policy(Protocol):
    def choose(self, waiting: Sequence[Packet], /) -> int:
        """Which of the waiting packets goes next; of one client's uploads the oldest goes, whichever is named."""

    def fate(self, packet: Packet, /) -> Fate: ...


class InOrder:
    """The network on a good day."""

    def choose(self, _waiting: Sequence[Packet], /) -> int:
        return 0

    def fate(self, _packet: Packet, /) -> Fate:
        return Fate.DELIVER


@dataclass(slots=True)
class SeededFaults:
    """Each field is a probability for one packet. `random` is the only source of chance."""

    random: Random
    cut: float = 0.0
    delay: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0

    def choose(self, waiting: Sequence[Packet], /) -> int:
        if self.reorder and self.random.random() < self.reorder:
            return self.random.randrange(len(waiting))
        return 0

    def fate(self, _packet: Packet, /) -> Fate:
        draw = self.random.random()
        for probability, fate in ((self.cut, Fate.CUT), (self.delay, Fate.DELAY), (self.duplicate, Fate.DUPLICATE)):
            if draw < probability:
                return fate
            draw -= probability
        return Fate.DELIVER
