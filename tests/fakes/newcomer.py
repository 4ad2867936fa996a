"""A parent that lets children in, and children that ask, without HTTP and without a broker."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from edge_common.link.broker_admin import BrokerAdmin, MemoryBrokerAdmin
from edge_common.link.child_keys import child_id_of
from edge_common.link.doors import Doors
from edge_common.link.join_desk import DoorParts, JoinDesk, Joined, ParentAddress
from edge_common.link.join_tokens import JoinTokens
from edge_common.link.members import Members
from edge_common.link.nonces import Nonces
from edge_common.link.waiting_room import WaitingRoom
from edge_common.model.ids import ChildId
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.plumbing.pki import Authority, PrivateKey, certificate_fingerprint, make_key, open_authority
from edge_common.wire.join_messages import ChildKind, Hello, JoinAnswer, JoinRequest, what_is_proven

ADDRESS = "192.0.2.9"
ADDRESS_OF_PARENT = ParentAddress("garden", "broker.example", 10003)


@dataclass
class Parent:
    """`ready` are the children that are there."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    admin: MemoryBrokerAdmin = field(default_factory=MemoryBrokerAdmin)
    is_room_open: bool = False
    joined: list[Joined] = field(default_factory=list)
    dropped: list[ChildId] = field(default_factory=list)
    ready: set[ChildId] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.authority: Authority = open_authority(self.folder / "ca", "garden", self.clock.now_s())
        self.token_file = self.folder / "join-token"
        self.tokens = JoinTokens(
            self.documents, self.clock, ChildKind.NODE, self.authority.fingerprint, 86_400.0, self.token_file
        )
        self.members = Members(self.documents, self.authority, self.clock)
        self.room = WaitingRoom(self.documents, self.clock, is_open=self.is_room_open)
        self.desk = self.desk_with(self.admin)
        self.doors = Doors(self._parts(self.admin), self.clock, self.ready.__contains__, self.dropped.append)

    def desk_with(self, admin: BrokerAdmin, on_joined: Callable[[Joined], object] | None = None) -> JoinDesk:
        return JoinDesk(
            self._parts(admin),
            Nonces(self.clock),
            ADDRESS_OF_PARENT,
            on_joined or self.joined.append,
            self.dropped.append,
        )

    def token(self, life_s: float | None = None, max_uses: int | None = None) -> str:
        return str(self.tokens.create(life_s, max_uses)[0])

    def join(self, request: JoinRequest) -> JoinAnswer:
        return self.desk.join(request, ADDRESS)

    def _parts(self, admin: BrokerAdmin) -> DoorParts:
        return DoorParts(ChildKind.NODE, self.tokens, self.room, self.members, admin)


@dataclass(frozen=True)
class Child:
    """Its requests are as a real one makes them, but for what a test says otherwise."""

    key: PrivateKey = field(default_factory=make_key)
    name: str = "shed"

    @property
    def child_id(self) -> ChildId:
        return child_id_of(self.key.public_der)

    def request(
        self,
        hello: Hello,
        token: str = "",
        *,
        kind: ChildKind = ChildKind.NODE,
        csr_of: PrivateKey | None = None,
    ) -> JoinRequest:
        """`csr_of`: another's request for a certificate, which is no secret."""
        proven = what_is_proven(certificate_fingerprint(hello.ca), hello.nonce, kind, self.name, token)
        csr = _csr(csr_of or self.key)
        return JoinRequest(kind, self.name, csr, hello.nonce, self.key.sign(proven), token)


@lru_cache(maxsize=64)
def _csr(key: PrivateKey) -> str:
    return key.make_csr()
