"""Secrets and configuration objects in real containers: there while the instance runs, and nowhere on a disk."""

import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edge_common.model.errors import Broken
from edge_common.model.service import PullPolicy
from edge_common.model.values import Attachment, OpenValue, ValueId, ValueKind, ValueRef
from node_engine.adapters.runtimes.containerd import RegistrySettings
from node_engine.adapters.value_files import ValueFiles
from node_engine.core.task import TaskPlan
from node_engine.core.value_files import ValueFile
from node_engine.ports import TaskFailure
from tests.integration.containerd_rig import Rig, import_busybox, make_rig
from tests.parts.containerd import private_containerd
from tests.parts.images import build_image, busybox_files
from tests.parts.registry import PASSWORD, USER, private_registry
from tests.support import eventually

pytestmark = pytest.mark.real

SECRET = "xyzzy-plugh-7421"
KEY = ValueRef(ValueKind.SECRET, "key", ValueId("v1"), 1)
SITE = ValueRef(ValueKind.CONFIG, "site", ValueId("v2"), 1)
VALUES = (OpenValue(KEY.value_id, 1, SECRET.encode()), OpenValue(SITE.value_id, 1, b"a = 1\n"))
SPOKEN = "cat /run/secrets/key; echo; cat /etc/site.conf; echo $KEY; ls -ln /run/secrets/key /etc/site.conf"


@pytest.fixture
def values(tmp_path: Path) -> Iterator[ValueFiles]:
    directory = tmp_path / "values"
    yield ValueFiles(directory)
    if os.path.ismount(directory):
        subprocess.run(["umount", "--lazy", str(directory)], check=True, timeout=10)


@pytest.fixture
def rig(tmp_path: Path, values: ValueFiles) -> Iterator[Rig]:
    with private_containerd() as containerd, make_rig(containerd, tmp_path, values=values) as rig:
        import_busybox(rig.runtime, tmp_path)
        yield rig


def with_values(plan: TaskPlan, *attachments: Attachment, values: Sequence[OpenValue] = VALUES) -> TaskPlan:
    return replace(plan, spec=replace(plan.spec, attachments=attachments), values=tuple(values))


def run(rig: Rig, plan: TaskPlan) -> TaskPlan:
    rig.runtime.create(plan, lambda _: None)
    rig.runtime.start(plan.key)
    return plan


def files_with(text: str, *directories: Path) -> list[Path]:
    """Every file below these, on a disk, that has the text."""
    found = []
    for directory in directories:
        command = ["grep", "-rlaF", "--devices=skip", text, str(directory)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        found += [Path(line) for line in done.stdout.splitlines()]
    return found


def test_files_and_variables_reach_the_instance(rig: Rig) -> None:
    plan = with_values(
        rig.plan("sh", "-c", SPOKEN, user="1000:1000"),
        Attachment(KEY, path="/run/secrets/key"),
        Attachment(SITE, path="/etc/site.conf", mode=0o444, uid=0),
        Attachment(KEY, variable="KEY"),
    )
    lines = rig.output(run(rig, plan)).splitlines()
    assert lines[:3] == [SECRET, "a = 1", SECRET]
    assert lines[3].split()[:4] == ["-r--r--r--", "1", "0", "1000"] or lines[4].split()[:3] == ["-r--r--r--", "1", "0"]
    assert any(line.startswith("-r--------") and line.split()[2:4] == ["1000", "1000"] for line in lines[3:])


def test_the_entry_program_is_not_there_without_variables(rig: Rig) -> None:
    plan = with_values(rig.plan("ls", "-a", "/"), Attachment(KEY, path="/key"))
    assert ".hedgerow" not in rig.output(run(rig, plan)).split()


def test_a_variable_changes_nothing_else(rig: Rig) -> None:
    """The command, its place in PATH, the image's environment, the exit code."""
    plan = with_values(rig.plan("env", environment=("COLOUR=red",)), Attachment(KEY, variable="KEY"))
    output = rig.output(run(rig, plan)).splitlines()
    assert f"KEY={SECRET}" in output and "COLOUR=red" in output and "SIZE=small" in output
    plan = run(rig, with_values(rig.plan("sh", "-c", "exit 3"), Attachment(KEY, variable="KEY")))
    assert rig.ended(plan).exit_code == 3
    plan = run(rig, with_values(rig.plan("no-such-command"), Attachment(KEY, variable="KEY")))
    assert rig.ended(plan).exit_code == 127
    wrong = b"cannot run no-such-command"
    eventually(lambda: wrong in rig.logs.read(plan.key.instance_id).data, message="what went wrong")


def test_a_read_only_root_takes_files_too(rig: Rig) -> None:
    plan = with_values(
        rig.plan("sh", "-c", "cat /a/b/key; echo $KEY; touch /a/b/key", is_root_read_only=True),
        Attachment(KEY, path="/a/b/key"),
        Attachment(KEY, variable="KEY"),
    )
    plan = run(rig, plan)

    def said() -> bool:
        output = rig.logs.read(plan.key.instance_id).data.decode()
        return output.count(SECRET) == 2 and "Read-only file system" in output

    eventually(said, message="both values, and a refusal to write")


def test_nothing_is_on_a_disk_in_the_clear(rig: Rig, tmp_path: Path, values: ValueFiles) -> None:
    plan = with_values(
        rig.plan("sh", "-c", "echo is up; sleep 1000"),
        Attachment(KEY, path="/run/secrets/key"),
        Attachment(KEY, variable="KEY"),
    )
    run(rig, plan)
    eventually(lambda: b"is up" in rig.logs.read(plan.key.instance_id).data, message="its output")
    assert rig.runtime.exec(plan.key, ["cat", "/run/secrets/key"], 10).output == SECRET.encode()
    assert rig.runtime.exec(plan.key, ["cat", "/proc/1/environ"], 10).output.count(SECRET.encode()) == 1
    assert b"KEY" not in rig.runtime.exec(plan.key, ["env"], 10).output
    in_memory = tmp_path / "values"
    places = [rig.containerd.directory, tmp_path, Path("/run/containerd/runc") / rig.containerd.namespace]
    assert [path for path in files_with(SECRET, *places) if not path.is_relative_to(in_memory)] == []
    assert len(files_with(SECRET, in_memory)) == 2
    rig.runtime.stop(plan.key, 0)
    assert files_with(SECRET, *places) == [] and values.containers() == set()


def test_what_a_killed_engine_left_is_swept(rig: Rig, values: ValueFiles) -> None:
    running = run(rig, with_values(rig.plan("sleep", "1000"), Attachment(KEY, path="/key")))
    values.write("hedgerow-gone-1", [ValueFile("/key", b"x", 0o400)], 0, 0)
    assert len(values.containers()) == 2
    rig.runtime.observe()
    assert values.containers() == {f"hedgerow-{running.key}"}
    rig.runtime.stop(running.key, 0)


def test_any_place_will_do_and_one_mount_is_enough(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    directory = tmp_path / "link" / "a b\\ü"
    for number in (1, 2, 1):
        mounts = ValueFiles(directory).write(f"c{number}", [ValueFile("/key", b"x", 0o440)], 7, 8)
        status = Path(mounts[0].source).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o440, 7, 8)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    subprocess.run(["umount", str(directory)], check=True, timeout=10)
    assert not os.path.ismount(directory)


def test_a_full_place_is_said_so(values: ValueFiles, tmp_path: Path) -> None:
    values.write("c1", [], 0, 0)
    subprocess.run(["mount", "-o", "remount,size=8k", str(tmp_path / "values")], check=True, timeout=10)
    with pytest.raises(Broken, match="No space left"):
        values.write("c2", [ValueFile("/key", bytes(64 * 1024), 0o400)], 0, 0)


def test_a_binary_value_is_no_variable(rig: Rig) -> None:
    value = [OpenValue(KEY.value_id, 1, b"a\0b")]
    plan = with_values(rig.plan("env"), Attachment(KEY, variable="KEY"), values=value)
    with pytest.raises(TaskFailure, match="has a NUL byte") as caught:
        rig.runtime.create(plan, lambda _: None)
    assert caught.value.is_permanent


def test_a_secret_opens_a_registry(tmp_path: Path) -> None:
    login = OpenValue(KEY.value_id, 1, f"{USER}:{PASSWORD}".encode())
    with private_containerd() as containerd, private_registry(needs_password=True) as registry:
        image = registry.push(build_image([busybox_files()], {"Cmd": ["echo", "from a private registry"]}), "a/b", "1")
        settings = RegistrySettings(plain_http=(registry.host,))
        with make_rig(containerd, tmp_path, settings) as rig:
            plan = rig.plan(image=image, pull_policy=PullPolicy.ALWAYS)
            with pytest.raises(TaskFailure, match="registry_secret"):
                rig.runtime.create(plan, lambda _: None)
            wrong = replace(login, data=b"hedge:wrong-password")
            allowed = replace(plan.spec, registry_login=KEY)
            with pytest.raises(TaskFailure) as caught:
                rig.runtime.create(replace(plan, spec=allowed, values=(wrong,)), lambda _: None)
            assert "wrong-password" not in str(caught.value)
            with pytest.raises(TaskFailure, match="neither JSON nor username:password"):
                rig.runtime.create(replace(plan, spec=allowed, values=(replace(login, data=b"x"),)), lambda _: None)
            plan = run(rig, replace(plan, spec=allowed, values=(login,)))
            assert "from a private registry" in rig.output(plan)
