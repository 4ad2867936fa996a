"""`python -m node_engine COMMAND`, as an operator types it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.containerd_rig import IMAGE, Rig, make_rig
from tests.parts.containerd import private_containerd
from tests.parts.images import build_oci_archive, busybox_files

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with private_containerd() as containerd, make_rig(containerd, tmp_path_factory.mktemp("rig")) as made:
        yield made


def run(rig: Rig, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    given = {
        "DATA_DIR": str(rig.containerd.directory / "node"),
        "CONTAINERD_ADDRESS": str(rig.containerd.address),
        "CONTAINERD_NAMESPACE": rig.containerd.namespace,
        "CGROUP_PARENT": rig.containerd.cgroup_parent,
        **settings,
    }
    environment = {"PATH": os.environ["PATH"], **{f"HEDGEROW_NODE_{key}": value for key, value in given.items()}}
    command = [sys.executable, "-m", "node_engine", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_an_image_is_imported_and_listed(rig: Rig, tmp_path: Path) -> None:
    archive = tmp_path / "busybox.tar"
    build_oci_archive(archive, busybox_files(), {"Cmd": ["sh"]}, IMAGE)
    done = run(rig, "image", "import", str(archive))
    assert (done.returncode, done.stdout) == (0, f"{IMAGE}\n")
    assert run(rig, "image", "import", str(archive), "--name", "test.local/other:2").stdout == "test.local/other:2\n"
    listed = run(rig, "image", "ls").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [IMAGE, "test.local/other:2"]


def test_stop_all_ends_and_removes_everything(rig: Rig, tmp_path: Path) -> None:
    build_oci_archive(tmp_path / "busybox.tar", busybox_files(), {"Cmd": ["sh"]}, IMAGE)
    run(rig, "image", "import", str(tmp_path / "busybox.tar"))
    plans = [rig.run("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done") for _ in range(3)]
    done = run(rig, "stop-all")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == sorted(f"stopped {plan.key}" for plan in plans)
    assert rig.runtime.observe() == []
    assert run(rig, "stop-all").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (("image", "import", "/no/such/file"), {}, "There is no file /no/such/file"),
        (("image", "import", "/etc/hostname"), {}, "cannot be imported"),
        (("image", "ls"), {"CONTAINERD_ADDRESS": "/no/such.sock"}, "does not answer"),
        (("status",), {"OPERATIONS": "many"}, "HEDGEROW_NODE_OPERATIONS"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(
    rig: Rig, arguments: tuple[str, ...], settings: dict[str, str], words: str
) -> None:
    done = run(rig, *arguments, **settings)
    assert done.returncode == 1 and done.stdout == ""
    assert words in done.stderr and len(done.stderr.splitlines()) == 1


def test_status_of_a_node_that_never_ran_says_so(rig: Rig) -> None:
    done = run(rig, "status")
    assert (done.returncode, done.stderr) == (0, "")
    assert "none; it has not asked to join yet" in done.stdout and "does not run" in done.stdout
    told = json.loads(run(rig, "status", "-o", "json").stdout)
    assert (told["is_joined"], told["engine_pid"], told["link"], told["instances"]) == (False, None, None, [])


def test_an_unknown_command_is_refused(rig: Rig) -> None:
    assert run(rig, "dance").returncode == 2
