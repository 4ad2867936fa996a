"""What the parent wants of this node, instance by instance."""

from collections.abc import Iterable, Mapping

from edge_common.model.ids import InstanceId, ServiceId
from edge_common.model.values import SealedValue
from edge_common.wire.messages import AssignedInstance, DesiredService
from node_engine.core.record import Moment, Record


class Wishes:
    """Until a parent has ever said all it wants, nobody can say of anything that it is not wanted."""

    def __init__(self) -> None:
        self._wanted: dict[InstanceId, tuple[DesiredService, AssignedInstance]] = {}
        self._by_service: dict[ServiceId, tuple[InstanceId, ...]] = {}
        self._is_complete = False

    @property
    def is_complete(self) -> bool:
        return self._is_complete

    def complete(self) -> None:
        self._is_complete = True

    def take(self, service_ids: Iterable[ServiceId], desired: Mapping[ServiceId, DesiredService]) -> list[InstanceId]:
        """What is wanted of these services now; returns the instances that this may concern."""
        concerned: list[InstanceId] = []
        for service_id in sorted(service_ids):
            before = self._by_service.pop(service_id, ())
            for instance_id in before:
                self._wanted.pop(instance_id, None)
            concerned += before
            document = desired.get(service_id)
            if document is not None:
                now = {each.instance_id: (document, each) for each in document.instances}
                self._by_service[service_id] = tuple(now)
                self._wanted |= now
                concerned += now
        return concerned

    def is_wanted(self, instance_id: InstanceId) -> bool:
        return instance_id in self._wanted or not self._is_complete

    def instances(self) -> Iterable[InstanceId]:
        return self._wanted.keys()

    def sealed(self, instance_id: InstanceId) -> tuple[SealedValue, ...]:
        """The values that came with its service last."""
        wanted = self._wanted.get(instance_id)
        return wanted[0].sealed if wanted else ()

    def first_record(self, instance_id: InstanceId, moment: Moment) -> Record | None:
        """That of one that is new here; None when nobody asked for it."""
        wanted = self._wanted.get(instance_id)
        if wanted is None:
            return None
        document, assigned = wanted
        version = document.version_of(assigned.spec_revision)
        return Record(
            instance_id,
            document.service_id,
            assigned.instance_number,
            version.spec,
            version.spec_revision,
            changed_at_s=moment.wall_s,
        )
