"""Calls to one containerd: which method is which, with a deadline on each, and its errors in our words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import grpc
from google.protobuf.message import Message

from edge_common.model.errors import Conflict, HedgerowError, NotFound, Unreachable
from node_engine.adapters.runtimes.containerd.proto import containerd_pb2 as pb

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)

CALL_TIMEOUT_S = 10.0
SLOW_CALL_TIMEOUT_S = 60.0
"""For calls that start processes or touch much of the disk."""

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.default_authority", "localhost"),
    ("grpc.enable_http_proxy", 0),
)


_DEADLINE = "context deadline exceeded"
"""How containerd itself puts it, without the code for it, when it notices first."""


class Refused(HedgerowError):
    """containerd answered, and what it answered is no."""


@dataclass(frozen=True, slots=True)
class Method(Generic[Q, A]):
    path: str
    answer: type[A]
    request: type[Q]
    timeout_s: float = CALL_TIMEOUT_S


def _method(
    service: str, name: str, request: type[Q], answer: type[A], timeout_s: float = CALL_TIMEOUT_S
) -> Method[Q, A]:
    return Method(f"/containerd.services.{service}/{name}", answer, request, timeout_s)


VERSION = _method("version.v1.Version", "Version", pb.Nothing, pb.Version)
CREATE_NAMESPACE = _method("namespaces.v1.Namespaces", "Create", pb.NamespaceHolder, pb.NamespaceHolder)

CREATE_CONTAINER = _method("containers.v1.Containers", "Create", pb.ContainerHolder, pb.Nothing)
GET_CONTAINER = _method("containers.v1.Containers", "Get", pb.ContainerId, pb.ContainerHolder)
DELETE_CONTAINER = _method("containers.v1.Containers", "Delete", pb.ContainerId, pb.Nothing)
LIST_CONTAINERS = _method("containers.v1.Containers", "ListStream", pb.ListContainersRequest, pb.ListedContainer)

CREATE_TASK = _method("tasks.v1.Tasks", "Create", pb.CreateTaskRequest, pb.TaskStarted, SLOW_CALL_TIMEOUT_S)
UPDATE_TASK = _method("tasks.v1.Tasks", "Update", pb.UpdateTaskRequest, pb.Nothing)
START_TASK = _method("tasks.v1.Tasks", "Start", pb.ProcessId, pb.Nothing, SLOW_CALL_TIMEOUT_S)
GET_TASK = _method("tasks.v1.Tasks", "Get", pb.ProcessId, pb.ProcessHolder)
KILL_TASK = _method("tasks.v1.Tasks", "Kill", pb.KillRequest, pb.Nothing)
WAIT_TASK = _method("tasks.v1.Tasks", "Wait", pb.ProcessId, pb.WaitResponse)
DELETE_TASK = _method("tasks.v1.Tasks", "Delete", pb.ProcessId, pb.DeleteTaskResponse, SLOW_CALL_TIMEOUT_S)
EXEC = _method("tasks.v1.Tasks", "Exec", pb.ExecRequest, pb.Nothing)
DELETE_PROCESS = _method("tasks.v1.Tasks", "DeleteProcess", pb.ProcessId, pb.Nothing)
LIST_TASKS = _method("tasks.v1.Tasks", "List", pb.ListTasksRequest, pb.ListTasksResponse)

PREPARE_SNAPSHOT = _method("snapshots.v1.Snapshots", "Prepare", pb.PrepareSnapshotRequest, pb.Mounts)
VIEW_SNAPSHOT = _method("snapshots.v1.Snapshots", "View", pb.PrepareSnapshotRequest, pb.Mounts)
SNAPSHOT_MOUNTS = _method("snapshots.v1.Snapshots", "Mounts", pb.SnapshotKey, pb.Mounts)
STAT_SNAPSHOT = _method("snapshots.v1.Snapshots", "Stat", pb.SnapshotKey, pb.Nothing)
COMMIT_SNAPSHOT = _method("snapshots.v1.Snapshots", "Commit", pb.CommitSnapshotRequest, pb.Nothing, SLOW_CALL_TIMEOUT_S)
REMOVE_SNAPSHOT = _method("snapshots.v1.Snapshots", "Remove", pb.SnapshotKey, pb.Nothing, SLOW_CALL_TIMEOUT_S)

CONTENT_INFO = _method("content.v1.Content", "Info", pb.ContentDigest, pb.ContentInfoHolder)
UPDATE_CONTENT = _method("content.v1.Content", "Update", pb.UpdateContentRequest, pb.Nothing)
READ_CONTENT = _method("content.v1.Content", "Read", pb.ReadContentRequest, pb.ContentChunk)
INGEST_STATUS = _method("content.v1.Content", "Status", pb.IngestRef, pb.IngestStatusHolder)
ABORT_INGEST = _method("content.v1.Content", "Abort", pb.IngestRef, pb.Nothing)
WRITE_CONTENT = _method("content.v1.Content", "Write", pb.WriteContentRequest, pb.WriteContentResponse)

APPLY_DIFF = _method("diff.v1.Diff", "Apply", pb.ApplyRequest, pb.ApplyResponse, 1800.0)
GET_IMAGE = _method("images.v1.Images", "Get", pb.ImageName, pb.ImageHolder)
CREATE_IMAGE = _method("images.v1.Images", "Create", pb.ImageHolder, pb.Nothing)
UPDATE_IMAGE = _method("images.v1.Images", "Update", pb.ImageHolder, pb.Nothing)
DELETE_IMAGE = _method("images.v1.Images", "Delete", pb.DeleteImageRequest, pb.Nothing, SLOW_CALL_TIMEOUT_S)
LIST_IMAGES = _method("images.v1.Images", "List", pb.ListImagesRequest, pb.ListImagesResponse)
CREATE_LEASE = _method("leases.v1.Leases", "Create", pb.CreateLeaseRequest, pb.Nothing)
DELETE_LEASE = _method("leases.v1.Leases", "Delete", pb.DeleteLeaseRequest, pb.Nothing, SLOW_CALL_TIMEOUT_S)

PUBLISH = _method("events.v1.Events", "Publish", pb.PublishRequest, pb.Nothing)
SUBSCRIBE = _method("events.v1.Events", "Subscribe", pb.SubscribeRequest, pb.Envelope)


class Client:
    """One channel, used by every thread; it reconnects by itself.

    Every call raises NotFound, Conflict (exists already), Unreachable, or Refused for all the rest.
    """

    def __init__(self, address: str, namespace: str) -> None:
        self.namespace = namespace
        self._address = address
        self._channel = grpc.insecure_channel(f"unix://{address}", options=_OPTIONS)

    def call(self, method: Method[Q, A], request: Q, *, lease: str = "", timeout_s: float | None = None) -> A:
        try:
            answer = self._unary(method)(request, timeout=timeout_s or method.timeout_s, metadata=self._metadata(lease))
        except grpc.RpcError as error:
            raise self._translated(error, method) from error
        return cast(A, answer)

    def call_later(self, method: Method[Q, A], request: Q, timeout_s: float) -> grpc.Future:
        """The call's future; `result_of` waits for it."""
        return self._unary(method).future(request, timeout=timeout_s, metadata=self._metadata(""))

    def result_of(self, method: Method[Q, A], future: grpc.Future) -> A:
        try:
            return cast(A, future.result())
        except (grpc.RpcError, grpc.FutureCancelledError) as error:
            raise self._translated(error, method) from error

    def stream(self, method: Method[Q, A], request: Q, timeout_s: float | None = CALL_TIMEOUT_S) -> "Stream[A]":
        multi = self._channel.unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.answer.FromString,
        )
        return Stream(self, method, multi(request, timeout=timeout_s, metadata=self._metadata("")))

    def converse(self, method: Method[Q, A], requests: Iterable[Q], *, lease: str, timeout_s: float) -> "Stream[A]":
        multi = self._channel.stream_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.answer.FromString,
        )
        return Stream(self, method, multi(iter(requests), timeout=timeout_s, metadata=self._metadata(lease)))

    def ensure_namespace(self) -> None:
        try:
            self.call(CREATE_NAMESPACE, pb.NamespaceHolder(namespace=pb.Namespace(name=self.namespace)))
        except Conflict:
            return

    def close(self) -> None:
        self._channel.close()

    def _unary(self, method: Method[Q, A]) -> grpc.UnaryUnaryMultiCallable:
        return self._channel.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.answer.FromString,
        )

    def _metadata(self, lease: str) -> tuple[tuple[str, str], ...]:
        named = ("containerd-namespace", self.namespace)
        return (named, ("containerd-lease", lease)) if lease else (named,)

    def translated(self, error: Exception, path: str) -> HedgerowError:
        code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.CANCELLED
        said = (error.details() if isinstance(error, grpc.Call) else "") or ""
        if code is grpc.StatusCode.NOT_FOUND:
            return NotFound(said)
        if code is grpc.StatusCode.ALREADY_EXISTS:
            return Conflict(said)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED or said.startswith(_DEADLINE):
            return Unreachable(f"containerd at {self._address} did not answer {path.rsplit('/', 1)[-1]} in time.")
        if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
            return Unreachable(f"containerd at {self._address} does not answer; is it running? ({said})")
        return Refused(said)

    def _translated(self, error: Exception, method: Method[Q, A]) -> HedgerowError:
        return self.translated(error, method.path)


class Stream(Generic[A]):
    """The answers of one call, as they come; iterating raises what Client.call raises."""

    def __init__(self, client: Client, method: Method[Q, A], call: Iterator[A]) -> None:
        self._client = client
        self._path = method.path
        self._call = call

    def __iter__(self) -> Iterator[A]:
        try:
            yield from self._call
        except grpc.RpcError as error:
            raise self._client.translated(error, self._path) from error

    def cancel(self) -> None:
        cast(grpc.Call, self._call).cancel()
