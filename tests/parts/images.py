"""Small images, made without any tool: a busybox with its applets, or whatever files one wants."""

import gzip
import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class File:
    data: bytes = b""
    mode: int = 0o644
    link: str = ""


@dataclass(frozen=True)
class BuiltImage:
    """`blobs` are the config and the layers by digest."""

    manifest: bytes
    blobs: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)

    @property
    def layer_digests(self) -> list[str]:
        return [layer["digest"] for layer in json.loads(self.manifest)["layers"]]


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def architecture() -> str:
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def build_image(
    layers: Sequence[Mapping[str, File]], config: Mapping[str, Any] | None = None, for_architecture: str = ""
) -> BuiltImage:
    """`config` is the image's own: Cmd, Entrypoint, Env, User, WorkingDir. A path ending in "/" is a directory."""
    plain = [_tar(files) for files in layers]
    packed = [gzip.compress(data, compresslevel=1, mtime=0) for data in plain]
    document = {
        "architecture": for_architecture or architecture(),
        "os": "linux",
        "config": dict(config or {}),
        "rootfs": {"type": "layers", "diff_ids": [digest_of(data) for data in plain]},
    }
    config_bytes = json.dumps(document, sort_keys=True).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _descriptor(_CONFIG, config_bytes),
        "layers": [_descriptor(_LAYER, data) for data in packed],
    }
    blobs = {digest_of(data): data for data in (config_bytes, *packed)}
    return BuiltImage(json.dumps(manifest, sort_keys=True).encode(), blobs)


def build_oci_archive(
    path: Path, files: Mapping[str, File], config: Mapping[str, Any] | None = None, name: str = ""
) -> BuiltImage:
    """An OCI layout in a tar, of one layer, called `name`."""
    image = build_image([files], config)
    write_oci_archive(path, image, name)
    return image


def write_oci_archive(path: Path, image: BuiltImage, name: str = "") -> None:
    annotations = {"annotations": {"io.containerd.image.name": name}} if name else {}
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{**_descriptor(_MANIFEST, image.manifest), **annotations}],
    }
    members = {
        "oci-layout": File(b'{"imageLayoutVersion": "1.0.0"}'),
        "index.json": File(json.dumps(index).encode()),
        f"blobs/sha256/{image.digest[7:]}": File(image.manifest),
        **{f"blobs/sha256/{digest[7:]}": File(data) for digest, data in image.blobs.items()},
    }
    path.write_bytes(_tar(members))


def busybox_files(extra: Mapping[str, File] | None = None) -> dict[str, File]:
    """A root with a static busybox under its usual names."""
    binary, applets = _busybox()
    return {
        "bin/busybox": File(binary, 0o755),
        **{f"bin/{applet}": File(link="busybox") for applet in applets if applet != "busybox"},
        "tmp/": File(mode=0o1777),
        "etc/passwd": File(b"root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"),
        "etc/group": File(b"root:x:0:\nalice:x:1000:\nstaff:x:50:alice\n"),
        **(extra or {}),
    }


@lru_cache(maxsize=1)
def _busybox() -> tuple[bytes, tuple[str, ...]]:
    binary = shutil.which("busybox")
    if binary is None:
        raise FileNotFoundError("busybox is not installed: apt-get install busybox-static")
    listed = subprocess.run([binary, "--list"], check=True, capture_output=True, text=True, timeout=10)
    return Path(binary).read_bytes(), tuple(listed.stdout.split())


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def _tar(files: Mapping[str, File]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for directory in _parents(files):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, file in files.items():
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.mode = file.mode
            if name.endswith("/"):
                entry.type = tarfile.DIRTYPE
            elif file.link:
                entry.type, entry.linkname = tarfile.SYMTYPE, file.link
            else:
                entry.size = len(file.data)
            tar.addfile(entry, io.BytesIO(file.data))
    return buffer.getvalue()


def _parents(files: Mapping[str, File]) -> list[str]:
    found = {str(parent) for name in files for parent in Path(name.rstrip("/")).parents if str(parent) != "."}
    return sorted(found - {name.rstrip("/") for name in files})
