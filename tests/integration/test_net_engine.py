"""NodeEngine, NetManager and containerd together, in a network namespace that is their machine."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_common.link.desired_store import DocumentDesiredStore
from edge_common.model.ids import InstanceId, ServiceId
from edge_common.plumbing.documents.sqlite import SqliteDocuments
from node_engine.adapters.record_store import DocumentRecordStore
from node_engine.core.record import Record
from node_engine.core.task import TaskKey
from tests.integration.containerd_rig import Rig
from tests.integration.test_node_process import pids, prepare, rig, settings_of
from tests.parts import netns
from tests.parts.net_manager import NetManagerProcess
from tests.parts.netns import Host
from tests.support import eventually

__all__ = ["rig"]
pytestmark = pytest.mark.real

SUBNET = ("10.16.0.0/26", "fc00::/120")
FIRST, SECOND = TaskKey(InstanceId("i0"), 1), TaskKey(InstanceId("i1"), 1)
START_S = 20.0


@dataclass
class Engine:
    """`python -m node_engine` on the host; may be killed and started again."""

    rig: Rig
    host: Host
    directory: Path
    net: NetManagerProcess
    _processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def start(self) -> None:
        environment = {
            **settings_of(self.rig, self.directory / "node"),
            "HEDGEROW_NODE_NET_MANAGER": f"unix://{self.net.socket}",
        }
        command = ["nsenter", f"--net={self.host.path}", sys.executable, "-m", "node_engine"]
        with (self.directory / "node.log").open("ab") as log:
            self._processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(10)
        self._processes.clear()

    def records(self) -> dict[InstanceId, Record]:
        documents = SqliteDocuments(self.directory / "node" / "node.db")
        try:
            return {record.instance_id: record for record in DocumentRecordStore(documents).load()}
        finally:
            documents.close()

    def want_nothing(self) -> None:
        documents = SqliteDocuments(self.directory / "node" / "node.db")
        DocumentDesiredStore(documents).save(2, (), [ServiceId("s1")])
        documents.close()


@pytest.fixture
def host() -> Iterator[Host]:
    with netns.host() as one:
        yield one


@pytest.fixture
def net(host: Host, tmp_path: Path) -> Iterator[NetManagerProcess]:
    process = NetManagerProcess(host, tmp_path)
    yield process
    process.kill()


@pytest.fixture
def engine(rig: Rig, host: Host, tmp_path: Path, net: NetManagerProcess) -> Iterator[Engine]:
    prepare(tmp_path / "node", 2)
    one = Engine(rig, host, tmp_path, net)
    yield one
    one.kill()


def two_run(engine: Engine) -> bool:
    running = set(pids(engine.rig))
    records = engine.records().values()
    return running == {FIRST, SECOND} and all(record.ip for record in records)


def ping(engine: Engine, key: TaskKey, address: str) -> int:
    return engine.rig.runtime.exec(key, ["ping", "-c", "1", "-W", "5", address], 10.0).exit_code


def test_two_instances_ping_each_other_and_a_stream_outlives_both_processes(
    engine: Engine, net: NetManagerProcess, host: Host
) -> None:
    engine.start()
    eventually(lambda: _detail(engine).startswith("waiting for the network manager"), START_S, message="a reason")
    net.start()
    eventually(lambda: "to give this node a subnet" in _detail(engine), START_S, message="another reason")
    net.grant(*SUBNET)
    eventually(lambda: two_run(engine), START_S, message="two instances with addresses")
    first, second = (engine.records()[key.instance_id] for key in (FIRST, SECOND))
    for address in (second.ip, second.ip_v6):
        assert ping(engine, FIRST, address) == 0
    before = pids(engine.rig)
    server = netns.listener(host.inside(SECOND.instance_id), second.ip, 8080)
    client = netns.connected(host.inside(FIRST.instance_id), second.ip, 8080)
    with closing(server), closing(client), closing(server.accept()[0]) as accepted:
        for number, kill in enumerate((net.kill, engine.kill)):
            kill()
            client.sendall(bytes([number]))
            assert accepted.recv(1) == bytes([number])
        net.start()
        engine.start()
        eventually(lambda: "network_manager_back" in log(engine) or "event=serving" in log(engine), START_S)
        client.sendall(b"x")
        assert accepted.recv(1) == b"x"
        assert ping(engine, SECOND, first.ip) == 0
    assert pids(engine.rig) == before
    engine.kill()
    engine.want_nothing()
    engine.start()
    eventually(lambda: not engine.rig.runtime.observe() and not host.leftovers(), START_S, message="an empty node")
    assert net.request("GET", "/api/net/instances")["instances"] == []


def _detail(engine: Engine) -> str:
    record = engine.records().get(FIRST.instance_id)
    return record.detail if record else ""


def log(engine: Engine) -> str:
    return (engine.directory / "node.log").read_text()
