"""The documents that describe an image: index, manifest and config. From JSON to dataclasses, nothing trusted."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_common.model.errors import InvalidInput
from node_engine.core.image_reference import is_digest

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
MAX_CONFIG_BYTES = 8 * 1024 * 1024
MAX_LAYERS = 128
MAX_IMAGE_BYTES = 64 * 1024**3

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LAYER_TYPES = (
    "application/vnd.oci.image.layer.",
    "application/vnd.oci.image.layer.nondistributable.",
    "application/vnd.docker.image.rootfs.",
)
_VARIANTS = {"arm64": ("", "v8"), "arm": ("v7", "", "v6"), "amd64": ("", "v1")}
"""Which variants of an architecture run, best first."""


@dataclass(frozen=True, slots=True)
class Blob:
    media_type: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    config: Blob
    layers: tuple[Blob, ...]

    @property
    def size_bytes(self) -> int:
        return sum(layer.size_bytes for layer in self.layers)


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says about running it. `chain_id` names all its layers, unpacked."""

    diff_ids: tuple[str, ...]
    architecture: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    working_directory: str = ""
    user: str = ""

    @property
    def chain_ids(self) -> tuple[str, ...]:
        return chain_ids(self.diff_ids)

    @property
    def chain_id(self) -> str:
        return self.chain_ids[-1]


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def chain_ids(diff_ids: Sequence[str]) -> tuple[str, ...]:
    """The name of each layer together with all below it, as the image specification defines it."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)


def is_index(document: Mapping[str, Any]) -> bool:
    return document.get("mediaType") in INDEX_TYPES or ("manifests" in document and "layers" not in document)


def parse_json(data: bytes, what: str) -> Mapping[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} is no JSON") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"{what} is no JSON object")
    return document


def choose_manifest(index: Mapping[str, Any], architecture: str) -> Blob:
    """The manifest of a multi-platform image for this Linux node; raises InvalidInput when it has none."""
    entries = [entry for entry in _list(index.get("manifests"), "its index") if isinstance(entry, dict)]
    for variant in _VARIANTS.get(architecture, ("",)):
        for entry in entries:
            platform = entry.get("platform") or {}
            if not isinstance(platform, dict):
                continue
            wanted = ("linux", architecture, variant)
            if (platform.get("os"), platform.get("architecture"), platform.get("variant") or "") == wanted:
                return _blob(entry, "its index", MAX_MANIFEST_BYTES)
    offered = sorted({_platform_name(entry) for entry in entries if entry.get("platform")})
    raise InvalidInput(
        f"it has nothing for linux/{architecture}, only for {', '.join(offered[:8]) or 'nothing at all'}"
    )


def parse_manifest(data: bytes) -> Manifest:
    document = parse_json(data, "its manifest")
    layers = tuple(
        _blob(entry, "its manifest", MAX_IMAGE_BYTES) for entry in _list(document.get("layers"), "its manifest")
    )
    if not 1 <= len(layers) <= MAX_LAYERS:
        raise InvalidInput(f"it has {len(layers)} layers; 1 to {MAX_LAYERS} are possible")
    for layer in layers:
        if not layer.media_type.startswith(_LAYER_TYPES):
            raise InvalidInput(f"it has a layer of type {layer.media_type[:80]!r}, which cannot be unpacked")
    manifest = Manifest(_blob(document.get("config"), "its manifest", MAX_CONFIG_BYTES), layers)
    if manifest.size_bytes > MAX_IMAGE_BYTES:
        raise InvalidInput(f"its layers hold more than {MAX_IMAGE_BYTES // 1024**3} GiB")
    return manifest


def parse_config(data: bytes, layer_count: int) -> ImageConfig:
    document = parse_json(data, "its config")
    root = document.get("rootfs")
    diff_ids = _strings(root.get("diff_ids") if isinstance(root, dict) else None)
    if len(diff_ids) != layer_count or not all(map(is_digest, diff_ids)):
        raise InvalidInput(f"its config names {len(diff_ids)} layers where its manifest has {layer_count}")
    run = document.get("config") or {}
    if not isinstance(run, dict):
        raise InvalidInput("its config has no object at config")
    return ImageConfig(
        diff_ids=diff_ids,
        architecture=str(document.get("architecture") or ""),
        entrypoint=_strings(run.get("Entrypoint")),
        command=_strings(run.get("Cmd")),
        environment=_strings(run.get("Env")),
        working_directory=str(run.get("WorkingDir") or ""),
        user=str(run.get("User") or ""),
    )


def progress_text(done_layers: int, layers: int, done_bytes: int, total_bytes: int) -> str:
    """What a person reads while an image is pulled."""
    return f"pulling {done_layers}/{layers} layers, {done_bytes / 1e6:.1f} of {total_bytes / 1e6:.1f} MB"


def throttled(report: Callable[[str], None], step_bytes: int = 1_000_000) -> Callable[[str, int], None]:
    """`report`, but only when another `step_bytes` have come since it last spoke."""
    last_bytes = -step_bytes

    def say(text: str, done_bytes: int) -> None:
        nonlocal last_bytes
        if done_bytes - last_bytes >= step_bytes:
            last_bytes = done_bytes
            report(text)

    return say


def _blob(entry: Any, where: str, max_bytes: int) -> Blob:
    if not isinstance(entry, dict):
        raise InvalidInput(f"{where} lacks a descriptor")
    media_type, digest, size = entry.get("mediaType"), entry.get("digest"), entry.get("size")
    if not isinstance(media_type, str) or not isinstance(digest, str) or not is_digest(digest):
        raise InvalidInput(f"{where} has a descriptor without a type or a sha256 digest")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= max_bytes:
        raise InvalidInput(f"{where} has a descriptor with an impossible size")
    return Blob(media_type, digest, size)


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > 1000:
        raise InvalidInput(f"{where} lacks a list that it must have")
    return value


def _strings(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) and "\0" not in item for item in value):
        raise InvalidInput("its config has something other than a list of strings where one must be")
    return tuple(value)


def _platform_name(entry: Mapping[str, Any]) -> str:
    platform = entry["platform"]
    if not isinstance(platform, dict):
        return "?"
    parts = (platform.get("os"), platform.get("architecture"), platform.get("variant"))
    return "/".join(str(part) for part in parts if part)
