"""Containers and images on this node."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edge_common.model.errors import NotFound
from node_engine.adapters.log_files import LogFiles
from node_engine.adapters.runtimes.containerd import ContainerdRuntime
from node_engine.app import containerd_runtime
from node_engine.commands.records import kept_records
from node_engine.core.task import Task
from node_engine.ports import Runtime
from node_engine.settings import Settings

STOP_GRACE_S = 10.0
STOPS_AT_ONCE = 16


def stop_all(settings: Settings) -> list[str]:
    """Ends and removes every container of ours. Desired set and records stay, so the engine will make them again."""
    grace_s = {str(record.instance_id): record.spec.stop_grace_s for record in kept_records(settings)}

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


def _with_runtime(settings: Settings, use: Callable[[ContainerdRuntime], list[str]]) -> list[str]:
    runtime = containerd_runtime(settings, LogFiles(settings.instance_log_dir))
    try:
        return use(runtime)
    finally:
        runtime.close()
