"""The users that an image knows, read from its unpacked layers."""

from contextlib import suppress

from edge_common.model.errors import NotFound
from node_engine.adapters.runtimes.containerd import client as c
from node_engine.adapters.runtimes.containerd.content import new_token
from node_engine.adapters.runtimes.containerd.layer_files import lower_directories, read_from_layers
from node_engine.adapters.runtimes.containerd.proto import containerd_pb2 as pb
from node_engine.adapters.runtimes.containerd.unpack import SNAPSHOTTER, remove_snapshot
from node_engine.core.accounts import needs_files, resolve
from node_engine.core.container_spec import Identity

_MAX_REMEMBERED = 256


class ImageAccounts:
    def __init__(self, client: c.Client) -> None:
        self._client = client
        self._known: dict[tuple[str, str], Identity] = {}

    def resolve(self, user: str, chain_id: str) -> Identity:
        """Raises InvalidInput for a user that the image does not know."""
        if not needs_files(user):
            return resolve(user)
        found = self._known.get((user, chain_id))
        if found is None:
            layers = self._layers(chain_id)
            found = resolve(user, read_from_layers(layers, "etc", "passwd"), read_from_layers(layers, "etc", "group"))
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[user, chain_id] = found
        return found

    def _layers(self, chain_id: str) -> tuple[str, ...]:
        key = f"hedgerow-view-{new_token()}"
        request = pb.PrepareSnapshotRequest(snapshotter=SNAPSHOTTER, key=key, parent=chain_id)
        mounts = self._client.call(c.VIEW_SNAPSHOT, request).mounts
        with suppress(NotFound):
            remove_snapshot(self._client, key)
        return lower_directories([(mount.type, mount.source, mount.options) for mount in mounts])
