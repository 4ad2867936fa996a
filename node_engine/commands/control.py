"""Starting, ending and giving up the engine of this machine."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from shutil import rmtree

from edge_common.model.errors import Broken, Unsupported
from edge_common.plumbing.settings import load
from node_engine.adapters import engine_lock, link_note
from node_engine.adapters.cluster_address import shown
from node_engine.adapters.engine_lock import running_engine
from node_engine.adapters.settings_file import Places, effective, find_places, read_settings, write_settings
from node_engine.adapters.units import Unit
from node_engine.commands.frame import check_root
from node_engine.commands.runtime import stop_all
from node_engine.settings import PREFIX, Settings

STOP_TIMEOUT_S = 30.0
_POLL_S = 0.1
_OWN_FILES = ("identity.json", "node.db", "node.db-wal", "node.db-shm", link_note.FILE, engine_lock.FILE)


def own_command() -> tuple[str, ...]:
    """What starts this program again: the executable, or the interpreter with this package."""
    packed = os.environ.get("HEDGEROW_EXECUTABLE")
    if packed:
        return (packed,)
    return (sys.executable, "-m", "node_engine")


def detach(given: Mapping[str, str], unit: Unit) -> Iterator[str]:
    """Keeps what was typed in the settings file, and lets systemd run the engine."""
    check_root()
    if find_places(os.environ).is_private or not unit.is_supported():
        raise Unsupported("There is no systemd here to run it detached; leave -d out, and end the line with & instead.")
    places = find_places(os.environ)
    settings = {**read_settings(places.settings_file), **given}
    load(Settings, {**places.defaults, **settings}, PREFIX).label_pairs()
    write_settings(places.settings_file, settings)
    unit.start(own_command())
    yield "The engine runs as the unit hedgerow-node; `NodeEngine status` shows how it is."


def stop(settings: Settings, unit: Unit) -> Iterator[str]:
    """Ends the engine, and waits for that. Raises Broken when it does not end."""
    pid = running_engine(settings.data_dir)
    is_private = find_places(os.environ).is_private
    if not is_private and unit.is_supported() and unit.is_installed():
        unit.stop()
    elif pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    if pid is None:
        yield "The engine does not run."
        return
    deadline_s = time.monotonic() + STOP_TIMEOUT_S
    while running_engine(settings.data_dir) is not None:
        if time.monotonic() > deadline_s:
            raise Broken(f"The engine (pid {pid}) does not end; `kill -KILL {pid}` ends it without harm.")
        time.sleep(_POLL_S)
    yield "The engine has ended. What it ran goes on; `NodeEngine stop-all` would end that too."


def leave(is_agreed: bool, unit: Unit, ask: Callable[[str], str] = input) -> Iterator[str]:
    """Ends everything and forgets the cluster: the next join is that of a new node. Output of instances is kept."""
    check_root()
    settings = load(Settings, effective(os.environ), PREFIX)
    if not is_agreed:
        _agree(ask, settings)
    places = find_places(os.environ)
    yield from stop(settings, unit)
    if not places.is_private and unit.is_supported() and unit.is_installed():
        unit.disable()
    yield from stop_all(settings)
    _forget(settings, places)
    yield (
        f"This node has left {shown(settings.parent_url)}. There it shows as lost until somebody forgets it: "
        "`hedgerow node forget NAME`."
    )


def _agree(ask: Callable[[str], str], settings: Settings) -> None:
    if not sys.stdin.isatty():
        raise Unsupported("Nobody is here to be asked; say `NodeEngine leave --yes`.")
    if ask(f"End all that runs here and forget {shown(settings.parent_url)}? [y/N] ").strip().lower() not in {
        "y",
        "yes",
    }:
        raise Broken("Nothing was changed.")


def _forget(settings: Settings, places: Places) -> None:
    """Only what is known by name: a data directory may have been chosen badly."""
    places.settings_file.unlink(missing_ok=True)
    places.token_file.unlink(missing_ok=True)
    rmtree(settings.data_dir / "identity", ignore_errors=True)
    for name in _OWN_FILES:
        (settings.data_dir / name).unlink(missing_ok=True)
