"""Whatever order, loss and repetition of messages: one repeat later the child holds what is wanted."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from edge_common.link.desired_set import DesiredSet
from edge_common.link.publisher import ChildDocuments, DesiredContent
from edge_common.model.ids import ChildId, ServiceId
from edge_common.wire import topics
from edge_common.wire.codec import decode
from edge_common.wire.messages import DesiredService, Manifest
from tests.unit.link.rig import CHILD, content, document

SERVICES = tuple(map(ServiceId, ("a", "b", "c")))
Message = DesiredService | Manifest


@dataclass
class Said:
    """A parent, and every message that it ever said."""

    documents: ChildDocuments = field(default_factory=lambda: ChildDocuments(CHILD))
    wanted: dict[ServiceId, DesiredContent] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)

    def content(self, _: ChildId, service_id: ServiceId) -> DesiredContent | None:
        return self.wanted.get(service_id)

    def want(self, service_id: ServiceId, count: int) -> None:
        instances = [f"{service_id}{number}" for number in range(count)]
        self.wanted[service_id] = content(service_id, *instances)
        self.documents.dirty.add(service_id)

    def say(self) -> None:
        settled = self.documents.settle(self.content)
        for outgoing in settled[1] if settled else []:
            self._keep(outgoing.topic, outgoing.payload)

    def repeat(self, acked_revision: int) -> list[Message]:
        before = len(self.messages)
        for outgoing in self.documents.repeat(self.content, acked_revision):
            self._keep(outgoing.topic, outgoing.payload)
        return self.messages[before:]

    @property
    def instances(self) -> set[str]:
        return {each.instance_id for wanted in self.wanted.values() for each in wanted.instances}

    def _keep(self, topic: str, payload: bytes) -> None:
        if topic == topics.desired(CHILD):
            self.messages.append(decode(Manifest, payload))
        elif payload:
            self.messages.append(decode(DesiredService, payload))


def offer(held: DesiredSet, message: Message) -> None:
    if isinstance(message, Manifest):
        held.offer_manifest(message)
    else:
        held.offer_document(message)


def instances(held: DesiredSet) -> set[str]:
    return {each.instance_id for held_document in held.documents.values() for each in held_document.instances}


CHANGES = st.lists(st.lists(st.tuples(st.sampled_from(SERVICES), st.integers(0, 3)), max_size=3), max_size=8)


def told(changes: list[list[tuple[ServiceId, int]]]) -> Said:
    said = Said()
    for change in changes:
        for service_id, count in change:
            said.want(service_id, count)
        said.say()
    return said


@given(CHANGES, st.data())
def test_one_repeat_after_any_confusion_brings_what_is_wanted(
    changes: list[list[tuple[ServiceId, int]]], data: st.DataObject
) -> None:
    said = told(changes)
    held = DesiredSet()
    old = list(said.messages)
    if old:
        for message in data.draw(st.lists(st.sampled_from(old), max_size=30)):
            offer(held, message)
    for message in data.draw(st.permutations(said.repeat(held.revision))):
        offer(held, message)
    assert held.revision == said.documents.revision
    assert instances(held) == said.instances
    before = dict(held.documents)
    for message in data.draw(st.permutations(said.messages)):
        offer(held, message)
    assert held.documents == before, "an old message undid something"


@given(CHANGES, st.data())
def test_a_restart_in_the_middle_changes_nothing(
    changes: list[list[tuple[ServiceId, int]]], data: st.DataObject
) -> None:
    """What is on disk is the documents and the revision; an awaited manifest is not."""
    said = told(changes)
    held = DesiredSet()
    for message in data.draw(st.permutations(said.messages)):
        if data.draw(st.booleans()):
            held = DesiredSet(held.revision, held.documents.values())
        offer(held, message)
    for message in said.repeat(held.revision):
        offer(held, message)
    assert (held.revision, instances(held)) == (said.documents.revision, said.instances)


@given(CHANGES, st.data())
def test_a_revision_is_held_only_in_full(changes: list[list[tuple[ServiceId, int]]], data: st.DataObject) -> None:
    said = told(changes)
    manifests = {each.revision: each for each in said.messages if isinstance(each, Manifest)}
    held = DesiredSet()
    for message in data.draw(st.permutations(said.messages)):
        offer(held, message)
        if held.revision:
            listed = manifests[held.revision].services
            assert all(held.documents[each].revision >= revision for each, revision in listed.items())


class TestOffers:
    def test_a_document_is_good_before_its_manifest(self) -> None:
        held = DesiredSet()
        change = held.offer_document(document("web", 1))
        assert (change.services, change.revision, bool(change)) == (("web",), None, True)
        assert held.offer_manifest(Manifest(1, {ServiceId("web"): 1})).revision == 1

    def test_a_manifest_waits_for_its_documents(self) -> None:
        held = DesiredSet()
        assert not held.offer_manifest(Manifest(1, {ServiceId("web"): 1}))
        assert held.offer_document(document("web", 1)).revision == 1

    def test_what_a_manifest_does_not_list_goes(self) -> None:
        held = DesiredSet(1, [document("web", 1), document("db", 1)])
        change = held.offer_manifest(Manifest(2, {ServiceId("db"): 1}))
        assert (change.removed, change.revision, set(held.documents)) == (("web",), 2, {"db"})

    def test_a_document_that_was_dropped_does_not_come_back(self) -> None:
        held = DesiredSet(2)
        assert not held.offer_document(document("web", 1))
        assert held.documents == {}

    def test_what_an_awaited_manifest_dropped_is_not_begun(self) -> None:
        held = DesiredSet()
        held.offer_manifest(Manifest(3, {ServiceId("db"): 3}))
        assert not held.offer_document(document("web", 1))
        assert not held.offer_document(document("db", 2))
        assert held.offer_document(document("db", 3)).revision == 3

    def test_an_old_manifest_changes_nothing(self) -> None:
        held = DesiredSet(5, [document("web", 4)])
        assert not held.offer_manifest(Manifest(4, {}))
        assert not held.offer_manifest(Manifest(5, {}))
        assert set(held.documents) == {"web"}
