"""From packed layers to snapshots: each layer is fetched and unpacked on top of those below it."""

from collections.abc import Callable
from contextlib import suppress

from edge_common.model.errors import Conflict, InvalidInput, NotFound
from edge_common.model.lifecycle import Reason
from node_engine.adapters.runtimes.containerd import client as c
from node_engine.adapters.runtimes.containerd.content import BlobSource, Content, new_token
from node_engine.adapters.runtimes.containerd.locks import NamedLocks
from node_engine.adapters.runtimes.containerd.proto import containerd_pb2 as pb
from node_engine.core.image_manifest import Blob, ImageConfig, Manifest, progress_text, throttled
from node_engine.ports import TaskFailure

SNAPSHOTTER = "overlayfs"


class Progress:
    """Counts layers and bytes, and says so at every layer and about every megabyte."""

    def __init__(self, manifest: Manifest, report: Callable[[str], None]) -> None:
        self._layers = len(manifest.layers)
        self._total = manifest.size_bytes
        self._report = report
        self._say = throttled(report)
        self._done_layers = 0
        self._finished_bytes = 0
        self._current_bytes = 0

    def add_bytes(self, count: int) -> None:
        self._current_bytes += count
        self._say(self._text(), self._finished_bytes + self._current_bytes)

    def finish_layer(self, layer: Blob) -> None:
        self._done_layers += 1
        self._finished_bytes += layer.size_bytes
        self._current_bytes = 0
        self._report(self._text())

    def _text(self) -> str:
        done = min(self._finished_bytes + self._current_bytes, self._total)
        return progress_text(self._done_layers, self._layers, done, self._total)


class Unpacker:
    def __init__(self, client: c.Client, content: Content) -> None:
        self._client = client
        self._content = content
        self._locks = NamedLocks()

    def unpack(
        self, source: BlobSource, manifest: Manifest, config: ImageConfig, lease: str, progress: Progress
    ) -> None:
        """Fetch and unpack what is not unpacked yet; layers that another image brought are not fetched again."""
        chain = config.chain_ids
        missing_from = self._first_missing(chain)
        for index, layer in enumerate(manifest.layers):
            if index >= missing_from:
                with self._locks.holding(layer.digest):
                    if not has_snapshot(self._client, chain[index]):
                        self._content.write_from(source, layer, lease, progress.add_bytes)
                        parent = chain[index - 1] if index else ""
                        self._apply(layer, config.diff_ids[index], parent, chain[index], lease)
            progress.finish_layer(layer)

    def _first_missing(self, chain: tuple[str, ...]) -> int:
        for index in range(len(chain), 0, -1):
            if has_snapshot(self._client, chain[index - 1]):
                return index
        return 0

    def _apply(self, layer: Blob, diff_id: str, parent: str, chain_id: str, lease: str) -> None:
        key = f"hedgerow-unpack-{new_token()}"
        prepare = pb.PrepareSnapshotRequest(snapshotter=SNAPSHOTTER, key=key, parent=parent)
        mounts = self._client.call(c.PREPARE_SNAPSHOT, prepare, lease=lease).mounts
        try:
            descriptor = pb.Descriptor(media_type=layer.media_type, digest=layer.digest, size=layer.size_bytes)
            try:
                applied = self._client.call(c.APPLY_DIFF, pb.ApplyRequest(diff=descriptor, mounts=mounts), lease=lease)
            except c.Refused as error:
                if "no space left" in str(error):
                    raise TaskFailure(
                        "This node's disk is full; make room for the image.", Reason.NO_CAPACITY
                    ) from error
                raise InvalidInput(f"layer {layer.digest} cannot be unpacked: {error}") from error
            if applied.applied.digest != diff_id:
                raise InvalidInput(f"layer {layer.digest} unpacks to something else than its config says")
            self._client.call(
                c.COMMIT_SNAPSHOT,
                pb.CommitSnapshotRequest(snapshotter=SNAPSHOTTER, name=chain_id, key=key),
                lease=lease,
            )
        except Conflict:
            remove_snapshot(self._client, key)
        except BaseException:
            remove_snapshot(self._client, key)
            raise


def has_snapshot(client: c.Client, key: str) -> bool:
    try:
        client.call(c.STAT_SNAPSHOT, pb.SnapshotKey(snapshotter=SNAPSHOTTER, key=key))
    except NotFound:
        return False
    return True


def remove_snapshot(client: c.Client, key: str) -> None:
    with suppress(NotFound):
        client.call(c.REMOVE_SNAPSHOT, pb.SnapshotKey(snapshotter=SNAPSHOTTER, key=key))
