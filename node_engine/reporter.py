"""What the node says of itself to its parent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_common.link.child import Description, Reply
from edge_common.model.ids import NodeId
from edge_common.model.instance import Observation
from edge_common.model.node import NodeInfo
from edge_common.plumbing.clock import Clock
from node_engine.core.capacity import capacity
from node_engine.instances import Instances
from node_engine.networks import Networks
from node_engine.observer import Observer
from node_engine.ports import Probe
from node_engine.questions import Questions

USAGE_GAP_S = 9.5
"""A little less than the interval of reports, so that each regular one has it and those in between do not."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What an operator says of this node. `name` "" is the host's, `address` "" the one that is found."""

    node_id: NodeId
    name: str = ""
    address: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    version: str = ""
    sealing_key: str = ""
    reserved_memory_mb: int | None = None


class NodeReporter:
    def __init__(
        self,
        profile: Profile,
        instances: Instances,
        observer: Observer,
        networks: Networks,
        questions: Questions,
        probe: Probe,
        clock: Clock,
    ) -> None:
        self._profile = profile
        self._instances = instances
        self._observer = observer
        self._networks = networks
        self._questions = questions
        self._probe = probe
        self._clock = clock
        self._address = profile.address
        self._said: NodeInfo | None = None
        self._usage_at_s = float("-inf")

    def all_observations(self) -> Iterable[Observation]:
        return self._instances.all_observations()

    def describe(self, *, is_full: bool, acked_revision: int) -> Description:
        del acked_revision
        info = self.info()
        has_news = is_full or info != self._said
        self._said = info
        now_s = self._clock.monotonic_s()
        is_usage_due = is_full or now_s - self._usage_at_s >= USAGE_GAP_S
        if is_usage_due:
            self._usage_at_s = now_s
        return Description(node=info if has_news else None, usage=self._probe.usage() if is_usage_due else None)

    def answer(self, kind: str, body: Mapping[str, Any], reply: Reply) -> None:
        self._questions.ask(kind, body, reply)

    def address_found(self, address: str) -> None:
        self._address = self._profile.address or address

    def has_news(self) -> bool:
        return self._said is not None and self.info() != self._said

    def info(self) -> NodeInfo:
        """A runtime that does not answer is not offered."""
        machine = self._probe.machine()
        return NodeInfo(
            node_id=self._profile.node_id,
            name=self._profile.name or machine.hostname,
            architecture=machine.architecture,
            runtimes=self._observer.well,
            capacity=capacity(machine, self._profile.reserved_memory_mb),
            address=self._address,
            labels=self._profile.labels,
            version=self._profile.version,
            sealing_key=self._profile.sealing_key,
            has_overlay=self._networks.is_ready,
            subnets_wanted=self._networks.wanted_subnets,
            subnets=self._networks.subnets,
        )
