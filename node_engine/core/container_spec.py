"""From a plan and an image to the OCI runtime spec, a builder a concern.

What the node must be asked for (device numbers, user names, kernel facts) comes in as `NodeFacts` and `Identity`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_common.model.errors import InvalidInput
from edge_common.model.service import ServiceSpec
from node_engine.core import seccomp
from node_engine.core.image_manifest import ImageConfig
from node_engine.core.task import TaskPlan
from node_engine.core.value_files import ValueMount, started_by_entry

OciSpec = dict[str, Any]

RESOLVERS = "/etc/resolv.conf"
CPU_PERIOD_US = 100_000
MIN_CPU_QUOTA_US = 1_000
"""The kernel takes no less."""
DEFAULT_PIDS_LIMIT = 4096
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MIB = 1024 * 1024

DEFAULT_CAPABILITIES = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)
"""What container engines grant by custom, so that ordinary images work."""

ALL_CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
"""In the kernel's order: the n-th is bit n of a capability mask."""

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_RLIMITS = frozenset(
    {
        "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
        "rtprio", "rttime", "sigpending", "stack",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A device file, as stat saw it on the node. `kind` is "c" or "b"."""

    path: str
    kind: str
    major: int
    minor: int
    file_mode: int = 0o666
    uid: int = 0
    gid: int = 0
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class Identity:
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/root"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """`capability_mask` are the capabilities that anybody can have on this node.

    `host_files` are bind-mounted, read-only, into instances. `resolvers` takes the place of RESOLVERS for those with a
    network of their own: a file whose name servers can be reached from there, "" when there is none.
    """

    architecture: str
    cgroup_parent: str = "/hedgerow"
    has_swap_limit: bool = True
    default_pids_limit: int = DEFAULT_PIDS_LIMIT
    capability_mask: int = 2 ** len(ALL_CAPABILITIES) - 1
    host_files: tuple[str, ...] = (RESOLVERS, "/etc/hosts")
    resolvers: str = ""


def build(
    plan: TaskPlan,
    container_id: str,
    image: ImageConfig,
    identity: Identity,
    node: NodeFacts,
    devices: Sequence[DeviceNode] = (),
    values: Sequence[ValueMount] = (),
) -> OciSpec:
    """`values` are the files in memory that the instance gets.

    Raises InvalidInput for what cannot run, such as a service without any command.
    """
    spec = plan.spec
    return {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs", "readonly": spec.is_root_read_only},
        "hostname": hostname(plan),
        "process": _process(plan, image, identity, node),
        "mounts": [*_mounts(plan, node), *(_value_mount(each) for each in values)],
        "linux": {
            "cgroupsPath": f"{node.cgroup_parent}/{container_id}",
            "namespaces": _namespaces(plan.network_namespace),
            "resources": _resources(spec, node, devices),
            "devices": [_device(device) for device in devices],
            **_confinement(spec, node),
        },
    }


def hostname(plan: TaskPlan) -> str:
    """The service's own name and the number of the instance, as one DNS label."""
    parts = plan.spec.name.split(".")
    name = parts[2] if len(parts) > 2 else parts[0]
    suffix = f"-{plan.instance_number}"
    clean = re.sub(r"[^a-z0-9-]+", "-", name.lower())[: 63 - len(suffix)].strip("-")
    return f"{clean or 'instance'}{suffix}"


def command(spec: ServiceSpec, image: ImageConfig) -> tuple[str, ...]:
    found = spec.command or (*image.entrypoint, *image.command)
    if not found:
        raise InvalidInput("Neither the service nor its image says which command to run.", "command")
    return found


def environment(plan: TaskPlan, image: ImageConfig, home: str) -> list[str]:
    """The image's, then what we add, then the service's: the later wins."""
    ours = (
        f"HEDGEROW_SERVICE={plan.spec.name}",
        f"HEDGEROW_INSTANCE_NUMBER={plan.instance_number}",
        f"HOSTNAME={hostname(plan)}",
    )
    merged: dict[str, str] = {}
    for entry in (DEFAULT_PATH, f"HOME={home}", *image.environment, *ours, *plan.spec.environment):
        merged[entry.partition("=")[0]] = entry
    return list(merged.values())


def _process(plan: TaskPlan, image: ImageConfig, identity: Identity, node: NodeFacts) -> dict[str, Any]:
    spec = plan.spec
    capabilities = _capabilities(spec, node)
    active = capabilities if identity.uid == 0 else []
    return {
        "terminal": False,
        "user": {"uid": identity.uid, "gid": identity.gid, "additionalGids": list(identity.groups)},
        "args": started_by_entry(command(spec, image), plan),
        "env": environment(plan, image, identity.home),
        "cwd": spec.working_directory or image.working_directory or "/",
        "capabilities": {"bounding": capabilities, "effective": active, "permitted": active},
        "rlimits": _rlimits(spec),
        "noNewPrivileges": not spec.is_privileged,
        "oomScoreAdj": 0,
    }


def _capabilities(spec: ServiceSpec, node: NodeFacts) -> list[str]:
    wanted = ALL_CAPABILITIES if spec.is_privileged else DEFAULT_CAPABILITIES
    return [name for bit, name in enumerate(ALL_CAPABILITIES) if name in wanted and node.capability_mask >> bit & 1]


def _rlimits(spec: ServiceSpec) -> list[dict[str, Any]]:
    """What is not asked for stays as containerd has it itself: not every containerd may raise a limit."""
    for ulimit in spec.ulimits:
        if ulimit.name not in _RLIMITS:
            raise InvalidInput(f"There is no ulimit {ulimit.name!r}.", "ulimits")
    return [
        {"type": f"RLIMIT_{ulimit.name.upper()}", "soft": ulimit.soft, "hard": ulimit.hard} for ulimit in spec.ulimits
    ]


def without_small_quota(spec: OciSpec) -> tuple[OciSpec, dict[str, int] | None]:
    """The spec without a quota of less than a core, and that quota, to be set once the container is made.

    What makes a container runs within its limits, and takes some 30 ms of processor time: under a quota of a
    hundredth of a core that lasts more than a second.
    """
    resources = spec["linux"]["resources"]
    cpu = resources.get("cpu")
    if not cpu or cpu["quota"] >= cpu["period"]:
        return spec, None
    freed = {**resources, "cpu": {"shares": cpu["shares"]}}
    return {**spec, "linux": {**spec["linux"], "resources": freed}}, cpu


def _namespaces(network_namespace: str) -> list[dict[str, str]]:
    namespaces = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")]
    if network_namespace:
        namespaces.append({"type": "network", "path": network_namespace})
    return namespaces


def _resources(spec: ServiceSpec, node: NodeFacts, devices: Sequence[DeviceNode]) -> dict[str, Any]:
    wanted = spec.resources
    resources: dict[str, Any] = {
        "devices": _device_rules(spec, devices),
        "pids": {"limit": spec.pids_limit or node.default_pids_limit},
    }
    if wanted.cpu_millis > 0:
        resources["cpu"] = {
            "quota": max(wanted.cpu_millis * CPU_PERIOD_US // 1000, MIN_CPU_QUOTA_US),
            "period": CPU_PERIOD_US,
            "shares": max(wanted.cpu_millis * 1024 // 1000, 2),
        }
    if wanted.memory_mb > 0:
        limit = wanted.memory_mb * MIB
        resources["memory"] = {"limit": limit, "swap": limit} if node.has_swap_limit else {"limit": limit}
    return resources


def _device_rules(spec: ServiceSpec, devices: Sequence[DeviceNode]) -> list[dict[str, Any]]:
    if spec.is_privileged:
        return [{"allow": True, "access": "rwm"}]
    return [{"allow": False, "access": "rwm"}] + [
        {"allow": True, "type": device.kind, "major": device.major, "minor": device.minor, "access": device.permissions}
        for device in devices
    ]


def _device(device: DeviceNode) -> dict[str, Any]:
    return {
        "path": device.path,
        "type": device.kind,
        "major": device.major,
        "minor": device.minor,
        "fileMode": device.file_mode,
        "uid": device.uid,
        "gid": device.gid,
    }


def _confinement(spec: ServiceSpec, node: NodeFacts) -> Mapping[str, Any]:
    if spec.is_privileged:
        return {}
    confinement: dict[str, Any] = {"maskedPaths": MASKED_PATHS, "readonlyPaths": READ_ONLY_PATHS}
    profile = seccomp.default_profile(node.architecture)
    if profile is not None:
        confinement["seccomp"] = profile
    return confinement


def _mounts(plan: TaskPlan, node: NodeFacts) -> list[dict[str, Any]]:
    """With a read-only root only /dev and /dev/shm can be written to; nothing is put over /tmp or /run."""
    access = "rw" if plan.spec.is_privileged else "ro"
    hardened = ["nosuid", "noexec", "nodev"]
    mounts = [
        _mount("/proc", "proc", "proc", hardened),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount(
            "/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
        ),
        _mount("/dev/shm", "tmpfs", "shm", [*hardened, "mode=1777", "size=65536k"]),  # noqa: S108
        _mount("/dev/mqueue", "mqueue", "mqueue", hardened),
        _mount("/sys", "sysfs", "sysfs", [*hardened, access]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*hardened, "relatime", access]),
    ]
    for path in node.host_files:
        source = node.resolvers if plan.network_namespace and path == RESOLVERS else path
        if source:
            mounts.append(_mount(path, "bind", source, ["bind", "ro", "nosuid", "nodev"]))
    return mounts


def reaches_beyond(resolv_conf: str) -> bool:
    """Whether it names a name server, and none that listens on the machine's own loopback."""
    words = [line.split() for line in resolv_conf.splitlines()]
    servers = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    return bool(servers) and not any(server.startswith("127.") or server == "::1" for server in servers)


def _value_mount(mount: ValueMount) -> dict[str, Any]:
    return _mount(mount.path, "bind", mount.source, ["bind", "ro", "nosuid", "nodev"])


def _mount(destination: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": options}
