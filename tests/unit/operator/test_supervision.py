import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_common.model.errors import Broken, Conflict
from hedgerow.machine.layout import Layout, find_layout
from hedgerow.machine.processes import check_ports, listener
from hedgerow.machine.programs import MARK, Program
from hedgerow.machine.readiness import Check, NotReady, wait_until_ready
from hedgerow.machine.supervision.interface import ProgramState
from hedgerow.machine.supervision.supervisord import tail
from hedgerow.machine.supervision.systemd import Systemd, run_command

MARKED = {MARK: "/etc/hedgerow"}
PROGRAMS = (
    Program("mosquitto", ("/usr/sbin/mosquitto",), MARKED),
    Program("root", ("/venv/bin/python", "-m", "x"), MARKED),
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return find_layout({"HEDGEROW_HOME": str(tmp_path)})


class FakeSystemctl:
    """Knows which units run; answers `show` as systemctl does."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.commands: list[tuple[str, ...]] = []

    def __call__(self, argv: Sequence[str]) -> str:
        self.commands.append(tuple(argv[1:]))
        units = [word for word in argv if word.endswith(".service")]
        if argv[1] == "restart":
            self.running.update(units)
        if argv[1] == "show":
            return "\n\n".join(self._shown(unit) for unit in units)
        return ""

    def _shown(self, unit: str) -> str:
        state = ("active", "running", "7") if unit in self.running else ("inactive", "dead", "0")
        return (
            f"MainPID={state[2]}\nExecMainStatus=0\nId={unit}\nActiveState={state[0]}\nSubState={state[1]}\n"
            "StateChangeTimestamp=Sun 2026-11-22 01:02:03 UTC"
        )


def test_systemd_restarts_only_what_changed(layout: Layout, tmp_path: Path) -> None:
    systemctl = FakeSystemctl()
    systemd = Systemd(layout, systemctl, tmp_path)
    assert systemd.apply(PROGRAMS, ()) == ("mosquitto", "root")
    assert ("daemon-reload",) in systemctl.commands
    assert systemd.apply(PROGRAMS, ()) == ()
    assert systemd.apply(PROGRAMS, {"mosquitto"}) == ("mosquitto",)
    changed = (PROGRAMS[0], Program("root", ("/venv/bin/python", "-m", "y"), MARKED))
    assert systemd.apply(changed, ()) == ("root",)
    systemctl.running.clear()
    assert systemd.apply(changed, ()) == ("mosquitto", "root")


def test_systemd_tells_and_forgets(layout: Layout, tmp_path: Path) -> None:
    systemctl = FakeSystemctl()
    systemd = Systemd(layout, systemctl, tmp_path)
    assert systemd.states() == {}
    systemd.apply(PROGRAMS, ())
    systemctl.running.discard("hedgerow-root.service")
    states = systemd.states()
    assert (states["mosquitto"].is_running, states["mosquitto"].pid) == (True, 7)
    assert states["root"] == ProgramState("root", False, None, states["mosquitto"].since_s, "dead, exit status 0")
    systemd.shut_down()
    assert systemd.states() == {}
    assert ("disable", "--quiet", "--now", "hedgerow-mosquitto.service", "hedgerow-root.service") in systemctl.commands


def test_the_units_of_a_worker_are_left_alone(layout: Layout, tmp_path: Path) -> None:
    systemctl = FakeSystemctl()
    workers = tmp_path / "hedgerow-net.service"
    workers.write_text((Path(__file__).parents[3] / "net_manager" / workers.name).read_text())
    systemd = Systemd(layout, systemctl, tmp_path)
    assert systemd.states() == {}
    systemd.apply(PROGRAMS, ())
    assert "net" not in systemd.states()
    systemd.shut_down()
    assert workers.exists() and not any("hedgerow-net.service" in command for command in systemctl.commands)


def test_a_failed_command_is_one_sentence() -> None:
    with pytest.raises(Broken, match="ls /no/such/thing failed: "):
        run_command(("ls", "/no/such/thing"))


def test_a_taken_port_names_who_has_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = listener(port)
        assert found is not None
        assert found.pid
        with pytest.raises(Conflict, match=rf"Port {port} is taken by .* \(process {found.pid}\); .*--api-port"):
            check_ports({"api": port, "mqtt": 1}, [])
        check_ports({"api": port, "mqtt": 1}, [found.pid])
    assert listener(port) is None


def test_a_port_may_be_taken_at_the_address_for_others_alone() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        taken.listen()
        ports = {"api": taken.getsockname()[1]}
        check_ports(ports, [])
        with pytest.raises(Conflict, match="is taken"):
            check_ports(ports, [], "127.0.0.2")


class StillSupervisor:
    name = "still"

    def apply(self, programs: Sequence[Program], restart: object) -> tuple[str, ...]:
        return ()

    def states(self) -> dict[str, ProgramState]:
        return {"root": ProgramState("root", is_running=False, detail="exited, exit status 1")}

    def stop(self, name: str) -> None:
        return

    def shut_down(self) -> None:
        return

    def last_lines(self, name: str, count: int) -> Sequence[str]:
        return ["port in use"]


def test_what_is_not_ready_is_named_with_its_log() -> None:
    ready: list[str] = []
    checks = [Check("mosquitto", lambda: True), Check("root", lambda: False)]
    with pytest.raises(NotReady, match=r"root does not run \(exited, exit status 1\)") as failed:
        wait_until_ready(checks, StillSupervisor(), ready.append, deadline_s=0.0)
    assert ready == ["mosquitto"]
    assert failed.value.lines == ("port in use",)


def test_tail_is_the_end_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert tail(path, 3) == ()
    path.write_text("".join(f"{n}\n" for n in range(100_000)))
    assert tail(path, 2) == ["99998", "99999"]
