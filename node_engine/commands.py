"""What an operator can tell a node by hand, also while its engine does not run."""

import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edge_common.model.errors import HedgerowError, NotFound
from edge_common.plumbing.documents.open import open_documents
from edge_common.plumbing.settings import load
from node_engine.adapters.log_files import LogFiles
from node_engine.adapters.record_store import DocumentRecordStore
from node_engine.adapters.runtimes.containerd import ContainerdRuntime
from node_engine.app import containerd_runtime
from node_engine.core.record import Record
from node_engine.core.task import Task
from node_engine.ports import Runtime
from node_engine.settings import PREFIX, Settings

STOP_GRACE_S = 10.0
STOPS_AT_ONCE = 16


def stop_all(settings: Settings) -> list[str]:
    """Ends and removes every container of ours. Desired set and records stay, so the engine will make them again."""
    grace_s = _graces(settings)

    def end(runtime: Runtime, task: Task) -> str:
        runtime.stop(task.key, grace_s.get(str(task.key.instance_id), STOP_GRACE_S))
        return f"stopped {task.key}"

    def end_all(runtime: ContainerdRuntime) -> list[str]:
        with ThreadPoolExecutor(STOPS_AT_ONCE) as pool:
            return list(pool.map(lambda task: end(runtime, task), runtime.observe()))

    return _with_runtime(settings, end_all)


def import_image(settings: Settings, file: Path, name: str) -> list[str]:
    if not file.is_file():
        raise NotFound(f"There is no file {file}.")
    return _with_runtime(settings, lambda runtime: runtime.import_archive(file, name))


def list_images(settings: Settings) -> list[str]:
    return _with_runtime(
        settings, lambda runtime: [f"{name} {digest}" for name, digest in sorted(runtime.image_list())]
    )


def status(settings: Settings) -> list[str]:
    """A line an instance, from what the engine keeps on disk."""
    return [_line(record) for record in sorted(_records(settings), key=lambda each: (each.spec.name, each.instance_id))]


def run_command(command: Callable[[Settings], Iterable[str]]) -> int:
    """Prints what `command` says; 1 and one sentence on stderr when it cannot."""
    try:
        for line in command(load(Settings, os.environ, PREFIX)):
            sys.stdout.write(f"{line}\n")
    except HedgerowError as error:
        sys.stderr.write(f"node: {error}\n")
        return 1
    return 0


def _with_runtime(settings: Settings, use: Callable[[ContainerdRuntime], list[str]]) -> list[str]:
    runtime = containerd_runtime(settings, LogFiles(settings.instance_log_dir))
    try:
        return use(runtime)
    finally:
        runtime.close()


def _graces(settings: Settings) -> dict[str, float]:
    return {str(record.instance_id): record.spec.stop_grace_s for record in _records(settings)}


def _records(settings: Settings) -> list[Record]:
    if not (settings.data_dir / "node.db").exists():
        return []
    documents = open_documents(settings.documents_url)
    try:
        return DocumentRecordStore(documents).load()
    finally:
        documents.close()


def _line(record: Record) -> str:
    place = f"{record.spec.name} #{record.instance_number}"
    words = (record.instance_id, place, f"attempt={record.attempt}", record.state, record.reason, record.detail)
    return " ".join(word for word in words if word)
