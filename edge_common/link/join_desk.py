"""The parent's side of joining: who proves to be known, has a good token, or was admitted by an operator gets in."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_common.link.broker_admin import BrokerAdmin
from edge_common.link.child_keys import child_id_of, key_fingerprint_of
from edge_common.link.join_refusals import Ground, JoinRefused
from edge_common.link.join_tokens import JoinTokens, new_secret
from edge_common.link.members import Member, Members
from edge_common.link.nonces import Nonces
from edge_common.link.waiting_room import WaitingRoom
from edge_common.model.errors import Overloaded
from edge_common.model.ids import NO_CHILD, ChildId
from edge_common.plumbing.pki import public_der_of_csr, verify_signature
from edge_common.wire.join_messages import (
    ChildKind,
    Hello,
    JoinAnswer,
    JoinRequest,
    JoinStatus,
    MqttAccess,
    what_is_proven,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Joined:
    """`is_new`: the first time that this parent sees it, or the first after it was forgotten."""

    child_id: ChildId
    kind: ChildKind
    name: str
    info: Mapping[str, Any]
    is_new: bool


@dataclass(frozen=True, slots=True)
class ParentAddress:
    """How children reach the parent's broker, and what they may call the parent."""

    name: str
    mqtt_host: str
    mqtt_port: int
    is_tls: bool = False


@dataclass(frozen=True, slots=True)
class DoorParts:
    """What root and cluster alike keep of their children. `kind` is that of all of them."""

    kind: ChildKind
    tokens: JoinTokens
    room: WaitingRoom
    members: Members
    broker: BrokerAdmin


class JoinDesk:
    """Joining again is harmless, also when an answer was lost. Thread-safe.

    `on_joined` and `on_forgotten` are called before the child hears the answer, from the caller's thread; they only
    post to a mailbox. When `on_joined` returns False nobody heard of it, and the child has to ask again.
    """

    def __init__(
        self,
        parts: DoorParts,
        nonces: Nonces,
        address: ParentAddress,
        on_joined: Callable[[Joined], object],
        on_forgotten: Callable[[ChildId], object],
        new_password: Callable[[], str] = new_secret,
    ) -> None:
        self._parts = parts
        self._nonces = nonces
        self._address = address
        self._on_joined = on_joined
        self._on_forgotten = on_forgotten
        self._new_password = new_password
        self._ca = parts.members.authority.certificate_pem
        self._ca_fingerprint = parts.members.authority.fingerprint

    def hello(self) -> Hello:
        return Hello(self._address.name, self._nonces.new(), self._ca)

    def join(self, request: JoinRequest, address: str) -> JoinAnswer:
        """`address` is where the request came from, for the log and for operators.

        Raises JoinRefused, InvalidInput, and Temporary when the store or the broker is away or there is too much to do.
        """
        public_der = public_der_of_csr(request.csr)
        child_id = child_id_of(public_der)
        try:
            self._check_proof(request, public_der)
            return self._admit(child_id, key_fingerprint_of(public_der), request, address)
        except JoinRefused as refusal:
            logger.warning(
                "event=join_refused reason=%s child=%s kind=%s name=%r address=%s",
                refusal.ground, child_id or NO_CHILD, request.kind, request.name, address,
            )  # fmt: skip
            raise

    def _check_proof(self, request: JoinRequest, public_der: bytes) -> None:
        self._nonces.check(request.nonce)
        proven = what_is_proven(self._ca_fingerprint, request.nonce, request.kind, request.name, request.token)
        if not verify_signature(public_der, proven, request.proof):
            raise JoinRefused(
                Ground.BAD_PROOF, "The proof is not a signature of this request by the key in it; nothing was changed."
            )
        self._nonces.spend(request.nonce)

    def _admit(self, child_id: ChildId, key_fingerprint: str, request: JoinRequest, address: str) -> JoinAnswer:
        parts = self._parts
        if request.kind is not parts.kind:
            raise JoinRefused(
                Ground.WRONG_KIND, f"A {parts.kind} joins {self._address.name} here, not a {request.kind}."
            )
        member = parts.members.get(child_id)
        if member is not None and member.key_fingerprint not in ("", key_fingerprint):
            raise JoinRefused(Ground.ANOTHERS_ID, f"The id {child_id} belongs to another key; make a new one.")
        is_new = member is None or member.is_forgotten
        needs_admission = member is None or member.is_forgotten or parts.members.is_past_grace(member)
        if needs_admission and not self._let_in(member, child_id, key_fingerprint, request, address):
            return JoinAnswer(child_id, JoinStatus.WAITING, self._address.name)
        return self._give_access(child_id, request, is_new=is_new)

    def _let_in(
        self, member: Member | None, child_id: ChildId, key_fingerprint: str, request: JoinRequest, address: str
    ) -> bool:
        """Makes it a member, if its token is good; else it has to wait. Raises JoinRefused."""
        parts = self._parts
        if not request.token:
            if not parts.room.is_open and member is not None:
                raise _not_by_key(member)
            parts.room.ask(child_id, request.kind, request.name, key_fingerprint, address)
            logger.info("event=join_waiting child=%s name=%r address=%s", child_id, request.name, address)
            return False
        token_id = parts.tokens.use(request.token, request.kind)
        parts.members.admit(child_id, request.kind, request.name, key_fingerprint, token_id)
        parts.room.leave(child_id)
        logger.info("event=admitted child=%s by=token token=%s address=%s", child_id, token_id, address)
        return True

    def _give_access(self, child_id: ChildId, request: JoinRequest, *, is_new: bool) -> JoinAnswer:
        parts = self._parts
        certificate = parts.members.certify(child_id, request.csr, request.name)
        password = self._new_password()
        parts.broker.admit(child_id, password)
        if self._on_joined(Joined(child_id, request.kind, request.name, request.info, is_new)) is False:
            raise Overloaded(f"{self._address.name} has too much to do to take in child {child_id}; try again.")
        member = parts.members.get(child_id)
        if member is None or member.is_forgotten:
            parts.broker.evict(child_id)
            self._on_forgotten(child_id)
            raise JoinRefused(Ground.FORGOTTEN, f"Child {child_id} was forgotten while it joined.")
        logger.info("event=joined child=%s kind=%s name=%r is_new=%s", child_id, request.kind, request.name, is_new)
        mqtt = MqttAccess(
            self._address.mqtt_host, self._address.mqtt_port, str(child_id), password, self._address.is_tls
        )
        return JoinAnswer(child_id, JoinStatus.ADMITTED, self._address.name, mqtt, certificate, self._ca)


def _not_by_key(member: Member) -> JoinRefused:
    if member.is_forgotten:
        return JoinRefused(
            Ground.FORGOTTEN, f"An operator forgot child {member.child_id}; it needs a join token to come back."
        )
    return JoinRefused(
        Ground.GRACE_OVER,
        f"The certificate of child {member.child_id} ended too long ago; it needs a join token to come back.",
    )
