"""Oakestra's own command line client, as its package registry has it, in an environment of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.tcp_proxy import TcpProxy

VERSION = "0.5.5"
API_PORT = 10000
"""The only one that it talks to, whichever host it is told."""
_HOST = "127.83.10.1"
"""So that it needs nobody's leave: another system of ours may have that port of 127.0.0.1."""
_INSTALL_TIMEOUT_S = 300


@dataclass(frozen=True)
class Oak:
    home: Path

    @property
    def slas(self) -> Path:
        return self.home / "oak_cli" / "SLAs"

    def __call__(self, *arguments: str) -> str:
        """What it says; fails the test with that when it does not end well."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "COLUMNS": "250", "NO_COLOR": "1"}
        done = subprocess.run(
            [installed(), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"oak {' '.join(arguments)} -> {done.returncode}\n{said}"
        assert "Traceback" not in said, said
        return said


def installed() -> Path:
    """The client, installed the first time and kept for the next: that takes a minute. scripts/setup does it too."""
    venv = Path(__file__).parents[2] / "build" / f"oak-cli-{VERSION}"
    if not (venv / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True, timeout=_INSTALL_TIMEOUT_S)
        pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", f"oak-cli=={VERSION}"]
        subprocess.run(pip, check=True, timeout=_INSTALL_TIMEOUT_S)
        (venv / "installed").touch()
    return venv / "bin" / "oak"


@contextmanager
def oak_cli(home: Path, to_port: int) -> Iterator[Oak]:
    """Configured by its own means, which also puts its prepared SLAs into its home."""
    wire = TcpProxy(to_port, _HOST, API_PORT)
    try:
        oak = Oak(home)
        oak("version")
        oak("configuration", "key-vars", "configure", "system_manager_ip", "--value", _HOST)
        yield oak
    finally:
        wire.close()


if __name__ == "__main__":
    installed()
