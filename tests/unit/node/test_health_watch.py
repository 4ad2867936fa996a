"""Who is asked when there is not room for all."""

from collections.abc import Callable
from dataclasses import replace

from edge_common.model.ids import ApplicationId, InstanceId, ServiceId
from edge_common.model.lifecycle import State
from edge_common.model.probes import Probe, ProbeKind, Probes
from edge_common.model.service import ServiceSpec
from edge_common.plumbing.clock import FakeClock
from node_engine.core.health import Answer
from node_engine.core.record import Record
from node_engine.core.task import TaskKey
from node_engine.events import ProbeAnswered
from node_engine.health_watch import HealthWatch

PROBES = Probes(liveness=Probe(ProbeKind.TCP, 80, interval_s=1.0))
SPEC = ServiceSpec(ServiceId("s1"), ApplicationId("a1"), "a.n.s.n", "container", "img", probes=PROBES)
RUNNING = Record(InstanceId("i1"), ServiceId("s1"), 0, SPEC, 1, state=State.RUNNING)


class OneJob:
    """A pool with room for one."""

    def __init__(self) -> None:
        self.job: Callable[[], object] | None = None

    def room(self) -> int:
        return 0 if self.job else 1

    def submit(self, job: Callable[[], object]) -> None:
        self.job = job

    def stop(self, timeout_s: float = 2.0) -> None:
        del timeout_s


class WellProber:
    def ask(self, key: TaskKey, runtime: str, probe: Probe, address: str) -> Answer:
        del key, runtime, probe, address
        return Answer(True)


def test_who_has_waited_longest_is_asked_first() -> None:
    clock, pool = FakeClock(), OneJob()
    watch = HealthWatch(WellProber(), pool, clock)
    watch.follow(replace(RUNNING, instance_id=InstanceId(name)) for name in ("i1", "i2", "i3"))
    asked: list[str] = []
    for _ in range(12):
        watch.ask()
        assert pool.job is not None
        event, pool.job = pool.job(), None
        assert isinstance(event, ProbeAnswered)
        asked.append(event.key.instance_id)
        watch.heard(event)
        clock.advance(1.0)
    assert {name: asked.count(name) for name in ("i1", "i2", "i3")} == {"i1": 4, "i2": 4, "i3": 4}
