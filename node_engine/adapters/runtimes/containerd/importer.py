"""Images from a tar archive: an OCI layout, what `docker save` writes, old or new."""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edge_common.model.errors import InvalidInput
from node_engine.core.image_manifest import (
    MANIFEST_TYPES,
    MAX_CONFIG_BYTES,
    MAX_IMAGE_BYTES,
    MAX_MANIFEST_BYTES,
    Blob,
    choose_manifest,
    digest_of,
    is_index,
    parse_json,
)
from node_engine.core.image_reference import is_digest, parse

_NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_MAX_MEMBERS = 100_000
_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """`blobs` says which member of the archive holds which digest."""

    archive: "Archive"
    names: tuple[str, ...]
    manifest: bytes
    media_type: str
    blobs: Mapping[str, str]

    def open_blob(self, blob: Blob, offset: int) -> "MemberStream":
        return self.archive.open(self.blobs.get(blob.digest, f"blobs/sha256/{blob.digest[7:]}"), offset)


class MemberStream:
    """A member of the archive from `offset` on; raises InvalidInput when the archive ends first."""

    def __init__(self, file: IO[bytes], member: tarfile.TarInfo, offset: int) -> None:
        self.offset = offset
        self._file = file
        self._member = member

    def __iter__(self) -> Iterator[bytes]:
        left = self._member.size - self.offset
        try:
            self._file.seek(self.offset)
            while left > 0:
                chunk = self._file.read(min(_CHUNK, left))
                if not chunk:
                    break
                left -= len(chunk)
                yield chunk
        except (OSError, EOFError, tarfile.TarError) as error:
            raise InvalidInput(f"the archive is damaged at {self._member.name[:80]!r}") from error
        if left:
            raise InvalidInput(f"the archive ends in the middle of {self._member.name[:80]!r}")

    def close(self) -> None:
        self._file.close()


class Archive:
    """An open archive. Only plain files in it are looked at, and nothing is written to disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._tar = tarfile.open(path, "r:*")  # noqa: SIM115
            self._members = self._index()
        except (OSError, EOFError, tarfile.TarError) as error:
            raise InvalidInput("it is no complete tar archive") from error

    def close(self) -> None:
        self._tar.close()

    def images(self, architecture: str) -> list[ArchivedImage]:
        if "index.json" in self._members:
            return self._layout_images(architecture)
        if "manifest.json" in self._members:
            return self._legacy_images()
        raise InvalidInput("it holds neither an OCI layout (index.json) nor a saved image (manifest.json)")

    def open(self, name: str, offset: int = 0) -> MemberStream:
        member = self._member(name)
        file = self._tar.extractfile(member)
        if file is None:
            raise InvalidInput(f"it has no file {name[:80]!r}")
        return MemberStream(file, member, min(offset, member.size))

    def _index(self) -> dict[str, tarfile.TarInfo]:
        members: dict[str, tarfile.TarInfo] = {}
        for count, member in enumerate(self._tar):
            if count >= _MAX_MEMBERS:
                raise InvalidInput(f"it has more than {_MAX_MEMBERS} entries")
            if member.isreg() and 0 <= member.size <= MAX_IMAGE_BYTES:
                members[member.name.removeprefix("./")] = member
        return members

    def _member(self, name: str) -> tarfile.TarInfo:
        try:
            return self._members[name]
        except KeyError as error:
            raise InvalidInput(f"it lacks {name[:100]!r}") from error

    def _read(self, name: str, max_bytes: int) -> bytes:
        if self._member(name).size > max_bytes:
            raise InvalidInput(f"its {name[:80]!r} is larger than {max_bytes} bytes")
        stream = self.open(name)
        try:
            return b"".join(stream)
        finally:
            stream.close()

    def _read_blob(self, blob: Blob) -> bytes:
        data = self._read(f"blobs/sha256/{blob.digest[7:]}", MAX_MANIFEST_BYTES)
        if digest_of(data) != blob.digest:
            raise InvalidInput(f"its blob {blob.digest} holds something else than its name says")
        return data

    def _layout_images(self, architecture: str) -> list[ArchivedImage]:
        index = parse_json(self._read("index.json", MAX_MANIFEST_BYTES), "its index.json")
        entries = index.get("manifests")
        if not isinstance(entries, list) or not 1 <= len(entries) <= 100:
            raise InvalidInput("its index.json lists no image")
        found: dict[str, ArchivedImage] = {}
        for entry in entries:
            image = self._layout_image(entry, architecture)
            known = found.get(digest_of(image.manifest))
            names = tuple(dict.fromkeys((*(known.names if known else ()), *image.names)))
            found[digest_of(image.manifest)] = ArchivedImage(self, names, image.manifest, image.media_type, {})
        return list(found.values())

    def _layout_image(self, entry: Any, architecture: str) -> ArchivedImage:
        if not isinstance(entry, dict) or not is_digest(str(entry.get("digest"))):
            raise InvalidInput("its index.json has an entry without a sha256 digest")
        data = self._read_blob(Blob("", str(entry["digest"]), 0))
        for _ in range(2):
            document = parse_json(data, "its manifest")
            if not is_index(document):
                break
            data = self._read_blob(choose_manifest(document, architecture))
        media_type = document.get("mediaType")
        return ArchivedImage(
            self, _names(entry), data, media_type if media_type in MANIFEST_TYPES else MANIFEST_TYPES[0], {}
        )

    def _legacy_images(self) -> list[ArchivedImage]:
        try:
            entries = json.loads(self._read("manifest.json", MAX_MANIFEST_BYTES))
            return [self._legacy_image(entry) for entry in entries[:100]]
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise InvalidInput("its manifest.json is not what docker save writes") from error

    def _legacy_image(self, entry: Mapping[str, Any]) -> ArchivedImage:
        """Layers are plain tars without digests of their own, so a manifest is made for them."""
        config = self._read(str(entry["Config"]), MAX_CONFIG_BYTES)
        blobs = {digest_of(config): str(entry["Config"])}
        layers = []
        for name in entry["Layers"]:
            digest = self._digest(str(name))
            blobs[digest] = str(name)
            layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest,
                           "size": self._member(str(name)).size})  # fmt: skip
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPES[0],
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest_of(config),
                "size": len(config),
            },
            "layers": layers,
        }
        names = tuple(str(parse(tag)) for tag in entry.get("RepoTags") or ())
        return ArchivedImage(self, names, json.dumps(manifest, sort_keys=True).encode(), MANIFEST_TYPES[0], blobs)

    def _digest(self, name: str) -> str:
        total = hashlib.sha256()
        stream = self.open(name)
        try:
            for chunk in stream:
                total.update(chunk)
        finally:
            stream.close()
        return f"sha256:{total.hexdigest()}"


def _names(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Full names only: a bare tag, which the OCI layout allows too, names no repository."""
    annotations = entry.get("annotations")
    if not isinstance(annotations, dict):
        return ()
    for key in _NAME_ANNOTATIONS:
        name = annotations.get(key)
        if isinstance(name, str) and ("/" in name or ":" in name):
            return (str(parse(name)),)
    return ()
