"""Blobs on their way into containerd: streamed, checked, and resumed where an earlier try broke off."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol

from edge_common.model.errors import Conflict, HedgerowError, NotFound
from edge_common.model.lifecycle import Reason
from node_engine.adapters.runtimes.containerd import client as c
from node_engine.adapters.runtimes.containerd.proto import containerd_pb2 as pb
from node_engine.core.image_manifest import Blob
from node_engine.ports import TaskFailure

WRITE_TIMEOUT_S = 6 * 3600.0
LEASE_LIFE = timedelta(hours=24)
_READ_CHUNK = 1024 * 1024


class ByteStream(Protocol):
    """A blob's bytes from `offset` on. close() gives the connection or file back."""

    @property
    def offset(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class BlobSource(Protocol):
    """Where an image comes from: a registry or an archive. Raises TaskFailure or InvalidInput."""

    def open_blob(self, blob: Blob, offset: int) -> ByteStream:
        """The stream may begin at 0 instead, when the source cannot seek."""


class Content:
    def __init__(self, client: c.Client) -> None:
        self._client = client

    @contextmanager
    def lease(self, lease_id: str, *, keep_on_failure: bool) -> Iterator[str]:
        """What is written under a lease is not collected as garbage; it ends by itself after LEASE_LIFE.

        Keeping it after a failure lets the next try go on where this one ended.
        """
        expiry = (datetime.now(UTC) + LEASE_LIFE).strftime("%Y-%m-%dT%H:%M:%SZ")
        with suppress(Conflict):
            self._client.call(
                c.CREATE_LEASE, pb.CreateLeaseRequest(id=lease_id, labels={"containerd.io/gc.expire": expiry})
            )
        try:
            yield lease_id
        except BaseException:
            if not keep_on_failure:
                self._end_lease(lease_id, sync=True)
            raise
        self._end_lease(lease_id, sync=False)

    def has(self, digest: str) -> bool:
        try:
            self._client.call(c.CONTENT_INFO, pb.ContentDigest(digest=digest))
        except NotFound:
            return False
        return True

    def read(self, digest: str, max_bytes: int) -> bytes:
        """Raises NotFound when it is not there (or too large to be what it should be)."""
        data = bytearray()
        request = pb.ReadContentRequest(digest=digest, size=max_bytes)
        for chunk in self._client.stream(c.READ_CONTENT, request):
            data += chunk.data
        return bytes(data)

    def write_bytes(self, blob: Blob, data: bytes, lease: str, labels: Mapping[str, str]) -> None:
        requests = [_request(blob, pb.COMMIT, 0, data, labels)]
        try:
            for _ in self._client.converse(c.WRITE_CONTENT, requests, lease=lease, timeout_s=c.SLOW_CALL_TIMEOUT_S):
                pass
        except Conflict:
            self._relabel(blob.digest, labels)

    def write_from(self, source: BlobSource, blob: Blob, lease: str, on_bytes: "CountBytes") -> None:
        """Raises what the source raises, and TaskFailure when what came is not what the digest promised."""
        offset = self._written(blob)
        with closing(source.open_blob(blob, offset)) as stream:
            if stream.offset != offset:
                self.abort(blob)
            on_bytes(stream.offset)
            outgoing = _Outgoing(blob, stream, on_bytes)
            try:
                for _ in self._client.converse(c.WRITE_CONTENT, outgoing, lease=lease, timeout_s=WRITE_TIMEOUT_S):
                    pass
            except Conflict:
                return
            except c.Refused as error:
                self.abort(blob)
                raise TaskFailure(
                    f"Layer {blob.digest} came with other bytes than its digest says; it will be fetched again.",
                    Reason.IMAGE_UNREACHABLE,
                ) from (outgoing.failure or error)
            if outgoing.failure is not None:
                raise outgoing.failure

    def abort(self, blob: Blob) -> None:
        with suppress(NotFound):
            self._client.call(c.ABORT_INGEST, pb.IngestRef(ref=_ref(blob)))

    def _written(self, blob: Blob) -> int:
        try:
            status = self._client.call(c.INGEST_STATUS, pb.IngestRef(ref=_ref(blob))).status
        except NotFound:
            return 0
        if status.offset <= blob.size_bytes:
            return status.offset
        self.abort(blob)
        return 0

    def _relabel(self, digest: str, labels: Mapping[str, str]) -> None:
        request = pb.UpdateContentRequest(info=pb.ContentInfo(digest=digest, labels=labels))
        request.update_mask.paths.extend(f"labels.{key}" for key in labels)
        self._client.call(c.UPDATE_CONTENT, request)

    def _end_lease(self, lease_id: str, *, sync: bool) -> None:
        with suppress(NotFound):
            self._client.call(c.DELETE_LEASE, pb.DeleteLeaseRequest(id=lease_id, sync=sync))


class CountBytes(Protocol):
    def __call__(self, count: int) -> None: ...


class _Outgoing:
    """The requests of one Write. gRPC takes them from a thread of its own, so a failure is kept for the caller."""

    def __init__(self, blob: Blob, stream: ByteStream, on_bytes: CountBytes) -> None:
        self._blob = blob
        self._stream = stream
        self._on_bytes = on_bytes
        self.failure: HedgerowError | None = None

    def __iter__(self) -> Iterator[pb.WriteContentRequest]:
        position = self._stream.offset
        try:
            for chunk in self._stream:
                yield _request(self._blob, pb.WRITE, position, chunk, {})
                position += len(chunk)
                self._on_bytes(len(chunk))
        except HedgerowError as error:
            self.failure = error
            return
        yield _request(self._blob, pb.COMMIT, position, b"", {})


def new_token() -> str:
    return secrets.token_hex(6)


def _ref(blob: Blob) -> str:
    return f"hedgerow-{blob.digest}"


def _request(
    blob: Blob, action: pb.WriteAction, offset: int, data: bytes, labels: Mapping[str, str]
) -> pb.WriteContentRequest:
    return pb.WriteContentRequest(
        action=action,
        ref=_ref(blob),
        total=blob.size_bytes,
        expected=blob.digest,
        offset=offset,
        data=data,
        labels=labels,
    )
