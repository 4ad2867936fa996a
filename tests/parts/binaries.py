"""The worker's programs as single files, built once for each state of the sources."""

import hashlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from node_engine.core.capacity import go_architecture

ROOT = Path(__file__).parents[2]
BUILD_TIMEOUT_S = 600.0
_SOURCES = ("edge_common", "node_engine", "net_manager", "scripts/packing")
_FILES = ("scripts/binaries", "pyproject.toml", "run-a-cluster/install-worker.sh")


def built_binaries() -> Path:
    """The directory with both programs, units, installer and checksums."""
    cache = ROOT / "build" / "test-binaries"
    here = cache / _digest()
    if not (here / "SHA256SUMS").exists():
        shutil.rmtree(cache, ignore_errors=True)
        work = cache / "work"
        done = subprocess.run(
            [ROOT / "scripts" / "binaries"],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "DIST": str(here), "BUILD": str(work), **_venv()},
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"scripts/binaries -> {done.returncode}\n{done.stdout}\n{done.stderr}")
        shutil.rmtree(work)
    return here


def program(directory: Path, name: str) -> Path:
    return directory / f"{name}_{go_architecture(platform.machine())}"


def _venv() -> dict[str, str]:
    return {"HEDGEROW_VENV": str(Path(sys.executable).parents[1])}


def _digest() -> str:
    found = [ROOT / name for name in _FILES]
    for source in _SOURCES:
        found += [path for path in (ROOT / source).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    digest = hashlib.sha256()
    for path in sorted(found):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
