"""The parent's side of joining: who comes with a good token, or proves to be known, gets access to the broker."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from edge_common.link.broker_admin import BrokerAdmin
from edge_common.link.join_tokens import (
    JoinToken,
    child_id_of,
    hash_secret,
    is_secret_of,
    new_secret,
    new_token,
    parse_token,
)
from edge_common.model.errors import Broken, Conflict, InvalidInput, Unauthenticated
from edge_common.model.ids import ChildId
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.documents.interface import Document, Documents
from edge_common.plumbing.files import write_secret
from edge_common.wire.join_messages import ChildKind, JoinAnswer, JoinRequest, MqttAccess

logger = logging.getLogger(__name__)

CHILDREN = "children"
JOIN_TOKENS = "join_tokens"

_BAD_TOKEN = "The join token is not valid here; take the one that the parent wrote to its file join-token."  # noqa: S105


@dataclass(frozen=True, slots=True)
class Joined:
    """`is_new`: the first time that this parent sees it."""

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


def joined_children(documents: Documents) -> list[ChildId]:
    """Every child that was ever admitted here."""
    return [ChildId(str(document["_id"])) for document in documents.find(CHILDREN)]


class JoinDesk(Protocol):
    def admit(self, request: JoinRequest) -> JoinAnswer:
        """Raises Unauthenticated, InvalidInput, and Temporary when the store or the broker is away."""


class TokenJoinDesk:
    """A `JoinDesk` for root and cluster alike. Joining again is harmless, also when an answer was lost.

    `on_joined` is called before the child hears the answer, from the caller's thread; it only posts to a mailbox.
    """

    def __init__(
        self,
        documents: Documents,
        broker_admin: BrokerAdmin,
        address: ParentAddress,
        on_joined: Callable[[Joined], None],
        clock: Clock,
        new_password: Callable[[], str] = new_secret,
    ) -> None:
        self._documents = documents
        self._broker_admin = broker_admin
        self._address = address
        self._on_joined = on_joined
        self._clock = clock
        self._new_password = new_password

    def admit(self, request: JoinRequest) -> JoinAnswer:
        child_id = child_id_of(request.secret)
        known = self._documents.get(CHILDREN, child_id)
        if known is None:
            self._check_token(request)
            self._register(child_id, request)
        else:
            self._check_known(known, request)
            self._rename(known, request.name)
        password = self._new_password()
        self._broker_admin.admit(child_id, password)
        self._on_joined(Joined(child_id, request.kind, request.name, request.info, known is None))
        logger.info(
            "event=joined child=%s kind=%s name=%s is_new=%s", child_id, request.kind, request.name, known is None
        )
        mqtt = MqttAccess(self._address.mqtt_host, self._address.mqtt_port, str(child_id), password)
        return JoinAnswer(child_id, self._address.name, mqtt)

    def ensure_token(self, file: Path, kind: ChildKind) -> None:
        """Makes the first token of this parent; later makes sure that the one in the file works."""
        try:
            token = parse_token(file.read_text())
        except FileNotFoundError:
            token = new_token()
            write_secret(file, f"{token}\n")
        except InvalidInput as error:
            raise Broken(f"{file} holds no join token; delete it and a new one is made.") from error
        if self._documents.get(JOIN_TOKENS, token.token_id) is None:
            self._documents.put(JOIN_TOKENS, self._token_document(token, kind))

    def _check_known(self, known: Document, request: JoinRequest) -> None:
        if not is_secret_of(request.secret, known["secret_hash"]):
            raise Unauthenticated("This secret is not that of the child with this id.")
        if known["kind"] != request.kind:
            raise Unauthenticated(f"This identity is a {known['kind']}'s, not a {request.kind}'s; delete its file.")

    def _check_token(self, request: JoinRequest) -> None:
        try:
            token = parse_token(request.token)
        except InvalidInput as error:
            raise Unauthenticated(_BAD_TOKEN) from error
        kept = self._documents.get(JOIN_TOKENS, token.token_id)
        if kept is None or not is_secret_of(token.secret, kept["secret_hash"]):
            raise Unauthenticated(_BAD_TOKEN)
        if kept["kind"] != request.kind:
            raise Unauthenticated(f"This join token admits a {kept['kind']}, not a {request.kind}.")

    def _register(self, child_id: ChildId, request: JoinRequest) -> None:
        document: Document = {
            "_id": child_id,
            "kind": request.kind.value,
            "name": request.name,
            "secret_hash": hash_secret(request.secret),
            "joined_at": self._now(),
        }
        try:
            self._documents.insert(CHILDREN, document)
        except Conflict:
            logger.info("event=joined_twice_at_once child=%s", child_id)

    def _rename(self, known: Document, name: str) -> None:
        if known["name"] != name:
            self._documents.replace(CHILDREN, {**known, "name": name}, known["version"])

    def _token_document(self, token: JoinToken, kind: ChildKind) -> Document:
        return {
            "_id": token.token_id,
            "kind": kind.value,
            "secret_hash": hash_secret(token.secret),
            "created_at": self._now(),
        }

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock.now_s(), UTC).isoformat()
