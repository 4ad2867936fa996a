"""The upper end of a node's link, as small as can be: says what it wants, folds what it hears."""

from collections.abc import Iterable, Mapping
from typing import Any

from edge_common.link.memory_broker import MemoryBroker, MemoryTransport
from edge_common.model.ids import ChildId, InstanceId, ServiceId
from edge_common.model.instance import Observation, fold
from edge_common.model.network import Subnet
from edge_common.model.service import ServiceSpec
from edge_common.model.values import SealedValue
from edge_common.wire import topics
from edge_common.wire.codec import decode, encode
from edge_common.wire.messages import AssignedInstance, DesiredService, Manifest, Report, Request, Response


class FakeParent:
    def __init__(self, broker: MemoryBroker, child_id: ChildId) -> None:
        self._child_id = child_id
        self._transport = MemoryTransport(broker, "parent", self)
        self._transport.subscribe([topics.report(child_id), topics.response(child_id)])
        self._revisions: dict[ServiceId, int] = {}
        self._subnets: tuple[Subnet, ...] = ()
        self.revision = 0
        self.reports: list[Report] = []
        self.responses: list[Response] = []
        self.observations: dict[InstanceId, Observation] = {}
        self.history: list[Observation] = []
        self._transport.start()

    def want(
        self,
        spec: ServiceSpec,
        instance_ids: Iterable[str],
        spec_revision: int = 1,
        sealed: tuple[SealedValue, ...] = (),
    ) -> None:
        self.revision += 1
        instances = tuple(AssignedInstance(InstanceId(each), number) for number, each in enumerate(instance_ids))
        document = DesiredService(spec.service_id, self.revision, spec_revision, spec, instances, sealed)
        self._revisions[spec.service_id] = self.revision
        self._transport.publish(
            topics.desired_service(self._child_id, spec.service_id), encode(document), is_retained=True
        )
        self._say_manifest()

    def give(self, *subnets: Subnet) -> None:
        self.revision += 1
        self._subnets = subnets
        self._say_manifest()

    def drop(self, service_id: ServiceId) -> None:
        self.revision += 1
        self._revisions.pop(service_id, None)
        self._transport.publish(topics.desired_service(self._child_id, service_id), b"", is_retained=True)
        self._say_manifest()

    def ask(self, kind: str, body: Mapping[str, Any]) -> None:
        request = Request(f"request-{len(self.responses)}", kind, body)
        self._transport.publish(topics.request(self._child_id), encode(request))

    def state(self, instance_id: str) -> str:
        observation = self.observations.get(InstanceId(instance_id))
        return str(observation.state) if observation else ""

    def on_connected(self, has_session: bool) -> None: ...

    def on_disconnected(self, reason: str) -> None: ...

    def on_message(self, topic: str, payload: bytes, is_retained: bool) -> None:
        if topic == topics.response(self._child_id):
            self.responses.append(decode(Response, payload))
            return
        report = decode(Report, payload)
        self.reports.append(report)
        for observation in report.observations:
            self.history.append(observation)
            self.observations[observation.instance_id] = fold(
                self.observations.get(observation.instance_id), observation
            )

    def _say_manifest(self) -> None:
        manifest = Manifest(self.revision, dict(self._revisions), self._subnets)
        self._transport.publish(topics.desired(self._child_id), encode(manifest), is_retained=True)
