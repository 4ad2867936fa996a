"""Output of containers: straight from the shim to a file, trimmed under load, read by a cursor."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_common.model.ids import InstanceId
from node_engine.adapters.log_files import LogFiles
from node_engine.core.logs import LogPolicy
from tests.integration.containerd_rig import Rig, import_busybox, make_rig
from tests.parts.containerd import private_containerd

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    directory = tmp_path_factory.mktemp("rig")
    with private_containerd() as containerd, make_rig(containerd, directory) as made:
        import_busybox(made.runtime, directory)
        yield made


def test_both_streams_reach_a_file_that_others_cannot_read(rig: Rig) -> None:
    plan = rig.run("sh", "-c", "echo out; echo err >&2")
    rig.ended(plan)
    rig.runtime.remove(plan.key)
    path = rig.logs.path(plan.key.instance_id)
    assert sorted(path.read_text().splitlines()) == ["err", "out"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    rig.logs.remove(plan.key.instance_id)
    assert not path.parent.exists()


def test_a_second_attempt_goes_on_in_the_same_file(rig: Rig) -> None:
    first = rig.run("echo", "first")
    rig.ended(first)
    rig.runtime.remove(first.key)
    assert rig.logs.read(first.key.instance_id).data == b"first\n"
    with rig.logs.path(first.key.instance_id).open("ab") as file:
        file.write(b"")
    assert rig.logs.tail(first.key.instance_id, 1).data == b"first\n"


def test_a_reader_loses_no_line_while_the_file_is_trimmed_under_load(rig: Rig) -> None:
    """300,000 numbered lines; the file is trimmed all the time and a reader follows: it sees each once, in order."""
    logs = LogFiles(rig.logs.path(rig.plan("x").key.instance_id).parent.parent, LogPolicy(400_000, 100_000))
    plan = rig.run("seq", "1", "300000")
    instance = plan.key.instance_id
    seen = bytearray()
    cursor = 0
    largest = 0
    end = b"\n300000\n"
    while not seen.endswith(end):
        chunk = logs.read(instance, cursor, 256 * 1024)
        assert not chunk.is_gap
        seen += chunk.data
        cursor = chunk.cursor
        if cursor == logs.path(instance).stat().st_size:
            logs.trim()
            largest = max(largest, logs.path(instance).stat().st_blocks * 512)
    assert [int(line) for line in seen.split()] == list(range(1, 300_001))
    logs.trim()
    assert logs.path(instance).stat().st_blocks * 512 <= 400_000 + 8192
    assert logs.tail(instance, 2).data == b"299999\n300000\n"
    rig.ended(plan)
    rig.runtime.remove(plan.key)


def test_nothing_but_the_oldest_is_lost_to_one_who_reads_late(rig: Rig) -> None:
    logs = LogFiles(rig.logs.path(rig.plan("x").key.instance_id).parent.parent, LogPolicy(100_000, 50_000))
    plan = rig.run("seq", "1", "100000")
    instance = plan.key.instance_id
    rig.ended(plan)
    rig.runtime.remove(plan.key)
    logs.trim()
    kept = logs.read(instance, 0)
    numbers = [int(line) for line in kept.data.split()]
    assert numbers == list(range(numbers[0], 100_001))
    assert 50_000 - 4096 - 10 <= len(kept.data) <= 100_000
    assert logs.read(instance, 10).is_gap
    assert logs.read(instance, kept.cursor).data == b""
    assert os.path.getsize(logs.path(instance)) == kept.cursor  # noqa: PTH202


def test_an_unknown_instance_has_no_output(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path / "none")
    logs.trim()
    assert logs.instances() == []
    assert (logs.read(InstanceId("x")).data, logs.tail(InstanceId("x"), 5).data) == (b"", b"")
