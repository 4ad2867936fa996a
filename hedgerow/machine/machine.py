"""One machine: start all, stop all, tell how it is."""

import contextlib
import fcntl
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_common.model.errors import Broken, Conflict, Forbidden, HedgerowError, InvalidInput
from hedgerow.machine import processes, remains
from hedgerow.machine.files import SECRET, read_settings, with_settings, write_if_changed
from hedgerow.machine.layout import Layout
from hedgerow.machine.prepare import prepare
from hedgerow.machine.programs import (
    CLUSTER,
    CONTAINERD,
    NODE,
    ROOT,
    SERVICES,
    START_ORDER,
    Facts,
    Program,
    programs,
    service_environment,
)
from hedgerow.machine.readiness import Check, accepts, checks_of, wait_until_ready
from hedgerow.machine.supervision.interface import ProgramState, Supervisor
from hedgerow.machine.supervision.supervisord import Supervisord
from hedgerow.machine.supervision.systemd import BOOTED, Systemd
from hedgerow.machine.tools import find_facts

logger = logging.getLogger(__name__)

_NODE_PREFIX = "node: "
_NODE_COMMAND_TIMEOUT_S = 120.0
_HOLDS_CONTAINERS = (processes.SHIM, CONTAINERD)

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Started:
    """`started`: the parts that had to be started or restarted; empty when all ran already."""

    started: tuple[str, ...]
    deadline_s: float


class Machine:
    """`report` is told in a few words what happens next; methods raise HedgerowError."""

    def __init__(self, layout: Layout, supervisor: Supervisor | None = None) -> None:
        self.layout = layout
        self.supervisor = supervisor or choose_supervisor(layout)

    def start(
        self,
        environ: Mapping[str, str],
        on_ready: Callable[[str], None],
        timeout_s: float,
        settings: Mapping[str, str] | None = None,
    ) -> Started:
        """Start what does not run, restart what changed, wait for the broker, containerd, the root and the cluster."""
        require_root()
        deadline_s = time.monotonic() + timeout_s
        with self._lock():
            if not self.supervisor.states():
                processes.end(processes.ours(self.layout, but=(processes.SHIM,)))
            our_pids = [process.pid for process in processes.ours(self.layout)]
            processes.check_ports(self.layout.used_ports, our_pids, self.layout.address)
            changed = prepare(self.layout, environ)
            self._keep_settings(settings or {})
            started = self.supervisor.apply(self.programs(), changed)
            wait_until_ready(checks_of(self.layout), self.supervisor, on_ready, deadline_s)
        return Started(started, deadline_s)

    def wait_for(self, check: Check, on_ready: Callable[[str], None], deadline_s: float) -> None:
        wait_until_ready([check], self.supervisor, on_ready, deadline_s)

    def stop(self, report: Report) -> None:
        """Stop everything and leave nothing in the kernel; the state on disk stays."""
        require_root()
        if not self.layout.run.is_dir():
            return
        with self._lock():
            for name in (NODE, CLUSTER, ROOT):
                report(f"stopping {name}")
                self.supervisor.stop(name)
            if not self.supervisor.states():
                processes.end(processes.ours(self.layout, but=_HOLDS_CONTAINERS))
            report("stopping the containers")
            self._stop_containers()
            report("stopping containerd and mosquitto")
            self.supervisor.shut_down()
            processes.end(processes.ours(self.layout))
            remains.clear(self.layout)

    def purge(self) -> None:
        """Delete the state of a stopped machine. Raises Conflict while something still runs."""
        require_root()
        if processes.ours(self.layout):
            raise Conflict("Something still runs on this machine; run `hedgerow down` first.")
        for directory in (self.layout.run, self.layout.data, self.layout.logs, self.layout.config):
            if directory.exists():
                shutil.rmtree(directory)
        self.layout.session.unlink(missing_ok=True)

    def states(self) -> Mapping[str, ProgramState]:
        """Of every part, in start order, also when the supervisor does not run."""
        known = self.supervisor.states()
        return {
            name: known.get(name, ProgramState(name, is_running=False, detail="not started")) for name in START_ORDER
        }

    def programs(self) -> tuple[Program, ...]:
        return programs(self.layout, self._facts())

    def run_node_command(self, arguments: Sequence[str], timeout_s: float = _NODE_COMMAND_TIMEOUT_S) -> str:
        """What `python -m node_engine ...` prints, run with this machine's settings. Raises Broken when it fails."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            **service_environment(NODE, self.layout, self._facts()),
        }
        command = [sys.executable, "-m", SERVICES[NODE], *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and module
                command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise Broken(f"The node's {arguments[0]} did not end within {timeout_s:.0f} s.") from None
        if done.returncode == 2:
            raise InvalidInput(_last_line(done.stderr))
        if done.returncode:
            raise Broken(_last_line(done.stderr) or f"The node's {arguments[0]} failed without a word.")
        return done.stdout

    def _stop_containers(self) -> None:
        if not accepts(self.layout.containerd_socket):
            return
        try:
            self.run_node_command(["stop-all"])
        except HedgerowError as error:
            # What it could not stop loses its processes when the shims end.
            logger.warning("containers not stopped one by one reason=%s", error)

    def _facts(self) -> Facts:
        return find_facts(read_settings(self.layout.settings_file))

    def _keep_settings(self, changes: Mapping[str, str]) -> None:
        if changes:
            path = self.layout.settings_file
            write_if_changed(path, with_settings(path.read_text(), changes), SECRET)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Two `up` or `down` at once would undo each other's work."""
        self.layout.run.mkdir(parents=True, exist_ok=True, mode=0o755)
        with (self.layout.run / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(
                    "Another `hedgerow up` or `down` is at work on this machine; wait for its end."
                ) from None
            yield


def choose_supervisor(layout: Layout) -> Supervisor:
    if BOOTED.is_dir() and not layout.is_private:
        return Systemd(layout)
    return Supervisord(layout)


def require_root() -> None:
    if os.geteuid() != 0:
        raise Forbidden("Only root can run containers on this machine; try again with sudo.")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip().removeprefix(_NODE_PREFIX) if lines else ""
