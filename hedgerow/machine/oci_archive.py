"""Makes an OCI image archive out of files in memory. The same input gives the same bytes."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_EPOCH = "1970-01-01T00:00:00Z"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "riscv64": "riscv64"}


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """`path` is that in the image. With a `link_to` it is a symbolic link and has no content."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    link_to: str = ""


def build_oci_archive(
    path: Path, files: Iterable[ArchiveFile], config: Mapping[str, Any], name: str, architecture: str = ""
) -> str:
    """Writes the archive of an image of one layer; returns the digest of its manifest.

    `config` is the image's own: Cmd, Entrypoint, Env, User, WorkingDir, ExposedPorts. `name` is the full one, with
    its tag. `architecture` is Go's name; this machine's when empty.
    """
    layer = _layer(files)
    layer_digest = _digest(layer)
    image = _json(
        {
            "architecture": architecture or local_architecture(),
            "os": "linux",
            "created": _EPOCH,
            "config": dict(config),
            "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
            "history": [{"created": _EPOCH, "created_by": "hedgerow"}],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, image),
            "layers": [_descriptor(_LAYER, layer)],
        }
    )
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
    index = _json({"schemaVersion": 2, "manifests": [{**_descriptor(_MANIFEST, manifest), "annotations": names}]})
    entries = [ArchiveFile("oci-layout", _json({"imageLayoutVersion": "1.0.0"})), ArchiveFile("index.json", index)]
    entries += [ArchiveFile(f"blobs/sha256/{_hex(blob)}", blob) for blob in (manifest, image, layer)]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(_tar(entries))
    temporary.replace(path)
    return _digest(manifest)


def local_architecture() -> str:
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def _layer(files: Iterable[ArchiveFile]) -> bytes:
    return _tar(sorted(files, key=lambda file: file.path))


def _tar(entries: Iterable[ArchiveFile]) -> bytes:
    buffer = io.BytesIO()
    made: set[PurePosixPath] = {PurePosixPath()}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            path = PurePosixPath(entry.path.lstrip("/"))
            for parent in reversed(path.parents):
                if parent not in made:
                    made.add(parent)
                    archive.addfile(_directory(parent))
            archive.addfile(*_member(path, entry))
    return buffer.getvalue()


def _directory(path: PurePosixPath) -> tarfile.TarInfo:
    info = tarfile.TarInfo(str(path))
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info


def _member(path: PurePosixPath, entry: ArchiveFile) -> tuple[tarfile.TarInfo, io.BytesIO | None]:
    info = tarfile.TarInfo(str(path))
    if entry.link_to:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link_to, 0o777
        return info, None
    info.size, info.mode = len(entry.content), entry.mode
    return info, io.BytesIO(entry.content)


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{_hex(blob)}"


def _hex(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
