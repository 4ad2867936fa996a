"""The containerd runtime: what the engine asks of any runtime, done with containers."""

import contextlib
import logging
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge_common.model.errors import InvalidInput, NotFound
from edge_common.model.lifecycle import Reason
from node_engine.adapters.log_files import LogFiles
from node_engine.adapters.runtimes.containerd import client as c
from node_engine.adapters.runtimes.containerd.accounts_of_images import ImageAccounts
from node_engine.adapters.runtimes.containerd.cgroups import Cgroups
from node_engine.adapters.runtimes.containerd.devices import find_devices
from node_engine.adapters.runtimes.containerd.entry import entry_program
from node_engine.adapters.runtimes.containerd.events import Watcher
from node_engine.adapters.runtimes.containerd.execs import Execs
from node_engine.adapters.runtimes.containerd.images import Images, LocalImage
from node_engine.adapters.runtimes.containerd.naming import container_id, key_of, labels
from node_engine.adapters.runtimes.containerd.proto import containerd_pb2 as pb
from node_engine.adapters.runtimes.containerd.registry import RegistryClient, RegistrySettings
from node_engine.adapters.runtimes.containerd.registry_auth import RegistryLogin, parse_login
from node_engine.adapters.runtimes.containerd.tasks import Tasks, start_failure
from node_engine.adapters.value_files import ValueFiles
from node_engine.core.container_spec import (
    DEFAULT_PIDS_LIMIT,
    RESOLVERS,
    Identity,
    NodeFacts,
    OciSpec,
    build,
    reaches_beyond,
    without_small_quota,
)
from node_engine.core.image_reference import parse
from node_engine.core.task import Task, TaskKey, TaskPlan, TaskState, TaskUsage
from node_engine.core.value_files import ENTRY, ValueMount, files_of, has_variables
from node_engine.ports import ExecResult, TaskFailure

logger = logging.getLogger(__name__)

RUNTIME = "container"
NAMESPACE = "hedgerow"
VALUES_DIRECTORY = Path("/run/hedgerow/secrets")
"""Each runtime needs one of its own below it: what belongs to none of its containers, it removes."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv64", "ppc64le": "ppc64le"}
_STATES = {pb.CREATED: TaskState.CREATED, pb.STOPPED: TaskState.EXITED}


def node_architecture() -> str:
    """This machine's, in Go's words."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def _login(plan: TaskPlan) -> RegistryLogin | None:
    """Raises TaskFailure when the secret is no login."""
    ref = plan.spec.registry_login
    if ref is None:
        return None
    try:
        return parse_login(plan.value_of(ref), str(ref))
    except InvalidInput as error:
        raise TaskFailure(str(error), Reason.IMAGE_REFUSED, is_permanent=True) from error


def _capability_mask() -> int:
    """containerd's own is taken to be ours."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    return -1


class ContainerdRuntime:
    """See node_engine.ports.Runtime. `namespace` is containerd's; nobody else may keep containers in it."""

    def __init__(
        self,
        address: str,
        logs: LogFiles,
        registries: RegistrySettings | None = None,
        *,
        namespace: str = NAMESPACE,
        cgroup_parent: str = f"/{NAMESPACE}",
        default_pids_limit: int = DEFAULT_PIDS_LIMIT,
        values: ValueFiles | None = None,
    ) -> None:
        self._client = c.Client(address, namespace)
        self._architecture = node_architecture()
        self._images = Images(self._client, RegistryClient(registries or RegistrySettings()), self._architecture)
        self._accounts = ImageAccounts(self._client)
        self._tasks = Tasks(self._client)
        self._execs = Execs(self._client)
        self._logs = logs
        self._values = values or ValueFiles(VALUES_DIRECTORY / namespace)
        self._cgroups = Cgroups(cgroup_parent)
        self._facts = NodeFacts(
            self._architecture,
            cgroup_parent,
            self._cgroups.has_swap_limit,
            default_pids_limit,
            _capability_mask(),
            tuple(path for path in (RESOLVERS, "/etc/hosts") if Path(path).exists()),
            _resolvers(),
        )
        self._guard = threading.Lock()
        self._being_made: set[str] = set()
        self._has_namespace = False
        self._watcher: Watcher | None = None

    @property
    def name(self) -> str:
        return RUNTIME

    def create(self, plan: TaskPlan, on_progress: Callable[[str], None]) -> None:
        self._ensure_namespace()
        with self._making(container_id(plan.key)):
            for is_last in (False, True):
                image = self._images.ensure(plan.spec.image, plan.spec.pull_policy, on_progress, _login(plan))
                try:
                    self._make(plan, image)
                except c.Refused as error:
                    raise start_failure(container_id(plan.key), error) from error
                except NotFound as error:
                    self._images.forget()
                    if is_last:
                        raise TaskFailure(
                            f"The image {image.name} was removed while {plan.spec.name} was made from it.",
                            Reason.IMAGE_UNREACHABLE,
                        ) from error
                else:
                    return

    def start(self, key: TaskKey) -> None:
        self._tasks.start(container_id(key))

    def stop(self, key: TaskKey, grace_s: float) -> None:
        name = container_id(key)
        self._tasks.end(name, grace_s)
        self._tasks.clear(name)
        self._values.remove(name)

    def remove(self, key: TaskKey) -> None:
        self.stop(key, 0)

    def observe(self) -> list[Task]:
        """A container without a process, as a reboot or a crash leaves it, has EXITED, and nobody knows how."""
        with_values = self._values.containers()
        with self._guard:
            being_made = set(self._being_made)
        containers = set(self._tasks.list_containers())
        seen = {process.id: process for process in self._tasks.list()}
        # In this order: what had values before we looked is being made, or there, or gone.
        self._values.sweep(with_values, being_made | containers | seen.keys())
        tasks = [self._task_of(process) for process in seen.values()]
        for name in containers - seen.keys() - being_made:
            key = key_of(name)
            if key is not None:
                tasks.append(Task(key, TaskState.EXITED))
        return [task for task in tasks if task is not None]

    def usage(self) -> list[TaskUsage]:
        found = []
        for name, usage in self._cgroups.usage():
            key = key_of(name)
            if key is not None:
                found.append(TaskUsage(key, usage.cpu_s, usage.memory_bytes))
        return found

    def exec(self, key: TaskKey, command: Sequence[str], timeout_s: float) -> ExecResult:
        directory = self._logs.ensure(key.instance_id).parent
        return self._execs.run(container_id(key), command, timeout_s, directory)

    def watch(self, on_change: Callable[[Task | None], None]) -> None:
        def on_exit(name: str, exit_code: int) -> None:
            key = key_of(name)
            if key is not None:
                on_change(self._exited(key, name, exit_code))

        self._watcher = Watcher(self._client, lambda: on_change(None), on_exit, self._images.forget)
        self._watcher.start()

    def close(self) -> None:
        """Containers go on running."""
        if self._watcher is not None:
            self._watcher.close()
        self._client.close()

    def import_archive(self, path: Path, name: str = "") -> list[str]:
        """The names of the images that are here now; `name` gives one to an archive of a single image.

        Raises InvalidInput, after which nothing of the archive is left.
        """
        self._ensure_namespace()
        try:
            return self._import(path, name)
        except InvalidInput as error:
            raise InvalidInput(f"{path} cannot be imported: {str(error).rstrip('.')}.") from error

    def image_list(self) -> list[tuple[str, str]]:
        """Name and digest of every image on this node."""
        self._ensure_namespace()
        return self._images.list()

    def remove_image(self, name: str) -> None:
        """Containers made from it go on; what only it needed is freed."""
        self._images.remove(name)

    def _import(self, path: Path, name: str) -> list[str]:
        from node_engine.adapters.runtimes.containerd.importer import Archive  # seldom needed, and it costs memory

        archive = Archive(path)
        try:
            images = archive.images(self._architecture)
            if name and len(images) > 1:
                raise InvalidInput(f"it holds {len(images)} images, so one name is not enough")
            named = [(image, (str(parse(name)),) if name else image.names) for image in images]
            if not all(names for _, names in named):
                raise InvalidInput("it does not say what its image is called; give a name")
            for image, names in named:
                self._images.install(image, names, lambda _: None, keep_on_failure=False)
            return sorted(name for _, names in named for name in names)
        finally:
            archive.close()

    def _make(self, plan: TaskPlan, image: LocalImage) -> None:
        name = container_id(plan.key)
        spec, cpu = without_small_quota(self._spec(plan, name, image))
        self._tasks.put_container(name, image.name, spec, labels(plan))
        mounts = self._tasks.prepare_root(name, image.config.chain_id)
        self._tasks.create(name, mounts, self._logs.ensure(plan.key.instance_id))
        if cpu is not None:
            self._tasks.limit_cpu(name, cpu)

    def _spec(self, plan: TaskPlan, name: str, image: LocalImage) -> OciSpec:
        try:
            identity = self._accounts.resolve(plan.spec.user or image.config.user, image.config.chain_id)
            values = self._put_values(plan, name, identity)
            return build(plan, name, image.config, identity, self._facts, find_devices(plan.spec), values)
        except InvalidInput as error:
            raise TaskFailure(str(error), Reason.START_FAILED, is_permanent=True) from error

    def _put_values(self, plan: TaskPlan, name: str, identity: Identity) -> tuple[ValueMount, ...]:
        files = files_of(plan)
        if not files:
            return ()
        mounts = self._values.write(name, files, identity.uid, identity.gid)
        if not has_variables(plan):
            return mounts
        program = self._values.add_program(name, "entry", entry_program(self._architecture))
        return (*mounts, ValueMount(program, ENTRY))

    def _task_of(self, process: pb.Process) -> Task | None:
        key = key_of(process.id)
        if key is None:
            return None
        state = _STATES.get(process.status, TaskState.RUNNING)
        if state is TaskState.EXITED:
            return self._exited(key, process.id, process.exit_status)
        return Task(key, state, process.pid)

    def _exited(self, key: TaskKey, name: str, exit_code: int) -> Task:
        is_out_of_memory = exit_code != 0 and self._cgroups.is_out_of_memory(name)
        return Task(key, TaskState.EXITED, exit_code=exit_code, is_out_of_memory=is_out_of_memory)

    def _ensure_namespace(self) -> None:
        if not self._has_namespace:
            self._client.ensure_namespace()
            self._has_namespace = True

    @contextmanager
    def _making(self, name: str) -> Iterator[None]:
        """A container that is being made has no process yet, and has not exited for that."""
        with self._guard:
            self._being_made.add(name)
        try:
            yield
        finally:
            with self._guard:
                self._being_made.discard(name)


def _resolvers() -> str:
    """systemd-resolved keeps the real name servers in a file of its own, and names itself in the usual one."""
    for path in map(Path, (RESOLVERS, "/run/systemd/resolve/resolv.conf")):
        with contextlib.suppress(OSError):
            if reaches_beyond(path.read_text(errors="replace")):
                return str(path)
    return ""
