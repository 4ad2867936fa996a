"""The frame of every service's process: settings, logs, start, wait for a signal, stop."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from edge_common.model.errors import HedgerowError
from edge_common.plumbing import logs
from edge_common.plumbing.settings import load

logger = logging.getLogger(__name__)


class HasLogLevel(Protocol):
    @property
    def log_level(self) -> str: ...


class Runnable(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


S = TypeVar("S", bound=HasLogLevel)


def run(
    name: str,
    settings_type: type[S],
    prefix: str,
    build: Callable[[S], Runnable],
    environ: Callable[[], Mapping[str, str]] = lambda: os.environ,
) -> int:
    """Returns the exit status: 0 after SIGTERM or SIGINT; 1 when it could not start, after one sentence on stderr.

    `environ` is where settings come from; it may raise an error of the tree.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        settings = load(settings_type, environ(), prefix)
        logs.configure(name, settings.log_level)
        app = build(settings)
    except HedgerowError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 1
    failures: list[BaseException] = []
    starter = threading.Thread(target=_start, args=(app, stopping, failures), name="start", daemon=True)
    starter.start()
    stopping.wait()
    app.stop()
    return 1 if failures else 0


def _start(app: Runnable, stopping: threading.Event, failures: list[BaseException]) -> None:
    """In a thread of its own, so that a signal is heard while it still waits for its parent."""
    try:
        app.start()
    except Exception as error:
        logger.exception("event=start_failed")
        failures.append(error)
        stopping.set()
