import hashlib
import json
import tarfile
from pathlib import Path

from hedgerow.machine.oci_archive import ArchiveFile, build_oci_archive

FILES = (
    ArchiveFile("bin/tool", b"#!", mode=0o755),
    ArchiveFile("bin/sh", link_to="tool"),
    ArchiveFile("etc/a/b", b"x"),
)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    digest = build_oci_archive(first, FILES, {"Cmd": ["/bin/tool"]}, "example.org/tool:1", "amd64")
    assert build_oci_archive(second, reversed(FILES), {"Cmd": ["/bin/tool"]}, "example.org/tool:1", "amd64") == digest
    assert first.read_bytes() == second.read_bytes()


def test_every_blob_is_what_its_descriptor_says(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    digest = build_oci_archive(path, FILES, {"Cmd": ["/bin/tool"]}, "example.org/tool:1", "arm64")
    with tarfile.open(path) as archive:
        blobs = {name: archive.extractfile(name) for name in archive.getnames() if archive.getmember(name).isfile()}
        content = {name: file.read() for name, file in blobs.items() if file is not None}
    index = json.loads(content["index.json"])
    assert index["manifests"][0]["digest"] == digest
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == "example.org/tool:1"
    manifest = json.loads(content[f"blobs/sha256/{digest.removeprefix('sha256:')}"])
    for descriptor in (manifest["config"], *manifest["layers"]):
        blob = content[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"]
        assert len(blob) == descriptor["size"]
        assert f"sha256:{hashlib.sha256(blob).hexdigest()}" == descriptor["digest"]
    image = json.loads(content[f"blobs/sha256/{manifest['config']['digest'].removeprefix('sha256:')}"])
    assert (image["architecture"], image["config"]) == ("arm64", {"Cmd": ["/bin/tool"]})


def test_parents_come_before_their_files(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    build_oci_archive(path, FILES, {}, "example.org/tool:1")
    with tarfile.open(path) as archive:
        layer = max((member for member in archive if member.isfile()), key=lambda member: member.size)
        file = archive.extractfile(layer)
        assert file is not None
        with tarfile.open(fileobj=file) as inner:
            assert inner.getnames() == ["bin", "bin/sh", "bin/tool", "etc", "etc/a", "etc/a/b"]
            assert inner.getmember("bin/tool").mode == 0o755
            assert inner.getmember("bin/sh").linkname == "tool"
