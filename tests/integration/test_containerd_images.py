"""Images from registries and from archives, and what is said when they are not to be had."""

import gzip
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_common.model.errors import InvalidInput
from edge_common.model.lifecycle import Reason
from edge_common.model.service import PullPolicy
from node_engine.adapters.runtimes.containerd import RegistrySettings
from node_engine.ports import TaskFailure
from tests.integration.containerd_rig import Rig, make_rig
from tests.parts.containerd import Containerd, private_containerd
from tests.parts.images import BuiltImage, File, build_image, build_oci_archive, busybox_files, write_oci_archive
from tests.parts.registry import Registry, private_registry
from tests.support import eventually

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def containerd() -> Iterator[Containerd]:
    with private_containerd() as made:
        yield made


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with private_registry() as made:
        yield made


@pytest.fixture
def rig(containerd: Containerd, registry: Registry, tmp_path: Path) -> Iterator[Rig]:
    with make_rig(containerd, tmp_path, RegistrySettings((registry.host,))) as made:
        yield made


def two_layers(text: str, *, architecture: str = "") -> BuiltImage:
    """A busybox below, and one file above it that makes the image another one."""
    layers = [busybox_files(), {"etc/motd": File(text.encode())}]
    return build_image(layers, {"Cmd": ["cat", "/etc/motd"]}, architecture)


def pull(rig: Rig, image: str, policy: PullPolicy = PullPolicy.IF_MISSING) -> list[str]:
    """Make and take away a container of `image`; returns the progress that was told."""
    said: list[str] = []
    plan = rig.plan(image=image, pull_policy=policy)
    rig.runtime.create(plan, said.append)
    rig.runtime.remove(plan.key)
    return said


def refusal(rig: Rig, image: str, policy: PullPolicy = PullPolicy.IF_MISSING) -> TaskFailure:
    with pytest.raises(TaskFailure) as caught:
        pull(rig, image, policy)
    return caught.value


class TestPull:
    def test_an_image_runs_and_says_how_far_it_is(self, rig: Rig, registry: Registry) -> None:
        name = registry.push(two_layers("hello from afar"), "a/hello", "1")
        said = pull(rig, name)
        assert said[0].startswith("resolving") and said[-1].startswith("pulling 2/2 layers, ")
        plan = rig.run(image=name)
        assert rig.ended(plan).exit_code == 0
        assert rig.logs.read(plan.key.instance_id).data == b"hello from afar"
        rig.runtime.remove(plan.key)

    def test_shared_layers_come_once(self, rig: Rig, registry: Registry) -> None:
        first, second = two_layers("first"), two_layers("second")
        assert first.layer_digests[0] == second.layer_digests[0]
        pull(rig, registry.push(first, "a/shared", "1"))
        name = registry.push(second, "a/shared-too", "1")
        registry.blob_file(second.layer_digests[0]).unlink()
        pull(rig, name)
        registry.blob_file(second.layer_digests[0]).write_bytes(second.blobs[second.layer_digests[0]])

    def test_a_digest_pins(self, rig: Rig, registry: Registry) -> None:
        old = two_layers("old")
        name = registry.push(old, "a/pinned", "1")
        registry.push(two_layers("new"), "a/pinned", "1")
        plan = rig.run(image=f"{name}@{old.digest}")
        rig.ended(plan)
        assert rig.logs.read(plan.key.instance_id).data == b"old"
        rig.runtime.remove(plan.key)

    def test_two_at_once_pull_once(self, rig: Rig, registry: Registry) -> None:
        name = registry.push(two_layers("together"), "a/together", "1")
        reports: list[list[str]] = [[], []]
        plans = [rig.plan(image=name) for _ in reports]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda pair: rig.runtime.create(pair[0], pair[1].append), zip(plans, reports, strict=True)))
        assert sum(1 for said in reports if said) == 1
        for plan in plans:
            rig.runtime.remove(plan.key)

    def test_policies(self, rig: Rig, registry: Registry) -> None:
        name = registry.push(two_layers("one"), "a/policy", "1")
        assert refusal(rig, name, PullPolicy.NEVER).is_permanent
        pull(rig, name)
        registry.push(two_layers("two"), "a/policy", "1")
        assert pull(rig, name) == []
        assert pull(rig, name, PullPolicy.NEVER) == []
        assert any("pulling" in line for line in pull(rig, name, PullPolicy.ALWAYS))
        assert not any("pulling" in line for line in pull(rig, name, PullPolicy.ALWAYS))

    def test_an_image_that_was_removed_behind_our_back_comes_again(self, rig: Rig, registry: Registry) -> None:
        name = registry.push(two_layers("again"), "a/again", "1")
        pull(rig, name)
        rig.runtime.remove_image(name)
        assert any("pulling" in line for line in pull(rig, name))


class TestRefusals:
    def test_no_such_tag(self, rig: Rig, registry: Registry) -> None:
        registry.push(two_layers("x"), "a/tags", "1")
        failure = refusal(rig, f"{registry.host}/a/tags:2")
        assert failure.reason is Reason.IMAGE_NOT_FOUND and failure.is_permanent
        assert "a/tags:2" in str(failure)

    def test_no_such_digest(self, rig: Rig, registry: Registry) -> None:
        failure = refusal(rig, f"{registry.host}/a/tags@sha256:{'0' * 64}")
        assert failure.reason is Reason.IMAGE_NOT_FOUND and failure.is_permanent

    def test_no_name(self, rig: Rig) -> None:
        failure = refusal(rig, "Not A Name")
        assert failure.reason is Reason.IMAGE_NOT_FOUND and failure.is_permanent

    def test_another_architecture(self, rig: Rig, registry: Registry) -> None:
        failure = refusal(rig, registry.push(two_layers("x", architecture="s390x"), "a/elsewhere", "1"))
        assert failure.reason is Reason.IMAGE_REFUSED and failure.is_permanent
        assert "s390x" in str(failure)

    def test_plain_http_only_where_it_is_allowed(
        self, containerd: Containerd, registry: Registry, tmp_path: Path
    ) -> None:
        name = registry.push(two_layers("plain"), "a/plain", "1")
        with make_rig(containerd, tmp_path) as strict:
            failure = refusal(strict, name)
        assert failure.reason is Reason.IMAGE_UNREACHABLE and not failure.is_permanent
        assert registry.host in str(failure)

    def test_nobody_there(self, rig: Rig) -> None:
        failure = refusal(rig, "127.0.0.1:9/a/b:1")
        assert failure.reason is Reason.IMAGE_UNREACHABLE and not failure.is_permanent

    def test_other_bytes_than_the_digest_promises(self, rig: Rig, registry: Registry) -> None:
        image = two_layers("to be damaged")
        name = registry.push(image, "a/damaged", "1")
        path = registry.blob_file(image.layer_digests[1])
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        failure = refusal(rig, name)
        assert failure.reason is Reason.IMAGE_UNREACHABLE and not failure.is_permanent
        path.write_bytes(good)
        pull(rig, name)

    def test_a_layer_that_ends_too_early_goes_on_from_there(self, rig: Rig, registry: Registry) -> None:
        image = build_image(
            [busybox_files(), {"big": File(bytes(range(256)) * 20_000)}, {"last": File(b"1")}], {"Cmd": ["true"]}
        )
        name = registry.push(image, "a/cut", "1")
        path = registry.blob_file(image.layer_digests[2])
        good = path.read_bytes()
        path.write_bytes(good[: len(good) // 2])
        assert refusal(rig, name).reason is Reason.IMAGE_UNREACHABLE
        path.write_bytes(good)
        pull(rig, name)


class TestPassword:
    def test_with_and_without(self, containerd: Containerd, tmp_path: Path) -> None:
        with private_registry(needs_password=True) as registry:
            name = registry.push(two_layers("secret"), "a/secret", "1")
            with make_rig(containerd, tmp_path, RegistrySettings((registry.host,))) as stranger:
                failure = refusal(stranger, name)
                assert failure.reason is Reason.IMAGE_REFUSED and failure.is_permanent
            auth = registry.auth_file(tmp_path / "auth.json")
            with make_rig(containerd, tmp_path, RegistrySettings((registry.host,), auth)) as friend:
                auth.chmod(0o644)
                assert "chmod 600" in str(refusal(friend, name))
                auth.chmod(0o600)
                pull(friend, name)


class TestImport:
    def test_an_oci_layout(self, rig: Rig, tmp_path: Path) -> None:
        path = tmp_path / "image.tar"
        build_oci_archive(path, busybox_files(), {"Cmd": ["echo", "imported"]}, "imported:1")
        assert rig.runtime.import_archive(path) == ["docker.io/library/imported:1"]
        plan = rig.run(image="imported:1", pull_policy=PullPolicy.NEVER)
        rig.ended(plan)
        assert rig.logs.read(plan.key.instance_id).data == b"imported\n"
        rig.runtime.remove(plan.key)
        assert rig.runtime.import_archive(path) == ["docker.io/library/imported:1"]

    def test_a_name_may_be_given(self, rig: Rig, tmp_path: Path) -> None:
        path = tmp_path / "image.tar"
        build_oci_archive(path, busybox_files(), {"Cmd": ["true"]})
        with pytest.raises(InvalidInput, match="give a name"):
            rig.runtime.import_archive(path)
        assert rig.runtime.import_archive(path, "local/named:3") == ["docker.io/local/named:3"]
        assert "docker.io/local/named:3" in [name for name, _ in rig.runtime.image_list()]

    def test_what_docker_save_wrote_before_it_knew_oci(self, rig: Rig, tmp_path: Path) -> None:
        path = tmp_path / "saved.tar"
        write_docker_save(path, "legacy:1")
        assert rig.runtime.import_archive(path) == ["docker.io/library/legacy:1"]
        plan = rig.run(image="legacy:1", pull_policy=PullPolicy.NEVER)
        assert rig.ended(plan).exit_code == 0
        rig.runtime.remove(plan.key)

    def test_a_new_one_under_an_old_name_is_used(self, rig: Rig, tmp_path: Path) -> None:
        listening = threading.Event()
        rig.runtime.watch(lambda _: listening.set())
        assert listening.wait(10)
        path = tmp_path / "image.tar"
        for text in ("old", "new"):
            build_oci_archive(path, busybox_files(), {"Cmd": ["echo", text]}, "renewed:1")
            with make_rig(rig.containerd, tmp_path) as other:
                other.runtime.import_archive(path)
            wanted = f"{text}\n"
            eventually(lambda wanted=wanted: rig.output(rig.run(image="renewed:1")) == wanted)  # type: ignore[misc]

    @pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9])
    def test_a_truncated_one_says_so_and_leaves_nothing(self, rig: Rig, tmp_path: Path, share: float) -> None:
        path = tmp_path / "image.tar"
        build_oci_archive(path, busybox_files({"own": File(str(share).encode() * 900)}), {"Cmd": ["true"]}, "cut:1")
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        before = rig.runtime.image_list()
        with pytest.raises(InvalidInput, match=r"^\S+image\.tar cannot be imported: .*\.$"):
            rig.runtime.import_archive(path)
        assert rig.runtime.image_list() == before

    @pytest.mark.parametrize(
        ("members", "words"),
        [
            ({}, "neither"),
            ({"index.json": b"{"}, "no JSON"),
            ({"index.json": b"[]"}, "no JSON object"),
            ({"index.json": b'{"manifests": []}'}, "lists no image"),
            ({"index.json": b'{"manifests": [{"digest": "sha256:../../etc/passwd"}]}'}, "without a sha256 digest"),
            ({"manifest.json": b"{}"}, "docker save"),
            ({"manifest.json": b'[{"Config": "../../etc/passwd", "Layers": []}]'}, "lacks"),
        ],
    )
    def test_hostile_ones(self, rig: Rig, tmp_path: Path, members: dict[str, bytes], words: str) -> None:
        path = tmp_path / "hostile.tar"
        write_tar(path, members)
        with pytest.raises(InvalidInput, match=words):
            rig.runtime.import_archive(path)

    def test_no_file_and_no_archive(self, rig: Rig, tmp_path: Path) -> None:
        (tmp_path / "text.tar").write_text("hello")
        for name in ("none.tar", "text.tar"):
            with pytest.raises(InvalidInput, match=name):
                rig.runtime.import_archive(tmp_path / name)

    def test_a_blob_that_is_not_what_its_name_says(self, rig: Rig, tmp_path: Path) -> None:
        image = two_layers("honest")
        forged = dict(image.blobs)
        forged[image.layer_digests[1]] = b"x" * len(forged[image.layer_digests[1]])
        write_oci_archive(tmp_path / "forged.tar", BuiltImage(image.manifest, forged), "forged:1")
        with pytest.raises((InvalidInput, TaskFailure)):
            rig.runtime.import_archive(tmp_path / "forged.tar")
        assert "docker.io/library/forged:1" not in [name for name, _ in rig.runtime.image_list()]


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def write_docker_save(path: Path, tag: str) -> None:
    image = build_image([busybox_files()], {"Cmd": ["true"]})
    config = next(data for digest, data in image.blobs.items() if digest not in image.layer_digests)
    layer = gzip.decompress(image.blobs[image.layer_digests[0]])
    manifest = [{"Config": "abc.json", "RepoTags": [tag], "Layers": ["def/layer.tar"]}]
    write_tar(path, {"abc.json": config, "def/layer.tar": layer, "manifest.json": json.dumps(manifest).encode()})
