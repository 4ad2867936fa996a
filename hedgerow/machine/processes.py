"""Our processes among all others on the machine, and who listens on a port."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from edge_common.model.errors import Conflict
from hedgerow.machine.layout import Layout
from hedgerow.machine.programs import MARK

SHIM = "containerd-shim"
_TERM_TIMEOUT_S = 10.0
_KILL_TIMEOUT_S = 5.0
_POLL_S = 0.02
_EVERY_ADDRESS = frozenset({"127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1"})


@dataclass(frozen=True, slots=True)
class Listener:
    pid: int | None
    name: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})" if self.pid else "a process outside of this container"


def ours(layout: Layout, *, but: Sequence[str] = ()) -> list[psutil.Process]:
    """Every live process that carries this machine's mark, but those whose names start so."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(layout.config) and not process.name().startswith(tuple(but)):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def end(found: Sequence[psutil.Process]) -> None:
    """SIGTERM, grace, SIGKILL; what runs in the containers of a shim ends with it, at once."""
    contained = [child for process in found if _is_live_shim(process) for child in process.children(recursive=True)]
    for process in contained:
        _signal(process, kill=True)
    for process in found:
        _signal(process, kill=False)
    alive = _wait(found, _TERM_TIMEOUT_S)
    for process in alive:
        _signal(process, kill=True)
    _wait([*alive, *contained], _KILL_TIMEOUT_S)


def listener(port: int, address: str = "127.0.0.1") -> Listener | None:
    """Who listens on the port so that nobody else can on loopback, or at the address."""
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        if connection.laddr.port == port and connection.laddr.ip in {*_EVERY_ADDRESS, address}:
            return Listener(connection.pid, _name_of(connection.pid))
    return None


def check_ports(ports: Mapping[str, int], our_pids: Iterable[int], address: str = "127.0.0.1") -> None:
    """Raises Conflict for the first port that somebody else has, on loopback or at the address."""
    known = frozenset(our_pids)
    for name, port in ports.items():
        found = listener(port, address)
        if found is not None and found.pid not in known:
            option = f"--{name.replace('_', '-')}-port"
            raise Conflict(
                f"Port {port} is taken by {found}; stop it, or choose another port with `hedgerow up {option}`."
            )


def _wait(found: Sequence[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Those that still live then. A zombie is dead: where process 1 reaps nobody it stays for ever."""
    deadline = time.monotonic() + timeout_s
    alive = [process for process in found if _is_alive(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        alive = [process for process in alive if _is_alive(process)]
    return alive


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_live_shim(process: psutil.Process) -> bool:
    return _is_alive(process) and process.name().startswith(SHIM)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        if kill:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        return


def _name_of(pid: int | None) -> str:
    if pid is None:
        return ""
    try:
        return psutil.Process(pid).name()
    except psutil.NoSuchProcess:
        return "a process that just ended"
