"""A whole node over a real containerd and a SQLite file; only its link is in memory."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_common.link.child import last_will
from edge_common.link.desired_store import DocumentDesiredStore
from edge_common.link.events import End, PostingEvents
from edge_common.link.memory_broker import MemoryBroker, MemoryTransport
from edge_common.model.ids import ApplicationId, ChildId, InstanceId, NodeId, ServiceId
from edge_common.model.lifecycle import State
from edge_common.model.service import PullPolicy, RestartMode, RestartPolicy, ServiceSpec
from edge_common.plumbing.clock import SystemClock
from edge_common.plumbing.documents.sqlite import SqliteDocuments
from edge_common.plumbing.mailbox import Mailbox
from edge_common.wire.messages import Response
from node_engine.adapters.log_files import LogFiles
from node_engine.adapters.pool import ThreadPool
from node_engine.adapters.probe import MachineProbe
from node_engine.adapters.probing import InstanceProber
from node_engine.adapters.record_store import DocumentRecordStore
from node_engine.adapters.runtimes.containerd import ContainerdRuntime
from node_engine.core.task import Task, TaskState
from node_engine.ports import Runtime
from node_engine.reporter import Profile
from node_engine.service import NodeParts, node_service
from tests.fakes.parent import FakeParent
from tests.integration.containerd_rig import IMAGE, import_busybox
from tests.parts.containerd import Containerd, private_containerd
from tests.support import eventually

pytestmark = pytest.mark.real

NODE = ChildId("node-1")
FAST = RestartPolicy(delay_s=0.2, max_delay_s=1.0)


def make_spec(*command: str, name: str = "s1", **fields: object) -> ServiceSpec:
    given = {"image": IMAGE, "command": command, "stop_grace_s": 1.0, "restart": FAST, **fields}
    return ServiceSpec(ServiceId(name), ApplicationId("app"), f"app.ns.{name}.ns", "container", **given)  # type: ignore[arg-type]


@dataclass
class Engine:
    """Everything that dies with one process of the engine."""

    containerd: Containerd
    directory: Path
    broker: MemoryBroker
    boot: int
    runtime: ContainerdRuntime = field(init=False)
    mailbox: Mailbox = field(init=False)

    def __post_init__(self) -> None:
        mailboxes: list[Mailbox] = []

        def post(event: object) -> bool:
            return bool(mailboxes) and mailboxes[0].post(event)

        clock = SystemClock()
        logs = LogFiles(self.directory / "logs")
        self.runtime = ContainerdRuntime(
            str(self.containerd.address),
            logs,
            namespace=self.containerd.namespace,
            cgroup_parent=self.containerd.cgroup_parent,
        )
        self.documents = SqliteDocuments(self.directory / "node.db")
        self.transport = MemoryTransport(self.broker, NODE, PostingEvents(End.UPPER, post), last_will(NODE))
        self.pools = [ThreadPool("operations", 8, 16, post), ThreadPool("chores", 4, 12, post)]
        runtimes: dict[str, Runtime] = {self.runtime.name: self.runtime}
        self.service = node_service(
            NodeParts(
                profile=Profile(NodeId(NODE)),
                boot_id=f"boot-{self.boot}",
                transport=self.transport,
                desired=DocumentDesiredStore(self.documents),
                records=DocumentRecordStore(self.documents),
                runtimes=runtimes,
                pool=self.pools[0],
                chores=self.pools[1],
                probing=self.pools[1],
                prober=InstanceProber(runtimes),
                probe=MachineProbe(self.directory, "http://127.0.0.1:1"),
                logs=logs,
                clock=clock,
                post=post,
            )
        )
        self.mailbox = Mailbox(self.service, name="node")
        mailboxes.append(self.mailbox)
        self.mailbox.start()
        self.transport.start()

    def end(self) -> None:
        self.mailbox.stop()
        self.transport.kill()
        for pool in self.pools:
            pool.stop()
        self.runtime.close()
        self.documents.close()


class Rig:
    """`engine` is the one that runs now."""

    def __init__(self, containerd: Containerd, directory: Path) -> None:
        self.containerd = containerd
        self.directory = directory
        self.broker = MemoryBroker()
        self.parent = FakeParent(self.broker, NODE)
        self.boots = 0
        self.engine = self.boot()
        import_busybox(self.engine.runtime, directory)

    def boot(self) -> Engine:
        self.boots += 1
        self.engine = Engine(self.containerd, self.directory, self.broker, self.boots)
        return self.engine

    def reaches(self, instance_id: str, state: State, attempt: int = 1, timeout_s: float = 20.0) -> None:
        def is_there() -> bool:
            self.pump()
            heard = self.parent.observations.get(InstanceId(instance_id))
            return heard is not None and heard.state is state and heard.attempt >= attempt

        eventually(is_there, timeout_s, message=f"{instance_id} {state} in {self.parent.observations}")

    def answer(self) -> Response:
        def responses() -> list[Response]:
            self.pump()
            return self.parent.responses

        return eventually(responses, message="an answer")[-1]

    def pump(self) -> None:
        with suppress(RuntimeError):  # the engine's thread uses the broker, too
            self.broker.pump()

    def tasks(self) -> list[Task]:
        return self.engine.runtime.observe()

    def running(self) -> list[str]:
        return sorted(str(task.key) for task in self.tasks() if task.state is TaskState.RUNNING)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with private_containerd() as containerd:
        made = Rig(containerd, tmp_path)
        try:
            yield made
        finally:
            made.engine.end()


def test_from_wanted_to_gone(rig: Rig) -> None:
    spec = make_spec("sh", "-c", "echo hello; trap 'exit 0' TERM; while :; do sleep 0.1; done")
    rig.parent.want(spec, ["a", "b"])
    rig.reaches("a", State.RUNNING)
    rig.reaches("b", State.RUNNING)
    assert rig.running() == ["a-1", "b-1"]
    rig.parent.ask("logs", {"instance_id": "a"})
    assert rig.answer().body["text"] == "hello\n"
    rig.parent.want(spec, ["b"])
    rig.reaches("a", State.UNDEPLOYED)
    assert rig.running() == ["b-1"]
    rig.parent.drop(spec.service_id)
    rig.reaches("b", State.UNDEPLOYED)
    assert rig.tasks() == []


def test_an_exit_is_restarted_with_its_code_kept(rig: Rig) -> None:
    rig.parent.want(make_spec("sh", "-c", "sleep 0.5; exit 3"), ["a"])
    rig.reaches("a", State.RUNNING, attempt=3)
    assert rig.parent.observations[InstanceId("a")].exit_code == 3


def test_a_one_shot_completes(rig: Rig) -> None:
    rig.parent.want(make_spec("true", is_one_shot=True, restart=RestartPolicy(RestartMode.NEVER)), ["a"])
    rig.reaches("a", State.COMPLETED)
    eventually(lambda: rig.tasks() == [])


def test_another_engine_adopts_what_runs_and_sees_what_ended(rig: Rig) -> None:
    long = make_spec("sleep", "1000", name="s1")
    short = make_spec(
        "sh", "-c", "sleep 1; exit 5", name="s2", is_one_shot=True, restart=RestartPolicy(RestartMode.NEVER)
    )
    rig.parent.want(long, ["a"])
    rig.parent.want(short, ["b"])
    rig.reaches("a", State.RUNNING)
    rig.reaches("b", State.RUNNING)
    before = next(task for task in rig.tasks() if task.key.instance_id == "a")
    rig.engine.end()
    rig.boot()
    rig.reaches("b", State.FAILED)
    assert rig.parent.observations[InstanceId("b")].exit_code == 5
    assert before in rig.tasks()


def test_containerd_may_be_away_at_the_start_and_die_in_between(rig: Rig) -> None:
    rig.engine.end()
    rig.containerd.kill()
    rig.boot()
    rig.parent.want(make_spec("sleep", "1000"), ["a"])
    rig.reaches("a", State.CREATING)
    rig.containerd.start()
    rig.reaches("a", State.RUNNING)
    before = rig.tasks()
    rig.containerd.kill()
    rig.containerd.start()
    rig.parent.want(make_spec("sleep", "1000"), ["a", "b"])
    rig.reaches("b", State.RUNNING)
    assert set(before) <= set(rig.tasks())


def test_an_unknown_image_fails_with_its_reason(rig: Rig) -> None:
    rig.parent.want(make_spec("true", image="test.local/nothing:1", pull_policy=PullPolicy.NEVER), ["a"])
    rig.reaches("a", State.FAILED)
    heard = rig.parent.observations[InstanceId("a")]
    assert heard.reason and "test.local/nothing:1" in heard.detail
