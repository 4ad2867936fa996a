"""Images in containerd: which are here, how they run, and how one gets in from a registry or an archive."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from edge_common.model.errors import Conflict, InvalidInput, NotFound
from edge_common.model.lifecycle import Reason
from edge_common.model.service import PullPolicy
from node_engine.adapters.runtimes.containerd import client as c
from node_engine.adapters.runtimes.containerd.content import BlobSource, Content
from node_engine.adapters.runtimes.containerd.locks import NamedLocks
from node_engine.adapters.runtimes.containerd.proto import containerd_pb2 as pb
from node_engine.adapters.runtimes.containerd.registry_auth import RegistryLogin
from node_engine.adapters.runtimes.containerd.unpack import SNAPSHOTTER, Progress, Unpacker, has_snapshot
from node_engine.core.image_manifest import (
    MAX_CONFIG_BYTES,
    MAX_MANIFEST_BYTES,
    Blob,
    ImageConfig,
    Manifest,
    choose_manifest,
    digest_of,
    is_index,
    parse_config,
    parse_json,
    parse_manifest,
)
from node_engine.core.image_reference import ImageReference, parse
from node_engine.ports import TaskFailure

logger = logging.getLogger(__name__)

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LocalImage:
    name: str
    digest: str
    config: ImageConfig


class ImageSource(BlobSource, Protocol):
    """One image for this node's architecture, still elsewhere."""

    @property
    def manifest(self) -> bytes: ...

    @property
    def media_type(self) -> str: ...


class Registries(Protocol):
    def open(self, reference: ImageReference, architecture: str, login: RegistryLogin | None = None) -> ImageSource: ...


class Images:
    """Lookups are remembered; `forget` when containerd says that images changed."""

    def __init__(self, client: c.Client, registries: Registries, architecture: str) -> None:
        self._client = client
        self._registries = registries
        self._architecture = architecture
        self._content = Content(client)
        self._unpacker = Unpacker(client, self._content)
        self._locks = NamedLocks()
        self._guard = threading.Lock()
        self._known: dict[str, LocalImage] = {}

    def ensure(
        self, text: str, policy: PullPolicy, on_progress: Report, login: RegistryLogin | None = None
    ) -> LocalImage:
        """The image, unpacked and ready; pulls it when the policy says so. Raises TaskFailure or Unreachable."""
        known = self._known.get(text)
        if known is not None and policy is not PullPolicy.ALWAYS:
            return known
        try:
            reference = parse(text)
        except InvalidInput as error:
            raise TaskFailure(str(error), Reason.IMAGE_NOT_FOUND, is_permanent=True) from error
        with self._locks.holding(str(reference)):
            image = self._ensure(reference, policy, on_progress, login)
        with self._guard:
            self._known[text] = image
        return image

    def forget(self) -> None:
        with self._guard:
            self._known.clear()

    def list(self) -> list[tuple[str, str]]:
        """Name and digest of each."""
        answer = self._client.call(c.LIST_IMAGES, pb.ListImagesRequest())
        return sorted((image.name, image.target.digest) for image in answer.images)

    def remove(self, name: str) -> None:
        """Containers made from it go on; what only it needed is freed."""
        with suppress(NotFound):
            self._client.call(c.DELETE_IMAGE, pb.DeleteImageRequest(name=name, sync=True))
        self.forget()

    def install(
        self, source: ImageSource, names: Sequence[str], on_progress: Report, *, keep_on_failure: bool
    ) -> ImageConfig:
        """Bring an image in under `names`; raises InvalidInput when it is no image that could run here."""
        digest = digest_of(source.manifest)
        manifest = parse_manifest(source.manifest)
        config_bytes = _read_small(source, manifest.config)
        config = parse_config(config_bytes, len(manifest.layers))
        if config.architecture not in {"", self._architecture}:
            raise InvalidInput(f"it is for {config.architecture}, and this node is {self._architecture}")
        with self._content.lease(f"hedgerow-{digest}", keep_on_failure=keep_on_failure) as lease:
            self._unpacker.unpack(source, manifest, config, lease, Progress(manifest, on_progress))
            self._write_documents(source, manifest, config_bytes, config, lease)
            for name in names:
                self._put(name, pb.Descriptor(media_type=source.media_type, digest=digest, size=len(source.manifest)))
        self.forget()
        return config

    def find(self, name: str) -> LocalImage | None:
        """None also when a part of it is gone, so that it is fetched again."""
        try:
            target = self._client.call(c.GET_IMAGE, pb.ImageName(name=name)).image.target
            digest, manifest = self._read_manifest(target.digest)
            config = parse_config(self._content.read(manifest.config.digest, MAX_CONFIG_BYTES), len(manifest.layers))
        except (NotFound, InvalidInput):
            return None
        if not has_snapshot(self._client, config.chain_id):
            return None
        return LocalImage(name, digest, config)

    def _ensure(
        self, reference: ImageReference, policy: PullPolicy, on_progress: Report, login: RegistryLogin | None
    ) -> LocalImage:
        local = self.find(str(reference))
        if local is not None and (policy is not PullPolicy.ALWAYS or reference.digest):
            return local
        if policy is PullPolicy.NEVER:
            raise TaskFailure(
                f"The image {reference} is not on this node, and its pull policy is never; import it, or allow a pull.",
                Reason.IMAGE_NOT_FOUND,
                is_permanent=True,
            )
        on_progress(f"resolving {reference}")
        try:
            source = self._registries.open(reference, self._architecture, login)
            if local is not None and local.digest == digest_of(source.manifest):
                return local
            logger.info("pulling image=%s", reference)
            self.install(source, (str(reference),), on_progress, keep_on_failure=True)
        except InvalidInput as error:
            raise TaskFailure(
                f"The image {reference} cannot be used: {error}.", Reason.IMAGE_REFUSED, is_permanent=True
            ) from error
        found = self.find(str(reference))
        if found is None:
            raise TaskFailure(f"The image {reference} was removed while it was pulled.", Reason.IMAGE_UNREACHABLE)
        return found

    def _read_manifest(self, digest: str) -> tuple[str, Manifest]:
        data = self._content.read(digest, MAX_MANIFEST_BYTES)
        document = parse_json(data, "its manifest")
        if is_index(document):
            chosen = choose_manifest(document, self._architecture)
            return chosen.digest, parse_manifest(self._content.read(chosen.digest, MAX_MANIFEST_BYTES))
        return digest, parse_manifest(data)

    def _write_documents(
        self, source: ImageSource, manifest: Manifest, config_bytes: bytes, config: ImageConfig, lease: str
    ) -> None:
        """The labels keep alive: image -> manifest -> config -> unpacked layers. The packed layers may go."""
        self._content.write_bytes(
            manifest.config,
            config_bytes,
            lease,
            {f"containerd.io/gc.ref.snapshot.{SNAPSHOTTER}": config.chain_id},
        )
        blob = Blob(source.media_type, digest_of(source.manifest), len(source.manifest))
        labels = {"containerd.io/gc.ref.content.config": manifest.config.digest}
        self._content.write_bytes(blob, source.manifest, lease, labels)

    def _put(self, name: str, target: pb.Descriptor) -> None:
        holder = pb.ImageHolder(image=pb.Image(name=name, target=target))
        try:
            self._client.call(c.CREATE_IMAGE, holder)
        except Conflict:
            self._client.call(c.UPDATE_IMAGE, holder)


def _read_small(source: BlobSource, blob: Blob) -> bytes:
    stream = source.open_blob(blob, 0)
    try:
        data = b"".join(stream)
    finally:
        stream.close()
    if digest_of(data) != blob.digest:
        raise TaskFailure(
            f"{blob.digest} came with other bytes than its digest says; it will be fetched again.",
            Reason.IMAGE_UNREACHABLE,
        )
    return data
