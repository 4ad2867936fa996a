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
from edge_common.plumbing.tier_tls import TlsMode
from edge_common.wire.join_messages import ChildKind

TOKEN_FILE = "join-token"  # noqa: S105 - the name of the file
THE_PARENTS = "same"


class RoomMode(StrEnum):
    """AUTO is on, but for a parent that only its own machine can reach."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class EntranceSettings:
    """`has_token_file`: children on this machine join with a token in a file, which never expires."""

    kind: ChildKind
    data_dir: Path
    has_token_file: bool
    is_room_open: bool
    token_life_s: float


@dataclass(frozen=True, slots=True)
class LinkCalls:
    """What happens in the links, called from other threads. The first two only post (`on_joined` returns False when it
    could not); the others wait."""

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
    kind: ChildKind,
    data_dir: Path,
    bind_host: str,
    waiting_room: str,
    token_life_s: float,
    *,
    has_local_children: bool = False,
) -> EntranceSettings:
    """`has_local_children`: there are some on this machine beside those from elsewhere.

    Raises InvalidInput for a mode of the waiting room that does not exist.
    """
    if waiting_room not in set(RoomMode):
        raise InvalidInput(
            f"waiting_room is {waiting_room!r}; it must be one of {', '.join(RoomMode)}.", "waiting_room"
        )
    is_local = is_loopback(bind_host)
    is_open = waiting_room == RoomMode.ON or (waiting_room == RoomMode.AUTO and not is_local)
    return EntranceSettings(kind, data_dir, is_local or has_local_children, is_open, token_life_s)


def parent_address(
    name: str, mqtt_host: str, mqtt_port: int, child_host: str, child_port: int, tls: str
) -> ParentAddress:
    """`child_host` "" and `child_port` 0: children reach the broker as their parent does; THE_PARENTS: on the host on
    which they reach the parent."""
    host = child_host or mqtt_host
    is_tls = tls == TlsMode.ON or not is_loopback(host)
    return ParentAddress(name, "" if host == THE_PARENTS else host, child_port or mqtt_port, is_tls=is_tls)


def open_entrance(
    settings: EntranceSettings,
    documents: Documents,
    members: Members,
    broker: BrokerAdmin,
    address: ParentAddress,
    clock: Clock,
    calls: LinkCalls,
    first_token_file: Path | None = None,
) -> Entrance:
    """`first_token_file`: left there by a set-up, for the first child."""
    fingerprint = members.authority.fingerprint
    file = settings.data_dir / TOKEN_FILE
    tokens = JoinTokens(documents, clock, settings.kind, fingerprint, settings.token_life_s, file)
    if settings.has_token_file:
        tokens.ensure_file()
    else:
        tokens.drop_file()
    if first_token_file is not None:
        tokens.take_in(first_token_file)
    room = WaitingRoom(documents, clock, is_open=settings.is_room_open)
    parts = DoorParts(settings.kind, tokens, room, members, broker)
    desk = JoinDesk(parts, Nonces(clock), address, calls.on_joined, calls.on_forgotten)
    doors = Doors(parts, clock, calls.is_ready, calls.drop)
    return Entrance(desk, doors, RateLimit(clock, burst=BURST, per_s=PER_S))
