"""A parent says what changed, each time at a revision of its own, and nothing else."""

import json

from hypothesis import given
from hypothesis import strategies as st

from edge_common.link.publisher import ChildDocuments, DesiredContent, listed
from edge_common.model.ids import ChildId, InstanceId, ServiceId
from edge_common.model.instance import Assignment
from edge_common.wire import topics
from edge_common.wire.messages import AssignedInstance, DesiredService, SpecVersion
from tests.unit.link.rig import CHILD, DB, WEB, content, spec


class Wanted(dict[ServiceId, DesiredContent]):
    def of(self, _: ChildId, service_id: ServiceId) -> DesiredContent | None:
        return self.get(service_id)


def test_a_change_costs_its_document_and_the_manifest() -> None:
    wanted = Wanted({WEB: content(WEB, "a"), DB: content(DB, "d")})
    documents = ChildDocuments(CHILD, dirty={WEB, DB})
    documents.settle(wanted.of)
    wanted[WEB] = content(WEB, "a", "b")
    documents.dirty.add(WEB)
    settled = documents.settle(wanted.of)
    assert settled is not None
    change, messages = settled
    assert [each.topic for each in messages] == [topics.desired_service(CHILD, WEB), topics.desired(CHILD)]
    assert json.loads(messages[-1].payload)["services"] == {"web": 2, "db": 1}
    assert (change.revision, list(change.puts), change.removed) == (2, [WEB], ())


def test_what_did_not_change_costs_nothing() -> None:
    wanted = Wanted({WEB: content(WEB, "a")})
    documents = ChildDocuments(CHILD, dirty={WEB})
    documents.settle(wanted.of)
    documents.dirty.add(WEB)
    assert documents.settle(wanted.of) is None
    assert documents.revision == 1


def test_what_goes_is_dropped_from_the_manifest_before_its_topic_is_cleared() -> None:
    wanted = Wanted({WEB: content(WEB, "a")})
    documents = ChildDocuments(CHILD, dirty={WEB})
    documents.settle(wanted.of)
    wanted[WEB] = content(WEB)
    documents.dirty.add(WEB)
    settled = documents.settle(wanted.of)
    assert settled is not None
    change, (manifest, cleared) = settled
    assert json.loads(manifest.payload) == {"v": 1, "revision": 2, "services": {}, "subnets": []}
    assert (cleared.topic, cleared.payload) == (topics.desired_service(CHILD, WEB), b"")
    assert change.removed == (WEB,)


def test_the_spec_alone_is_a_change() -> None:
    wanted = Wanted({WEB: content(WEB, "a")})
    documents = ChildDocuments(CHILD, dirty={WEB})
    documents.settle(wanted.of)
    wanted[WEB] = content(WEB, "a", spec_revision=2)
    documents.dirty.add(WEB)
    assert documents.settle(wanted.of) is not None


def test_a_repeat_finds_what_changed_unnoticed() -> None:
    wanted = Wanted({WEB: content(WEB, "a"), DB: content(DB, "d")})
    documents = ChildDocuments(CHILD, dirty={WEB, DB})
    documents.settle(wanted.of)
    wanted[WEB] = content(WEB, "b")
    assert [each.topic for each in documents.repeat(wanted.of, 0)] == [
        topics.desired_service(CHILD, DB),
        topics.desired(CHILD),
    ]
    assert documents.dirty == {WEB}


def test_one_that_was_overtaken_says_all_anew_even_when_it_wants_nothing() -> None:
    documents = ChildDocuments(CHILD)
    documents.overtake(7)
    settled = documents.settle(Wanted().of)
    assert settled is not None
    assert json.loads(settled[1][0].payload) == {"v": 1, "revision": 8, "services": {}, "subnets": []}
    assert documents.settle(Wanted().of) is None


@given(st.lists(st.dictionaries(st.sampled_from([WEB, DB]), st.integers(0, 3), min_size=1), max_size=10))
def test_revisions_only_grow_and_the_manifest_lists_what_was_said_last(
    changes: list[dict[ServiceId, int]],
) -> None:
    wanted, documents, before = Wanted(), ChildDocuments(CHILD), 0
    for change in changes:
        for service_id, count in change.items():
            wanted[service_id] = content(service_id, *(f"{service_id}{number}" for number in range(count)))
        documents.dirty |= change.keys()
        settled = documents.settle(wanted.of)
        assert documents.revision == before + (settled is not None)
        before = documents.revision
        assert documents.published.keys() == {each for each, what in wanted.items() if what.instances}
        assert all(each.revision <= before for each in documents.published.values())


def test_an_instance_of_an_older_spec_brings_it_along() -> None:
    def assignment(name: str, number: int, revision: int) -> Assignment:
        return Assignment(InstanceId(name), ServiceId("web"), number, InstanceId(name), revision)

    older = spec("web")
    wanted = [assignment("b", 1, 6), assignment("a", 0, 7), assignment("c", 2, 2)]
    instances, versions = listed(wanted, {7}, {6: older}.get)
    assert instances == (
        AssignedInstance(InstanceId("a"), 0),
        AssignedInstance(InstanceId("b"), 1, 6),
        AssignedInstance(InstanceId("c"), 2),
    )
    assert versions == (SpecVersion(6, older),)
    document = DesiredService(ServiceId("web"), 1, 7, spec("web"), instances, older=versions)
    assert [document.version_of(each.spec_revision).spec_revision for each in instances] == [7, 6, 7]
