"""Turns what is wanted of a child into revisions, documents and a manifest; says only what changed."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from edge_common.link.link_store import LinkChange, Published
from edge_common.model.ids import ChildId, ServiceId
from edge_common.model.instance import Assignment
from edge_common.model.network import Subnet
from edge_common.model.service import ServiceSpec
from edge_common.model.values import SealedValue
from edge_common.wire import topics
from edge_common.wire.codec import encode, encode_document, to_document
from edge_common.wire.messages import AssignedInstance, DesiredService, Manifest, SpecVersion


@dataclass(frozen=True, slots=True)
class DesiredContent:
    """What a child is to do for one service. `sealed` must be the same for the same values: it is in the digest."""

    spec_revision: int
    spec: ServiceSpec
    instances: tuple[AssignedInstance, ...]
    sealed: tuple[SealedValue, ...] = ()
    older: tuple[SpecVersion, ...] = ()


ContentOf = Callable[[ChildId, ServiceId], DesiredContent | None]


@dataclass(frozen=True, slots=True)
class Outgoing:
    topic: str
    payload: bytes


@dataclass(slots=True)
class ChildDocuments:
    """One child's revisions. `dirty` are services whose content may have changed since it was last said.

    `owes_manifest`: the child needs a new one although no document changed: it holds one that is not ours, or `subnets`
    are others.
    """

    child_id: ChildId
    revision: int = 0
    published: dict[ServiceId, Published] = field(default_factory=dict)
    dirty: set[ServiceId] = field(default_factory=set)
    owes_manifest: bool = False
    subnets: tuple[Subnet, ...] = ()

    def settle(
        self, content_of: ContentOf, subnets: tuple[Subnet, ...] = ()
    ) -> tuple[LinkChange, list[Outgoing]] | None:
        """The next revision and the messages that say it; None when nothing really changed."""
        self.owes_manifest |= subnets != self.subnets
        self.subnets = subnets
        bodies = {service_id: content_of(self.child_id, service_id) for service_id in self.dirty}
        self.dirty.clear()
        return self._say({service_id: _body(service_id, content) for service_id, content in bodies.items()})

    def repeat(self, content_of: ContentOf, acked_revision: int) -> list[Outgoing]:
        """What came after `acked_revision` again, at the revisions it has; all that came before the child holds."""
        messages: list[Outgoing] = []
        for service_id, published in self.published.items():
            if published.revision <= acked_revision:
                continue
            body = _body(service_id, content_of(self.child_id, service_id))
            if body is None or _digest(body) != published.digest:
                self.dirty.add(service_id)
            else:
                messages.append(self._document(service_id, body, published.revision))
        return [*messages, self._manifest()]

    def overtake(self, revision: int) -> None:
        """The child has seen a revision that we do not remember giving: never use that number again."""
        self.revision = max(self.revision, revision)
        self.published = {service_id: Published(each.revision, "") for service_id, each in self.published.items()}
        self.dirty |= self.published.keys()
        self.owes_manifest = True

    def _say(self, bodies: Mapping[ServiceId, dict[str, object] | None]) -> tuple[LinkChange, list[Outgoing]] | None:
        changed = {
            service_id: body
            for service_id, body in bodies.items()
            if body is not None and self._digest_of(service_id) != _digest(body)
        }
        removed = tuple(each for each, body in bodies.items() if body is None and each in self.published)
        if not changed and not removed and not self.owes_manifest:
            return None
        self.owes_manifest = False
        self.revision += 1
        puts = {service_id: Published(self.revision, _digest(body)) for service_id, body in changed.items()}
        self.published.update(puts)
        for service_id in removed:
            del self.published[service_id]
        messages = [self._document(service_id, body, self.revision) for service_id, body in changed.items()]
        messages.append(self._manifest())
        messages += [Outgoing(topics.desired_service(self.child_id, service_id), b"") for service_id in removed]
        return LinkChange(self.child_id, self.revision, puts, removed, self.subnets), messages

    def _digest_of(self, service_id: ServiceId) -> str | None:
        published = self.published.get(service_id)
        return published.digest if published else None

    def _document(self, service_id: ServiceId, body: dict[str, object], revision: int) -> Outgoing:
        return Outgoing(
            topics.desired_service(self.child_id, service_id), encode_document({**body, "revision": revision})
        )

    def _manifest(self) -> Outgoing:
        listed = {service_id: each.revision for service_id, each in self.published.items()}
        return Outgoing(topics.desired(self.child_id), encode(Manifest(self.revision, listed, self.subnets)))


def listed(
    wanted: Iterable[Assignment], own: Collection[int], spec_of: Callable[[int], ServiceSpec | None]
) -> tuple[tuple[AssignedInstance, ...], tuple[SpecVersion, ...]]:
    """The instances of a document, and the specs of those that are not of one of its `own` revisions."""
    instances: list[AssignedInstance] = []
    older: dict[int, SpecVersion] = {}
    for each in sorted(wanted, key=lambda assignment: (assignment.instance_number, assignment.instance_id)):
        revision = each.spec_revision
        spec = None if revision in own else spec_of(revision)
        if spec is not None:
            older[revision] = SpecVersion(revision, spec)
        instances.append(AssignedInstance(each.instance_id, each.instance_number, revision if spec else 0))
    return tuple(instances), tuple(older[revision] for revision in sorted(older))


def _body(service_id: ServiceId, content: DesiredContent | None) -> dict[str, object] | None:
    if content is None or not content.instances:
        return None
    document = DesiredService(
        service_id, 0, content.spec_revision, content.spec, content.instances, content.sealed, content.older
    )
    return to_document(document)


def _digest(body: Mapping[str, object]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def topics_of(children: Iterable[ChildId]) -> list[str]:
    return [topic for child_id in children for topic in topics.heard_by_parent(child_id)]
