"""The engine as a unit of systemd."""

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_common.model.errors import Broken, Unreachable

UNIT = "hedgerow-node.service"
TEMPLATE = Path(__file__).parents[1] / UNIT
EXECUTABLE = "/usr/local/bin/NodeEngine"
"""As the template has it; the place where the installer puts it."""
_BOOTED = Path("/run/systemd/system")
_UNITS = Path("/etc/systemd/system")
_TIMEOUT_S = 90.0

Run = Callable[[Sequence[str]], str]


def run_command(argv: Sequence[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise Unreachable(f"{' '.join(argv)} did not end within {_TIMEOUT_S:.0f} s.") from None
    except OSError as error:
        raise Broken(f"{argv[0]} cannot be run: {error}.") from error
    if done.returncode:
        raise Broken(f"{' '.join(argv)} failed: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    return done.stdout


class Unit:
    """Methods raise Broken when systemd refuses, Unreachable when it does not answer in time."""

    def __init__(self, run: Run = run_command, booted: Path = _BOOTED, units: Path = _UNITS) -> None:
        self._run = run
        self._booted = booted
        self._file = units / UNIT

    def is_supported(self) -> bool:
        """Whether systemd runs this machine."""
        return self._booted.is_dir()

    def is_installed(self) -> bool:
        return self._file.exists()

    def start(self, command: Sequence[str]) -> None:
        """Installed if it is not there, started at once and at every boot; anew when it runs already."""
        if not self.is_installed():
            self._file.write_text(unit_text(command), "utf-8")
            self._run(("systemctl", "daemon-reload"))
        self._run(("systemctl", "enable", "--quiet", UNIT))
        self._run(("systemctl", "restart", UNIT))

    def stop(self) -> None:
        self._run(("systemctl", "stop", UNIT))

    def disable(self) -> None:
        self._run(("systemctl", "disable", "--quiet", "--now", UNIT))


def unit_text(command: Sequence[str]) -> str:
    """The unit for an engine that is started by `command`."""
    words = " ".join(_quoted(word) for word in command)
    return TEMPLATE.read_text("utf-8").replace(f"ExecStart={EXECUTABLE}\n", f"ExecStart={words}\n")


def _quoted(word: str) -> str:
    if not word.isprintable():
        raise Broken(f"{word!r} has characters that a unit cannot carry; install NodeEngine somewhere else.")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return word if re.fullmatch(r"[\w./-]+", word, re.ASCII) else f'"{escaped}"'
