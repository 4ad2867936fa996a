"""Puts together what a parent needs to let children in: the desk for them, the doors for its operators."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from flask import Blueprint

from edge_common.link.broker_admin import BrokerAdmin
from edge_common.link.doors import Doors
from edge_common.link.join_api import BURST, PER_S, join_blueprint
from edge_common.link.join_desk import DoorParts, JoinDesk, Joined, ParentAddress
from edge_common.link.join_tokens import JoinTokens
from edge_common.link.members import Members
from edge_common.link.nonces import Nonces
from edge_common.link.waiting_room import WaitingRoom
from edge_common.model.errors import InvalidInput
from edge_common.model.ids import ChildId
from edge_common.plumbing.addresses import is_loopback
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.documents.interface import Documents
from edge_common.plumbing.rate_limit import RateLimit
from edge_common.wire.join_messages import ChildKind

TOKEN_FILE = "join-token"  # noqa: S105 - the name of the file


class RoomMode(StrEnum):
    """AUTO is on, but for a parent that only its own machine can reach."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class EntranceSettings:
    """`is_local`: only this machine can reach the parent. Then its token in a file is enough, and never expires."""

    kind: ChildKind
    data_dir: Path
    is_local: bool
    is_room_open: bool
    token_life_s: float


@dataclass(frozen=True, slots=True)
class LinkCalls:
    """What happens in the links, called from other threads. The first two only post; the others wait."""

    on_joined: Callable[[Joined], object]
    on_forgotten: Callable[[ChildId], object]
    is_ready: Callable[[ChildId], bool]
    drop: Callable[[ChildId], None]


@dataclass(frozen=True, slots=True)
class Entrance:
    desk: JoinDesk
    doors: Doors
    limit: RateLimit

    def blueprint(self) -> Blueprint:
        return join_blueprint(self.desk, self.limit)


def entrance_settings(
    kind: ChildKind, data_dir: Path, bind_host: str, waiting_room: str, token_life_s: float
) -> EntranceSettings:
    """Raises InvalidInput for a mode of the waiting room that does not exist."""
    if waiting_room not in set(RoomMode):
        raise InvalidInput(
            f"waiting_room is {waiting_room!r}; it must be one of {', '.join(RoomMode)}.", "waiting_room"
        )
    is_local = is_loopback(bind_host)
    is_open = waiting_room == RoomMode.ON or (waiting_room == RoomMode.AUTO and not is_local)
    return EntranceSettings(kind, data_dir, is_local, is_open, token_life_s)


def open_entrance(
    settings: EntranceSettings,
    documents: Documents,
    members: Members,
    broker: BrokerAdmin,
    address: ParentAddress,
    clock: Clock,
    calls: LinkCalls,
) -> Entrance:
    fingerprint = members.authority.fingerprint
    file = settings.data_dir / TOKEN_FILE
    tokens = JoinTokens(documents, clock, settings.kind, fingerprint, settings.token_life_s, file)
    if settings.is_local:
        tokens.ensure_file()
    else:
        tokens.drop_file()
    room = WaitingRoom(documents, clock, is_open=settings.is_room_open)
    parts = DoorParts(settings.kind, tokens, room, members, broker)
    desk = JoinDesk(parts, Nonces(clock), address, calls.on_joined, calls.on_forgotten)
    doors = Doors(parts, clock, calls.is_ready, calls.drop)
    return Entrance(desk, doors, RateLimit(clock, burst=BURST, per_s=PER_S))
