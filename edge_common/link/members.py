"""The children of a parent: who was admitted, with which key, and until when its certificate is good."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from edge_common.link.child_keys import child_id_of, key_fingerprint_of
from edge_common.model.errors import InvalidInput, NotFound, Temporary
from edge_common.model.ids import ChildId
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.documents.codec import decode, encode
from edge_common.plumbing.documents.interface import Document, Documents
from edge_common.plumbing.pki import Authority, certificate_end_s, public_der_of_csr
from edge_common.wire.join_messages import ChildKind

CHILDREN = "children"
CERTIFICATE_LIFE_S: Final = 30 * 86_400.0
REJOIN_GRACE_DAYS: Final = 365.0
KEEP_FORGOTTEN_S: Final = 365 * 86_400.0
"""How long a forgotten child is told that it was forgotten, and not merely that it needs a token."""
DAY_S: Final = 86_400.0
_ATTEMPTS = 16


@dataclass(frozen=True, slots=True)
class Member:
    """`key_fingerprint` is the SHA-256 of its public key. `admitted_by` is a token's id, or "operator"."""

    child_id: ChildId
    kind: ChildKind
    name: str = ""
    key_fingerprint: str = ""
    joined_at_s: float = 0.0
    certificate_ends_s: float = 0.0
    admitted_by: str = ""
    forgotten_at_s: float | None = None

    @property
    def is_forgotten(self) -> bool:
        return self.forgotten_at_s is not None


def joined_children(documents: Documents) -> list[ChildId]:
    """Every child that was admitted here and not forgotten since."""
    return [each.child_id for each in map(_member, documents.find(CHILDREN)) if not each.is_forgotten]


def forgotten_children(documents: Documents) -> list[ChildId]:
    return [each.child_id for each in map(_member, documents.find(CHILDREN)) if each.is_forgotten]


class Members:
    """Thread-safe, also across processes."""

    def __init__(
        self,
        documents: Documents,
        authority: Authority,
        clock: Clock,
        certificate_life_s: float = CERTIFICATE_LIFE_S,
        rejoin_grace_days: float = REJOIN_GRACE_DAYS,
    ) -> None:
        self._documents = documents
        self._authority = authority
        self._clock = clock
        self._life_s = certificate_life_s
        self._grace_s = rejoin_grace_days * DAY_S

    @property
    def authority(self) -> Authority:
        return self._authority

    def get(self, child_id: ChildId) -> Member | None:
        document = self._documents.get(CHILDREN, child_id)
        return None if document is None else _member(document)

    def find(self, name_or_id: str) -> Member:
        """A name means one that is there, and only else one that was forgotten.

        Raises NotFound, and InvalidInput when several have that name.
        """
        by_id = self.get(ChildId(name_or_id))
        if by_id is not None:
            return by_id
        named = [_member(each) for each in self._documents.find(CHILDREN, {"name": name_or_id})]
        there = [each for each in named if not each.is_forgotten] or named
        if not there:
            raise NotFound(f"There is no child {name_or_id[:64]!r} here.")
        if len(there) > 1:
            raise InvalidInput(f"{len(there)} are called {name_or_id!r}; give the id of the one you mean.", "child")
        return there[0]

    def is_past_grace(self, member: Member) -> bool:
        """Its certificate ended so long ago that its key alone does not bring it back."""
        return 0 < member.certificate_ends_s < self._clock.now_s() - self._grace_s

    def admit(self, child_id: ChildId, kind: ChildKind, name: str, key_fingerprint: str, admitted_by: str) -> None:
        """From now on its key alone lets it join. Idempotent."""
        now_s = self._clock.now_s()
        member = Member(child_id, kind, name, key_fingerprint, now_s, now_s + self._life_s, admitted_by)
        self._documents.put(CHILDREN, encode(member, child_id))

    def certify(self, child_id: ChildId, csr: str, name: str | None = None) -> str:
        """A certificate for a member that is not forgotten, whose key must have made `csr`; `name` is what it is
        called now. Raises InvalidInput for another's key, NotFound for who is no member."""
        public_der = public_der_of_csr(csr)
        if child_id_of(public_der) != child_id:
            raise InvalidInput(f"The certificate signing request is not of the key of child {child_id}.", "csr")
        now_s = self._clock.now_s()
        certificate = self._authority.issue_child(csr, child_id, now_s, self._life_s)
        ends_s = certificate_end_s(certificate)

        def certified(member: Member) -> Member:
            if member.is_forgotten:
                raise _no_member(child_id)
            fingerprint = key_fingerprint_of(public_der)
            return replace(member, certificate_ends_s=ends_s, key_fingerprint=fingerprint, name=name or member.name)

        self._change(child_id, certified)
        return certificate

    def forget(self, child_id: ChildId) -> Member:
        """Its key lets it join no more. Raises NotFound."""
        now_s = self._clock.now_s()
        self._prune(now_s)
        return self._change(child_id, lambda member: replace(member, forgotten_at_s=member.forgotten_at_s or now_s))

    def _change(self, child_id: ChildId, change: Callable[[Member], Member]) -> Member:
        for _ in range(_ATTEMPTS):
            document = self._documents.get(CHILDREN, child_id)
            if document is None:
                raise _no_member(child_id)
            member = change(_member(document))
            if self._documents.replace(CHILDREN, encode(member, child_id), document["version"]):
                return member
        raise Temporary(f"Child {child_id} is being changed by several at once; try again.")

    def _prune(self, now_s: float) -> None:
        for document in self._documents.find(CHILDREN, order_by="forgotten_at_s", is_descending=True, limit=100):
            member = _member(document)
            if member.forgotten_at_s is None:
                return
            if member.forgotten_at_s < now_s - KEEP_FORGOTTEN_S:
                self._documents.delete(CHILDREN, member.child_id)


def _member(document: Document) -> Member:
    return decode(Member, {**document, "child_id": document["_id"]})


def _no_member(child_id: ChildId) -> NotFound:
    return NotFound(f"There is no child {child_id} here.")
