"""systemd units of our own. They start at boot once enabled, which `apply` does and `shut_down` undoes."""

import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from edge_common.model.errors import Broken, Unreachable
from hedgerow.machine.files import SECRET, write_if_changed
from hedgerow.machine.layout import Layout
from hedgerow.machine.programs import MARK, Program
from hedgerow.machine.render import systemd_unit
from hedgerow.machine.supervision.interface import ProgramState

BOOTED = Path("/run/systemd/system")
_UNITS = Path("/etc/systemd/system")
_COMMAND_TIMEOUT_S = 60.0
_SHOWN = ("Id", "ActiveState", "SubState", "MainPID", "ExecMainStatus", "StateChangeTimestamp")

Run = Callable[[Sequence[str]], str]


def run_command(argv: Sequence[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise Unreachable(f"{' '.join(argv)} did not end within {_COMMAND_TIMEOUT_S:.0f} s.") from None
    if done.returncode:
        raise Broken(f"{' '.join(argv)} failed: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    return done.stdout


class Systemd:
    name = "systemd"

    def __init__(self, layout: Layout, run: Run = run_command, units: Path = _UNITS) -> None:
        self._layout = layout
        self._run = run
        self._units = units

    def apply(self, programs: Sequence[Program], restart: Collection[str]) -> tuple[str, ...]:
        changed = {
            program.name
            for program in programs
            if write_if_changed(self._path(program.name), systemd_unit(self._layout, program), SECRET)
        }
        if changed:
            self._run(("systemctl", "daemon-reload"))
            self._run(("systemctl", "enable", "--quiet", *(_unit(program.name) for program in programs)))
        running = {name for name, state in self.states().items() if state.is_running}
        wanted = [p.name for p in programs if p.name in changed or p.name in restart or p.name not in running]
        for name in wanted:
            self._run(("systemctl", "restart", _unit(name)))
        return tuple(wanted)

    def states(self) -> Mapping[str, ProgramState]:
        units = self._own()
        if not units:
            return {}
        shown = self._run(("systemctl", "show", f"--property={','.join(_SHOWN)}", *units))
        states = (_as_state(block) for block in shown.strip().split("\n\n"))
        return {state.name: state for state in states}

    def stop(self, name: str) -> None:
        if self._path(name).exists():
            self._run(("systemctl", "stop", _unit(name)))

    def shut_down(self) -> None:
        units = self._own()
        if not units:
            return
        self._run(("systemctl", "disable", "--quiet", "--now", *units))
        for unit in units:
            (self._units / unit).unlink(missing_ok=True)
        self._run(("systemctl", "daemon-reload"))

    def last_lines(self, name: str, count: int) -> Sequence[str]:
        return self._run(
            ("journalctl", "--no-pager", "--output=cat", f"--lines={count}", f"--unit={_unit(name)}")
        ).splitlines()

    def _own(self) -> list[str]:
        """Those of a worker, which has an installer of its own, are left alone."""
        files = self._units.glob("hedgerow-*.service")
        return sorted(path.name for path in files if f"{MARK}=" in path.read_text("utf-8"))

    def _path(self, name: str) -> Path:
        return self._units / _unit(name)


def _unit(name: str) -> str:
    return f"hedgerow-{name}.service"


def _as_state(block: str) -> ProgramState:
    shown = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    is_running = shown.get("ActiveState") == "active"
    detail = "" if is_running else f"{shown.get('SubState', 'unknown')}, exit status {shown.get('ExecMainStatus', '?')}"
    return ProgramState(
        shown.get("Id", "").removeprefix("hedgerow-").removesuffix(".service"),
        is_running,
        int(shown.get("MainPID", "0")) or None,
        _as_seconds(shown.get("StateChangeTimestamp", "")),
        detail,
    )


def _as_seconds(timestamp: str) -> float | None:
    """systemd writes "Sun 2026-11-22 01:02:03 UTC"; its zone is the machine's own."""
    try:
        return datetime.strptime(" ".join(timestamp.split()[1:3]), "%Y-%m-%d %H:%M:%S").astimezone().timestamp()
    except ValueError:
        return None
