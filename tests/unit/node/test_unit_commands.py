"""Joining, detaching and leaving on a machine that systemd runs; systemctl and the cluster are stand-ins."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_common.model.errors import Conflict, Temporary, Unsupported
from node_engine.adapters.engine_lock import EngineLock
from node_engine.adapters.settings_file import Places, read_settings
from node_engine.adapters.units import UNIT, Unit
from node_engine.commands import control
from node_engine.commands.joining import join_cluster
from node_engine.commands.typed import JoinLine
from node_engine.settings import Settings
from tests.support import free_port

URL = "HEDGEROW_NODE_PARENT_URL"
TOKEN = f"aaaa.{'s' * 43}.{'ab' * 32}"
START = [f"systemctl enable --quiet {UNIT}", f"systemctl restart {UNIT}"]


class Machine:
    def __init__(self, directory: Path) -> None:
        self.ran: list[str] = []
        self.directory = directory
        self.settings = Settings(data_dir=directory / "data")
        self.settings.data_dir.mkdir()
        self.environ = {"HEDGEROW_NODE_DATA_DIR": str(self.settings.data_dir)}
        self.places = Places(directory / "etc" / "node.env", directory / "etc" / "secrets" / "token", {})
        self.unit = Unit(self._run, directory, directory)

    def _run(self, argv: Sequence[str]) -> str:
        self.ran.append(" ".join(argv))
        return ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_detached_the_unit_runs_with_what_was_typed(machine: Machine) -> None:
    (said,) = control.detach({URL: "https://192.0.2.7:10100"}, machine.places, machine.unit)
    assert "unit hedgerow-node" in said
    assert read_settings(machine.places.settings_file) == {URL: "https://192.0.2.7:10100"}
    assert machine.ran == ["systemctl daemon-reload", *START]


def test_without_systemd_nothing_is_detached(machine: Machine) -> None:
    unit = Unit(machine._run, machine.directory / "none", machine.directory)
    private = Places(machine.places.settings_file, machine.places.token_file, {}, is_private=True)
    for places, each in ((machine.places, unit), (private, machine.unit)):
        with pytest.raises(Unsupported, match="no systemd"):
            list(control.detach({}, places, each))
    assert machine.ran == [] and not machine.places.settings_file.exists()


def test_a_cluster_that_does_not_answer_is_left_to_the_engine(machine: Machine) -> None:
    line = JoinLine(f"127.0.0.1:{free_port()}", TOKEN, "edge-7")
    said = join_cluster(line, machine.environ, machine.places, machine.unit)
    assert "unit hedgerow-node" in next(said)
    with pytest.raises(Temporary, match="goes on trying"):
        next(said)
    assert machine.ran[-2:] == START
    assert machine.places.token_file.read_text().strip() == TOKEN
    assert machine.places.token_file.stat().st_mode & 0o777 == 0o600
    kept = read_settings(machine.places.settings_file)
    assert kept["HEDGEROW_NODE_JOIN_TOKEN_FILE"] == str(machine.places.token_file) and TOKEN not in str(kept)


def test_the_machine_of_hedgerow_up_does_not_join_twice(machine: Machine) -> None:
    machine.places.settings_file.parent.mkdir()
    machine.places.settings_file.with_name("ports.json").write_text("{}")
    with pytest.raises(Conflict, match="hedgerow up"):
        list(join_cluster(JoinLine("192.0.2.7"), machine.environ, machine.places, machine.unit))


def test_leaving_ends_the_unit_and_forgets_only_what_is_ours(machine: Machine) -> None:
    list(control.detach({URL: "https://192.0.2.7:10100"}, machine.places, machine.unit))
    for name in ("node.db", "identity/key.pem", "logs/i1/log", "other"):
        file = machine.settings.data_dir / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    said = list(control.leave(machine.settings, machine.places, machine.unit, lambda _: ["stopped i1"]))
    assert "stopped i1" in said and "forgets it" in said[-1]
    assert f"systemctl disable --quiet --now {UNIT}" in machine.ran
    left = {str(path.relative_to(machine.settings.data_dir)) for path in machine.settings.data_dir.rglob("*")}
    assert left == {"logs", "logs/i1", "logs/i1/log", "other"}
    assert not machine.places.settings_file.exists()


def test_stopping_waits_for_the_end_of_the_engine(machine: Machine) -> None:
    assert list(control.stop(machine.settings, machine.places, machine.unit)) == ["The engine does not run."]
    lock = EngineLock(machine.settings.data_dir)
    unit = Unit(lambda _: lock.release() or "", machine.directory, machine.directory)  # type: ignore[func-returns-value]
    (machine.directory / UNIT).touch()
    assert "has ended" in next(iter(control.stop(machine.settings, machine.places, unit)))
