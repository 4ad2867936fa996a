"""What this machine brings: the programs that apt installed, its name, and the state of our own code."""

import hashlib
import importlib.util
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from edge_common.model.errors import Broken
from hedgerow.machine.programs import SERVICES, Facts

_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHARED_CODE = "edge_common"


def find_facts(settings: Mapping[str, str]) -> Facts:
    """Raises Broken when something is not installed."""
    return Facts(
        python=Path(sys.executable),
        mosquitto=_program("mosquitto"),
        containerd=_program("containerd"),
        hostname=socket.gethostname(),
        build=code_fingerprint(),
        settings=settings,
    )


def code_fingerprint() -> str:
    """Changes when a file of the services does, so that `hedgerow up` after an update starts the new code."""
    digest = hashlib.sha256()
    for package in (_SHARED_CODE, *SERVICES.values()):
        spec = importlib.util.find_spec(package)
        for top in (spec.submodule_search_locations if spec else None) or ():
            for path in sorted(Path(top).rglob("*.py")):
                digest.update(f"{path}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _program(name: str) -> Path:
    found = shutil.which(name, path=_SEARCH_PATH)
    if found is None:
        raise Broken(f"{name} is not installed; run scripts/setup.")
    return Path(found)
