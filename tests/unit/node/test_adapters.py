"""The pool, the probe and the settings of a node."""

import threading
from pathlib import Path

import pytest

from edge_common.model.errors import InvalidInput, Overloaded
from edge_common.plumbing.settings import load
from node_engine.adapters.pool import ThreadPool
from node_engine.adapters.probe import MachineProbe
from node_engine.settings import PREFIX, Settings
from tests.support import eventually


def test_a_pool_is_bounded_and_gives_back_what_jobs_return() -> None:
    events: list[object] = []
    gate = threading.Event()

    def post(event: object) -> bool:
        events.append(event)
        return True

    pool = ThreadPool("test", threads=2, capacity=3, post=post)
    for number in range(3):
        pool.submit(lambda number=number: (gate.wait(10), number)[1])  # type: ignore[misc]
    assert pool.room() == 0
    with pytest.raises(Overloaded):
        pool.submit(lambda: None)
    gate.set()
    eventually(lambda: sorted(map(str, events)) == ["0", "1", "2"])
    eventually(lambda: pool.room() == 3)
    pool.stop()


def test_a_result_waits_for_a_full_mailbox() -> None:
    events: list[object] = []
    refusals = iter([False, False, True])

    def post(event: object) -> bool:
        is_taken = next(refusals)
        if is_taken:
            events.append(event)
        return is_taken

    pool = ThreadPool("test", threads=1, capacity=1, post=post)
    pool.submit(lambda: "done")
    eventually(lambda: events == ["done"])
    pool.stop()


def test_a_job_that_breaks_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    events: list[object] = []
    pool = ThreadPool("test", threads=1, capacity=2, post=lambda event: not events.append(event))  # type: ignore[func-returns-value]

    def break_down() -> None:
        raise RuntimeError("oh")

    pool.submit(break_down)
    pool.submit(lambda: "next")
    eventually(lambda: events == ["next"])
    assert "job_broke" in caplog.text
    pool.stop()


def test_the_probe_measures_this_machine(tmp_path: Path) -> None:
    probe = MachineProbe(tmp_path, "http://127.0.0.1:10100")
    machine, usage = probe.machine(), probe.usage()
    assert machine.cpus >= 1 and machine.memory_mb > 100 and machine.disk_mb > 100 and machine.hostname
    assert 0.0 <= usage.cpu_percent <= 100.0 and 0.0 < usage.memory_percent <= 100.0 and usage.disk_used_mb > 0
    assert probe.address() == "127.0.0.1"
    assert MachineProbe(tmp_path, "http://no.such.host.invalid").address() == ""


def test_settings_have_defaults_and_labels_are_pairs(tmp_path: Path) -> None:
    environ = {f"{PREFIX}DATA_DIR": str(tmp_path), f"{PREFIX}LABELS": "zone=b, gpu=yes"}
    settings = load(Settings, environ, PREFIX)
    assert settings.label_pairs() == (("gpu", "yes"), ("zone", "b"))
    assert settings.instance_log_dir == tmp_path / "logs"
    assert settings.documents_url == f"sqlite://{tmp_path}/node.db"
    with pytest.raises(InvalidInput):
        Settings(labels=("gpu",)).label_pairs()
