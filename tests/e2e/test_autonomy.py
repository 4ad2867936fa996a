"""What a node does alone, and that nothing which should run is touched when the others come back."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from edge_common.link.dynsec import DynsecAdmin
from edge_common.model.ids import ChildId
from edge_common.plumbing.mqtt_types import MqttEndpoint
from hedgerow.machine import processes
from hedgerow.machine.layout import Layout, find_layout
from hedgerow.machine.machine import Machine
from hedgerow.machine.programs import CONTAINERD, NODE, ROOT, broker_password_file
from hedgerow.machine.remains import mounts_below
from tests.e2e.store import Running, kernel_network
from tests.parts.stack import Stack, sla
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

COUNT = 3
BOOT_S = 20.0
CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def busy(system: Stack) -> Stack:
    """With instances that run."""
    system.apply(sla("busy", COUNT))
    system.wait_running(COUNT)
    return system


def layout_of(stack: Stack) -> Layout:
    return find_layout(stack.environment)


def node_of(stack: Stack) -> dict[str, object]:
    (node,) = stack.api.request("GET", "/api/nodes")["nodes"]
    return dict(node)


def wait_ready(stack: Stack, **fields: object) -> None:
    wanted = {"readiness": "ready", **fields}
    eventually(lambda: wanted.items() <= node_of(stack).items(), timeout_s=30, message=f"a node that is {wanted}")


def assert_works(stack: Stack) -> None:
    """The whole way down and back up."""
    stack.apply(sla("more"))
    stack.wait_running(COUNT + 1)


def test_a_restarted_engine_adopts_what_runs(busy: Stack) -> None:
    before, killed = busy.tasks(), busy.pids()[NODE]
    os.kill(killed, signal.SIGKILL)
    assert busy.tasks() == before
    eventually(lambda: busy.pids().get(NODE) not in (None, killed), timeout_s=15)
    assert_works(busy)
    assert before.items() <= busy.tasks().items()
    assert {each["attempt"] for each in busy.instances()} == {1}


def test_a_node_under_another_name_and_address_is_the_same(busy: Stack) -> None:
    before, node = busy.tasks(), node_of(busy)
    busy.up("--set", "HEDGEROW_NODE_NAME=renamed", "--set", "HEDGEROW_NODE_ADDRESS=127.0.0.9")
    wait_ready(busy, node_name="renamed", address="127.0.0.9", node_id=node["node_id"])
    assert busy.tasks() == before
    eventually(lambda: {each["publicip"] for each in busy.instances()} == {"127.0.0.9"})
    busy.up("--set", "HEDGEROW_NODE_NAME=", "--set", "HEDGEROW_NODE_ADDRESS=")
    wait_ready(busy, node_name=node["node_name"], node_id=node["node_id"])
    assert busy.tasks() == before
    assert_works(busy)


def test_a_node_whose_credentials_were_removed_joins_again(busy: Stack) -> None:
    before, node = busy.tasks(), node_of(busy)
    layout = layout_of(busy)
    password = broker_password_file(layout, "cluster").read_text().strip()
    admin = DynsecAdmin(MqttEndpoint("127.0.0.1", layout.ports.mqtt, "cluster", password))
    admin.evict(ChildId(str(node["node_id"])))
    log = busy.home / "logs" / "node.log"
    eventually(lambda: "mqtt_disconnected" in log.read_text(), message="the end of the connection")
    assert_works(busy)
    assert node_of(busy)["node_id"] == node["node_id"]
    assert before.items() <= busy.tasks().items()


def test_without_a_root_a_crash_is_mended_and_the_root_hears_of_it(busy: Stack) -> None:
    before = busy.tasks()
    victim, pid = sorted(before.items())[0]
    supervisor = Machine(layout_of(busy)).supervisor
    supervisor.stop(ROOT)
    os.kill(pid, signal.SIGKILL)
    successor = victim.removesuffix("-1") + "-2"
    eventually(lambda: successor in busy.tasks(), timeout_s=15, message="the second attempt")
    after = busy.tasks()
    assert {name for name in before if name != victim} | {successor} == set(after)
    busy.up()
    eventually(lambda: sorted(each["attempt"] for each in busy.instances()) == [1, 1, 2], timeout_s=15)
    assert busy.tasks() == after
    assert_works(busy)


def test_a_machine_that_boots_without_a_network_runs_what_it_had(busy: Stack) -> None:
    ids = {each["instance_id"] for each in busy.instances()}
    cut_the_power(busy)
    with only(busy, CONTAINERD, NODE):
        eventually(lambda: len(answered(busy)) == COUNT, timeout_s=BOOT_S, message="what it ran before")
        booted = answered(busy)
        assert {name.removeprefix("hedgerow-").rpartition("-")[0] for name in booted} == ids
    busy.up()
    busy.login()
    busy.wait_running(COUNT)
    wait_ready(busy)
    assert busy.tasks() == booted
    assert {each["instance_id"] for each in busy.instances()} == ids
    assert_works(busy)
    assert booted.items() <= busy.tasks().items()


def answered(stack: Stack) -> dict[str, int]:
    """Nothing while containerd does not answer."""
    try:
        return stack.tasks()
    except subprocess.CalledProcessError:
        return {}


def cut_the_power(stack: Stack) -> None:
    """All processes end at once, containers included. What is on disk stays; what was in memory is gone."""
    layout, names = layout_of(stack), stack.tasks()
    ours = processes.ours(layout)
    for process in ours:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    contained = [child for process in ours for child in process.children(recursive=True)]
    for process in {*ours, *contained}:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs([*ours, *contained], timeout=5)
    for point in mounts_below(layout, Path("/proc/self/mountinfo").read_text()):
        subprocess.run(["umount", "--lazy", str(point)], check=True, timeout=20)
    shutil.rmtree(layout.run)
    for name in names:
        shutil.rmtree(Path("/run/containerd/runc/hedgerow") / name, ignore_errors=True)


@contextmanager
def only(stack: Stack, *names: str) -> Iterator[None]:
    """These parts alone, as whatever starts a machine would start them: no broker, no root, no cluster."""
    layout = layout_of(stack)
    layout.run.mkdir()
    with ExitStack() as cleanup:
        for program in Machine(layout).programs():
            if program.name in names:
                log = cleanup.enter_context((layout.logs / f"{program.name}.log").open("ab"))
                started = subprocess.Popen(program.argv, env=dict(program.environment), stdout=log, stderr=log)
                cleanup.callback(started.wait, 10)
                cleanup.callback(started.terminate)
        yield


def test_down_leaves_nothing_and_up_brings_it_back(busy: Stack, running: Running) -> None:
    layout, ids, names = layout_of(busy), {each["instance_id"] for each in busy.instances()}, set(busy.tasks())
    busy.down()
    assert processes.ours(layout) == []
    assert mounts_below(layout, Path("/proc/self/mountinfo").read_text()) == []
    assert [path for name in names for path in CGROUPS.glob(f"**/hedgerow/{name}")] == []
    assert [path for name in names for path in Path("/run/containerd").glob(f"runc/*/{name}")] == []
    assert kernel_network() <= running.network_before
    busy.up()
    busy.login()
    busy.wait_running(COUNT)
    assert {each["instance_id"] for each in busy.instances()} == ids
    assert_works(busy)
