"""Starting, ending and giving up the engine of this machine."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from shutil import rmtree

from edge_common.model.errors import Broken, Unsupported
from edge_common.plumbing.settings import load
from node_engine.adapters import engine_lock, link_note
from node_engine.adapters.cluster_address import shown
from node_engine.adapters.engine_lock import running_engine
from node_engine.adapters.settings_file import Places, read_settings, write_settings
from node_engine.adapters.units import Unit
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


def detach(given: Mapping[str, str], places: Places, unit: Unit) -> Iterator[str]:
    """Keeps what was typed in the settings file, and lets systemd run the engine."""
    if not runs_as_unit(places, unit):
        raise Unsupported("There is no systemd here to run it detached; leave -d out, and end the line with & instead.")
    settings = {**read_settings(places.settings_file), **given}
    load(Settings, {**places.defaults, **settings}, PREFIX).label_pairs()
    write_settings(places.settings_file, settings)
    unit.start(own_command())
    yield "The engine runs as the unit hedgerow-node; `NodeEngine status` shows how it is."


def runs_as_unit(places: Places, unit: Unit) -> bool:
    """Whether systemd is to run the engine; never one that has all below HEDGEROW_HOME."""
    return not places.is_private and unit.is_supported()


def stop(settings: Settings, places: Places, unit: Unit) -> Iterator[str]:
    """Ends the engine, and waits for that. Raises Broken when it does not end."""
    pid = running_engine(settings.data_dir)
    if runs_as_unit(places, unit) and unit.is_installed():
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


def leave(
    settings: Settings, places: Places, unit: Unit, end_all: Callable[[Settings], Iterable[str]] = stop_all
) -> Iterator[str]:
    """Ends everything and forgets the cluster: the next join is that of a new node. Output of instances is kept."""
    yield from stop(settings, places, unit)
    if runs_as_unit(places, unit) and unit.is_installed():
        unit.disable()
    yield from end_all(settings)
    _forget(settings, places)
    yield (
        f"This node has left {shown(settings.parent_url)}. There it shows as lost until somebody forgets it: "
        "`hedgerow node forget NAME`."
    )


def agree_to_leave(settings: Settings, ask: Callable[[str], str] = input) -> None:
    """Raises Broken when whoever sits there says no, Unsupported when nobody does."""
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
