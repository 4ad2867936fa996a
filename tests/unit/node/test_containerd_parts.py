"""The parts of the containerd runtime that need no containerd."""

import base64
import json
from pathlib import Path

import pytest

from edge_common.model.errors import InvalidInput
from edge_common.model.ids import InstanceId
from node_engine.adapters.runtimes.containerd.cgroups import Cgroups, CgroupUsage
from node_engine.adapters.runtimes.containerd.layer_files import lower_directories, read_from_layers
from node_engine.adapters.runtimes.containerd.locks import NamedLocks
from node_engine.adapters.runtimes.containerd.naming import container_id, key_of
from node_engine.adapters.runtimes.containerd.registry_auth import Challenge, basic_credentials, parse_challenge
from node_engine.adapters.runtimes.containerd.tasks import start_failure
from node_engine.core.task import TaskKey


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


class TestNames:
    @pytest.mark.parametrize("key", [TaskKey(InstanceId("a"), 0), TaskKey(InstanceId("a-1-b2"), 17)])
    def test_there_and_back(self, key: TaskKey) -> None:
        assert key_of(container_id(key)) == key

    @pytest.mark.parametrize("name", ["", "other", "hedgerow-", "hedgerow-1", "hedgerow-a-b", "hedgerow-a-", "x-a-1"])
    def test_others(self, name: str) -> None:
        assert key_of(name) is None


class TestCgroups:
    def test_version_1(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            {
                "cpuacct/ours/c1/cpuacct.usage": "1500000000\n",
                "memory/ours/c1/memory.usage_in_bytes": "5000\n",
                "memory/ours/c1/memory.stat": "cache 1\ntotal_inactive_file 2000\n",
                "memory/ours/c1/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
                "memory/memory.memsw.limit_in_bytes": "1",
            },
        )
        cgroups = Cgroups("/ours", tmp_path)
        assert list(cgroups.usage()) == [("c1", CgroupUsage(1.5, 3000))]
        assert cgroups.is_out_of_memory("c1") and not cgroups.is_out_of_memory("c2")
        assert cgroups.has_swap_limit

    def test_version_2(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            {
                "cgroup.controllers": "cpu memory pids\n",
                "ours/c1/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
                "ours/c1/memory.current": "7000\n",
                "ours/c1/memory.stat": "anon 5000\ninactive_file 1000\n",
                "ours/c1/memory.events": "low 0\noom 1\noom_kill 0\n",
            },
        )
        cgroups = Cgroups("/ours", tmp_path)
        assert list(cgroups.usage()) == [("c1", CgroupUsage(2.5, 6000))]
        assert not cgroups.is_out_of_memory("c1")

    def test_none_yet(self, tmp_path: Path) -> None:
        assert list(Cgroups("/ours", tmp_path).usage()) == []


class TestLayers:
    def test_where_they_are(self) -> None:
        assert lower_directories([("bind", "/a", ["ro"])]) == ("/a",)
        assert lower_directories([("overlay", "overlay", ["lowerdir=/b:/a"])]) == ("/b", "/a")

    def test_the_topmost_counts_and_links_are_not_followed(self, tmp_path: Path) -> None:
        write(tmp_path, {"low/etc/passwd": "low", "high/etc/group": "high", "secret": "secret"})
        layers = [str(tmp_path / "high"), str(tmp_path / "low")]
        assert read_from_layers(layers, "etc", "passwd") == "low"
        assert read_from_layers(layers, "etc", "group") == "high"
        assert read_from_layers(layers, "etc", "none") == ""
        (tmp_path / "high/etc/passwd").symlink_to(tmp_path / "secret")
        assert read_from_layers(layers, "etc", "passwd") == ""
        (tmp_path / "evil").mkdir()
        (tmp_path / "evil/etc").symlink_to(tmp_path / "low/etc")
        assert read_from_layers([str(tmp_path / "evil")], "etc", "passwd") == ""


class TestRegistryAuth:
    def test_challenges(self) -> None:
        header = 'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull"'
        expected = Challenge("bearer", "https://auth.example/token", "registry.example", "repository:a/b:pull")
        assert parse_challenge(header) == expected
        assert parse_challenge('Basic realm="x"').scheme == "basic"
        assert parse_challenge("") == Challenge("")

    def test_credentials(self, tmp_path: Path) -> None:
        encoded = base64.b64encode(b"me:secret").decode()
        path = tmp_path / "auth.json"
        auths = {
            "r.example": {"auth": encoded},
            "https://index.docker.io/v1/": {"username": "me", "password": "secret"},
        }
        path.write_text(json.dumps({"auths": auths}))
        path.chmod(0o600)
        assert basic_credentials(path, "r.example") == encoded
        assert basic_credentials(path, "docker.io") == encoded
        assert basic_credentials(path, "other.example") == ""
        assert basic_credentials(None, "r.example") == ""

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"auths": 3}', '{"auths": {"r": {"auth": "%%"}}}'])
    def test_broken_files_are_named(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "auth.json"
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(InvalidInput, match=r"auth\.json"):
            basic_credentials(path, "r")

    def test_a_file_that_others_can_read_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "auth.json"
        path.write_text('{"auths": {}}')
        path.chmod(0o640)
        with pytest.raises(InvalidInput, match="chmod 600"):
            basic_credentials(path, "r")


def test_only_the_last_words_of_runc_are_kept() -> None:
    said = (
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "
        'exec: "/no": stat /no: no such file or directory: unknown'
    )
    failure = start_failure("c1", RuntimeError(said))
    assert failure.is_permanent
    assert str(failure).startswith("The container c1 cannot start: unable to start container process: exec")


def test_locks_are_gone_when_nobody_wants_them() -> None:
    locks = NamedLocks()
    with locks.holding("a"), locks.holding("b"):
        assert len(locks._locks) == 2
    assert locks._locks == {}
