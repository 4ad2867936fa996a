"""supervisord of our own, spoken to over its unix socket. One file names the programs; the rest is its work."""

import http.client
import os
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_common.model.errors import Broken, Unreachable
from hedgerow.machine.files import SECRET, write_if_changed
from hedgerow.machine.layout import Layout
from hedgerow.machine.programs import MARK, Program
from hedgerow.machine.render import supervisord_conf
from hedgerow.machine.supervision.interface import ProgramState

_START_TIMEOUT_S = 10.0
_CALL_TIMEOUT_S = 40.0
_POLL_S = 0.02
_RUNNING = frozenset({"STARTING", "RUNNING"})
_DYING = "BACKOFF"
_NOT_RUNNING_FAULT = 70
_DO_NOT_WAIT = False
_TAIL_BYTES = 64 * 1024


class Supervisord:
    name = "supervisord"

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._config = layout.config / "supervisord.conf"
        self._socket = layout.supervisor_socket

    def apply(self, programs: Sequence[Program], restart: Collection[str]) -> tuple[str, ...]:
        write_if_changed(self._config, supervisord_conf(self._layout, programs), SECRET)
        if not self._is_up():
            self._start()
            return tuple(program.name for program in programs)
        added, changed, removed = self._call("reloadConfig")[0]
        for name in (*changed, *removed):
            self._stop_group(name)
            self._call("removeProcessGroup", name)
        for name in (*changed, *added):
            self._call("addProcessGroup", name)
        started = {*changed, *added}
        for program in programs:
            if program.name not in started and self._ensure_running(program.name, anew=program.name in restart):
                started.add(program.name)
        return tuple(program.name for program in programs if program.name in started)

    def states(self) -> Mapping[str, ProgramState]:
        if not self._is_up():
            return {}
        return {info["name"]: _as_state(info) for info in self._call("getAllProcessInfo")}

    def stop(self, name: str) -> None:
        if name in self.states():
            self._stop_group(name)

    def shut_down(self) -> None:
        if not self._is_up():
            return
        self._call("shutdown")
        deadline = time.monotonic() + _CALL_TIMEOUT_S
        while self._is_up():
            if time.monotonic() > deadline:
                raise Unreachable(f"supervisord did not end within {_CALL_TIMEOUT_S:.0f} s; run `hedgerow down` again.")
            time.sleep(_POLL_S)

    def last_lines(self, name: str, count: int) -> Sequence[str]:
        return tail(self._layout.logs / f"{name}.log", count)

    def _start(self) -> None:
        environment = {"PATH": os.environ.get("PATH", os.defpath), MARK: str(self._layout.config)}
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config)]
        try:
            started = subprocess.run(  # noqa: S603 - our own interpreter and file
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_START_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Broken(f"supervisord did not start within {_START_TIMEOUT_S:.0f} s.") from None
        if started.returncode:
            said = (started.stderr or started.stdout).decode(errors="replace").strip().splitlines()
            raise Broken(f"supervisord could not start: {said[-1] if said else 'it said nothing'}")
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._is_up():
            if time.monotonic() > deadline:
                log = self._layout.logs / "supervisord.log"
                raise Broken(f"supervisord started but does not answer; its log is {log}.")
            time.sleep(_POLL_S)

    def _ensure_running(self, name: str, *, anew: bool) -> bool:
        info = self._call("getProcessInfo", name)
        if info["statename"] in _RUNNING and not anew:
            return False
        self._stop_group(name)
        self._call("startProcess", name, _DO_NOT_WAIT)
        return True

    def _stop_group(self, name: str) -> None:
        try:
            self._call("stopProcess", name)
        except Broken as error:
            fault = error.__cause__
            if not isinstance(fault, xmlrpc.client.Fault) or fault.faultCode != _NOT_RUNNING_FAULT:
                raise

    def _is_up(self) -> bool:
        try:
            self._call("getPID")
        except Unreachable:
            return False
        except Broken:
            return True  # it is on its way out, and answers that to everything
        return True

    def _call(self, method: str, *arguments: object) -> Any:
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(self._socket))
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise Broken(f"supervisord refused {method}: {fault.faultString}") from fault
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise Unreachable(f"supervisord does not answer at {self._socket}: {error}") from error


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_CALL_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:  # noqa: ARG002 - given by the base class
        return _UnixConnection(self._path)


def tail(path: Path, count: int) -> Sequence[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return ()


def _as_state(info: Mapping[str, Any]) -> ProgramState:
    is_running = info["statename"] in _RUNNING
    since = info["start"] if is_running else info["stop"]
    detail = "" if is_running else _why_down(info)
    return ProgramState(info["name"], is_running, info["pid"] or None, float(since) or None, detail)


def _why_down(info: Mapping[str, Any]) -> str:
    if info["statename"] == _DYING:
        return "dies at once, again and again"
    return info["spawnerr"] or f"{info['statename'].lower()}, exit status {info['exitstatus']}"
