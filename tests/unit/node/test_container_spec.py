"""From plans to OCI specs."""

from typing import Any

import pytest

from edge_common.model.errors import InvalidInput
from edge_common.model.ids import ApplicationId, InstanceId, ServiceId
from edge_common.model.resources import Resources
from edge_common.model.service import ServiceSpec, Ulimit
from node_engine.core import seccomp
from node_engine.core.container_spec import (
    ALL_CAPABILITIES,
    DEFAULT_CAPABILITIES,
    DeviceNode,
    Identity,
    NodeFacts,
    OciSpec,
    build,
    reaches_beyond,
)
from node_engine.core.image_manifest import ImageConfig
from node_engine.core.task import TaskKey, TaskPlan

IMAGE = ImageConfig(
    ("sha256:" + "a" * 64,),
    entrypoint=("/entry",),
    command=("one", "two"),
    environment=("A=1", "B=2"),
    working_directory="/srv",
)
NODE = NodeFacts("amd64")


def make(image: ImageConfig = IMAGE, node: NodeFacts = NODE, *, namespace: str = "", **fields: Any) -> OciSpec:
    identity = fields.pop("identity", Identity())
    devices = fields.pop("devices_found", ())
    name = fields.pop("name", "shop.default.web.default")
    spec = ServiceSpec(ServiceId("s"), ApplicationId("a"), name, "container", "busybox", **fields)
    plan = TaskPlan(TaskKey(InstanceId("i1"), 2), spec, 3, namespace)
    return build(plan, "hedgerow-i1-2", image, identity, node, devices)


@pytest.mark.parametrize(("command", "expected"), [((), ["/entry", "one", "two"]), (("ls", "-l"), ["ls", "-l"])])
def test_a_command_replaces_all_of_the_images(command: tuple[str, ...], expected: list[str]) -> None:
    assert make(command=command)["process"]["args"] == expected


def test_no_command_at_all_is_refused() -> None:
    with pytest.raises(InvalidInput, match="which command"):
        make(ImageConfig(IMAGE.diff_ids))


@pytest.mark.parametrize(
    ("resources", "cpu", "memory"),
    [
        (Resources(), None, None),
        (Resources(500, 64), (50_000, 512), 64 << 20),
        (Resources(4000, 1), (400_000, 4096), 1 << 20),
        (Resources(1, 0), (1_000, 2), None),
    ],
)
def test_limits(resources: Resources, cpu: tuple[int, int] | None, memory: int | None) -> None:
    found = make(resources=resources)["linux"]["resources"]
    assert found.get("cpu") == (cpu and {"quota": cpu[0], "period": 100_000, "shares": cpu[1]})
    assert found.get("memory") == (memory and {"limit": memory, "swap": memory})


def test_without_swap_accounting_only_memory_is_limited() -> None:
    found = make(node=NodeFacts("amd64", has_swap_limit=False), resources=Resources(0, 1))
    assert found["linux"]["resources"]["memory"] == {"limit": 1 << 20}


@pytest.mark.parametrize(("asked", "limit"), [(0, 4096), (12, 12)])
def test_processes_are_always_limited(asked: int, limit: int) -> None:
    assert make(pids_limit=asked)["linux"]["resources"]["pids"] == {"limit": limit}


def test_ulimits() -> None:
    assert make(ulimits=(Ulimit("nofile", 1, 2),))["process"]["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}
    ]
    with pytest.raises(InvalidInput):
        make(ulimits=(Ulimit("nonsense", 1, 2),))


def test_an_ordinary_one_is_confined() -> None:
    spec = make()
    assert set(spec["process"]["capabilities"]["effective"]) == set(DEFAULT_CAPABILITIES)
    assert spec["process"]["noNewPrivileges"] is True
    assert spec["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert "/proc/kcore" in spec["linux"]["maskedPaths"] and "/proc/sys" in spec["linux"]["readonlyPaths"]
    assert spec["linux"]["resources"]["devices"] == [{"allow": False, "access": "rwm"}]


def test_a_user_has_no_capabilities() -> None:
    capabilities = make(identity=Identity(1000, 1000))["process"]["capabilities"]
    assert capabilities["effective"] == [] and capabilities["permitted"] == []


def test_a_privileged_one_is_not() -> None:
    spec = make(is_privileged=True, node=NodeFacts("amd64", capability_mask=0b111))
    assert spec["process"]["capabilities"]["effective"] == list(ALL_CAPABILITIES[:3])
    assert spec["process"]["noNewPrivileges"] is False
    assert not {"seccomp", "maskedPaths", "readonlyPaths"} & set(spec["linux"])
    assert spec["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert "rw" in next(mount for mount in spec["mounts"] if mount["destination"] == "/sys")["options"]


def test_devices() -> None:
    linux = make(devices_found=(DeviceNode("/dev/x", "c", 1, 5, permissions="r"),))["linux"]
    assert linux["resources"]["devices"][1] == {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"}
    assert linux["devices"][0]["path"] == "/dev/x"


def test_the_network_is_the_hosts_or_a_given_one() -> None:
    host, own = make(), make(namespace="/run/netns/x")
    assert not any(entry["type"] == "network" for entry in host["linux"]["namespaces"])
    assert {"type": "network", "path": "/run/netns/x"} in own["linux"]["namespaces"]
    assert any(mount["destination"] == "/etc/resolv.conf" for mount in host["mounts"])
    assert not any(mount["destination"] == "/etc/resolv.conf" for mount in own["mounts"])
    assert any(mount["destination"] == "/etc/hosts" for mount in own["mounts"])


def test_the_later_environment_wins() -> None:
    entries = make(environment=("B=3", "HOSTNAME=mine"))["process"]["env"]
    assert {"A=1", "B=3", "HOSTNAME=mine", "HEDGEROW_INSTANCE_NUMBER=3"} <= set(entries)
    assert len({entry.partition("=")[0] for entry in entries}) == len(entries)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("shop.default.web.default", "web-3"), ("a.b.My_App.d", "my-app-3"), ("x", "x-3"), ("a.b.---.d", "instance-3"),
     ("a.b." + "l" * 80 + ".d", "l" * 61 + "-3")],
)  # fmt: skip
def test_hostnames_are_labels(name: str, expected: str) -> None:
    assert make(name=name)["hostname"] == expected


def test_the_rest_of_a_process() -> None:
    spec = make(is_root_read_only=True, working_directory="/w")
    assert spec["root"]["readonly"] is True
    assert (spec["process"]["cwd"], make()["process"]["cwd"]) == ("/w", "/srv")
    assert spec["linux"]["cgroupsPath"] == "/hedgerow/hedgerow-i1-2"


@pytest.mark.parametrize("architecture", ["amd64", "arm64", "arm", "riscv64"])
def test_the_profile_lets_processes_live_and_keeps_them_off_the_machine(architecture: str) -> None:
    profile = seccomp.default_profile(architecture)
    assert profile is not None
    allowed = set(profile["syscalls"][0]["names"])
    assert {"read", "openat", "execve", "futex", "socket", "chroot", "ptrace"} <= allowed
    machine = {"mount", "umount2", "reboot", "init_module", "kexec_load", "bpf", "setns", "unshare", "keyctl", "swapon"}
    assert not machine & allowed and "clone" not in allowed


def test_an_architecture_without_a_list_goes_without() -> None:
    assert "seccomp" not in make(node=NodeFacts("s390x"))["linux"]


@pytest.mark.parametrize(
    ("text", "reaches"),
    [
        ("nameserver 192.0.2.53\n", True),
        ("# x\nsearch lan\nnameserver\t2001:db8::53\n", True),
        ("nameserver 127.0.0.53\noptions edns0\n", False),
        ("nameserver 192.0.2.53\nnameserver ::1\n", False),
        ("search lan\n", False),
        ("", False),
    ],
)
def test_name_servers_on_loopback_are_not_reached_from_a_network_of_its_own(text: str, reaches: bool) -> None:
    assert reaches_beyond(text) is reaches
