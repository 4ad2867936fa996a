"""A host: a network namespace, a directory, and the programs that run there, each in a session of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from net_manager.adapters import namespaces
from tests.parts.switch import Plug

STOP_TIMEOUT_S = 20.0
_TAIL_LINES = 40


@dataclass(slots=True)
class Host:
    """`directory` has a name that no other host on this machine has."""

    name: str
    plug: Plug
    directory: Path
    _programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _begun_at: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, mode=0o755)

    @property
    def address(self) -> str:
        return self.plug.address

    def start(self, program: str, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """What it writes is appended to `<program>.log`."""
        with self.log_file(program).open("ab") as log:
            self._begun_at[program] = log.tell()
            self._programs[program] = namespaces.within(
                self.plug.path,
                lambda: subprocess.Popen(
                    argv,
                    env=_environment(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd=self.directory,
                ),
            )

    def run(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """A command here, until it ends; raises with what it said when it fails."""
        done = namespaces.within(
            self.plug.path,
            lambda: subprocess.run(
                argv,
                env=_environment(environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
                cwd=self.directory,
            ),
            timeout_s + 5.0,
        )
        if check and done.returncode:
            raise AssertionError(f"{self.name}: {argv} -> {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def pid(self, program: str) -> int | None:
        """None when it does not run."""
        process = self._programs.get(program)
        return process.pid if process is not None and process.poll() is None else None

    def kill(self, program: str) -> None:
        self._end(program, signal.SIGKILL)

    def stop(self, program: str) -> None:
        """As a supervisor would: SIGTERM, and SIGKILL when that is not enough."""
        self._end(program, signal.SIGTERM)

    def end(self) -> None:
        for program in reversed(self._programs):
            self._end(program, signal.SIGKILL)

    def log_file(self, program: str) -> Path:
        return self.directory / f"{program}.log"

    def log(self, program: str) -> str:
        """What it wrote since it was started the last time."""
        try:
            return self.log_file(program).read_bytes()[self._begun_at[program] :].decode(errors="replace")
        except (FileNotFoundError, KeyError):
            return ""

    def log_tails(self) -> str:
        """The end of what each of its programs wrote."""
        files = sorted(self.directory.glob("*.log"))
        tails = {file.stem: file.read_text(errors="replace").splitlines()[-_TAIL_LINES:] for file in files}
        return "\n".join(f"--- {self.name} {program}\n" + "\n".join(lines) for program, lines in tails.items())

    def _end(self, program: str, sign: signal.Signals) -> None:
        process = self._programs.get(program)
        if process is None or process.poll() is not None:
            return
        process.send_signal(sign)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)


def python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    """Little of the test's own: no setting of another system may slip in."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(more or {})}
