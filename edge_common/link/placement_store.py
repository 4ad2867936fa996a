"""Assignments and observations of a tier, over the document interface.

Assignments are written by the tier's scheduler alone, observations by its links alone.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from edge_common.link.withdrawal import gone
from edge_common.model.ids import ChildId, InstanceId, ServiceId
from edge_common.model.instance import Assignment, HeardObservation, Observation, fold, undeployed
from edge_common.model.lifecycle import Desired, Health, Reason, State
from edge_common.plumbing.documents.interface import Delete, Document, Documents, Index, Put, Where, Write

ASSIGNMENTS = "assignments"
OBSERVATIONS = "observations"
INDEXES = (
    Index(ASSIGNMENTS, ("child_id", "service_id")),
    Index(ASSIGNMENTS, ("child_id", "desired")),
    Index(ASSIGNMENTS, ("service_id",)),
    Index(OBSERVATIONS, ("service_id",)),
)

_ASSIGNMENT_FIELDS = tuple(field.name for field in fields(Assignment))
_OBSERVATION_FIELDS = tuple(field.name for field in fields(Observation))
_ANY_DESIRED = [desired.value for desired in Desired]
"""Names both fields of the index that `stopping_on` needs, so that it serves all assignments of a child too."""


class PlacementStore:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        documents.ensure(INDEXES)

    def assignments_of(self, service_ids: Sequence[ServiceId]) -> list[Assignment]:
        return self._assignments({"service_id": list(service_ids)})

    def assignments_by_id(self, instance_ids: Sequence[InstanceId]) -> dict[InstanceId, Assignment]:
        found = self._assignments({"_id": list(instance_ids)}) if instance_ids else []
        return {assignment.instance_id: assignment for assignment in found}

    def assignments_on(self, child_id: ChildId, service_id: ServiceId | None = None) -> list[Assignment]:
        if service_id is not None:
            return self._assignments({"child_id": child_id, "service_id": service_id})
        return self._assignments({"child_id": child_id, "desired": _ANY_DESIRED})

    def stopping_on(self, child_id: ChildId) -> list[Assignment]:
        return self._assignments({"child_id": child_id, "desired": Desired.STOPPED.value})

    def all_assignments(self) -> list[Assignment]:
        return self._assignments(None)

    def observations_of(self, service_ids: Sequence[ServiceId]) -> list[HeardObservation]:
        return self._observations({"service_id": list(service_ids)})

    def observations_by_id(self, instance_ids: Sequence[InstanceId]) -> dict[InstanceId, Observation]:
        found = self._observations({"_id": list(instance_ids)}) if instance_ids else []
        return {heard.observation.instance_id: heard.observation for heard in found}

    def all_observations(self) -> dict[InstanceId, Observation]:
        return {heard.observation.instance_id: heard.observation for heard in self._observations(None)}

    def write_assignments(self, puts: Iterable[Assignment], forgotten: Iterable[InstanceId]) -> None:
        """A forgotten instance's observation goes with it."""
        writes: list[Write] = [Put(ASSIGNMENTS, _to_document(assignment, _ASSIGNMENT_FIELDS)) for assignment in puts]
        for instance_id in forgotten:
            writes += [Delete(ASSIGNMENTS, instance_id), Delete(OBSERVATIONS, instance_id)]
        if writes:
            self._documents.bulk(writes)

    def fold_report(
        self, child_id: ChildId, heard: Sequence[Observation], heard_at_s: float
    ) -> list[tuple[Assignment, Observation]]:
        """Keep what is news of instances that this child has; returns those. What it says of others counts nothing, and
        which slot of which service an instance fills is not the child's to say."""
        assignments = self.assignments_by_id([observation.instance_id for observation in heard])
        known = self.observations_by_id(list(assignments))
        news: list[tuple[Assignment, Observation]] = []
        for observation in heard:
            assignment = assignments.get(observation.instance_id)
            if assignment is None or assignment.child_id != child_id:
                continue
            before = known.get(observation.instance_id)
            after = replace(
                fold(before, observation),
                service_id=assignment.service_id,
                instance_number=assignment.instance_number,
            )
            if after != before:
                known[observation.instance_id] = after
                news.append((assignment, after))
        self._write_observations((observation for _, observation in news), heard_at_s)
        return news

    def drop_gone(
        self,
        child_id: ChildId,
        held: Collection[InstanceId],
        acked_revision: int,
        withdrawn_at: Callable[[ServiceId], int | None],
        heard_at_s: float,
    ) -> set[ServiceId]:
        """Note as UNDEPLOYED what was withdrawn and is surely gone; returns the services of those."""
        stopping = self.stopping_on(child_id)
        if not stopping:
            return set()
        left = gone(stopping, held=held, acked_revision=acked_revision, withdrawn_at=withdrawn_at)
        observed = self.observations_by_id([each.instance_id for each in left])
        ended = [undeployed(each, observed.get(each.instance_id), heard_at_s) for each in left]
        self.fold_report(child_id, ended, heard_at_s)
        return {each.service_id for each in left}

    def _write_observations(self, observations: Iterable[Observation], heard_at_s: float) -> None:
        writes: list[Write] = [
            Put(OBSERVATIONS, {**_to_document(observation, _OBSERVATION_FIELDS), "heard_at_s": heard_at_s})
            for observation in observations
        ]
        if writes:
            self._documents.bulk(writes)

    def _assignments(self, where: Where | None) -> list[Assignment]:
        return [_assignment(document) for document in self._documents.find(ASSIGNMENTS, where)]

    def _observations(self, where: Where | None) -> list[HeardObservation]:
        return [
            HeardObservation(_observation(document), float(document["heard_at_s"]))
            for document in self._documents.find(OBSERVATIONS, where)
        ]


def _to_document(record: Assignment | Observation, names: Sequence[str]) -> Document:
    return {"_id": record.instance_id, **{name: getattr(record, name) for name in names}}


def _known(document: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: document[name] for name in names if name in document}


def _assignment(document: Mapping[str, Any]) -> Assignment:
    values = _known(document, _ASSIGNMENT_FIELDS)
    values["desired"] = Desired(values["desired"])
    values["reason"] = Reason(values["reason"])
    values["refused_by"] = tuple(values.get("refused_by", ()))
    return Assignment(**values)


def _observation(document: Mapping[str, Any]) -> Observation:
    values = _known(document, _OBSERVATION_FIELDS)
    values["state"] = State(values["state"])
    values["reason"] = Reason(values["reason"])
    values["health"] = Health(values["health"])
    return Observation(**values)
