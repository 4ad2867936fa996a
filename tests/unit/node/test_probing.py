"""Probes against servers on loopback."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import closing, contextmanager

import grpc
import pytest

from edge_common.model.errors import Unreachable
from edge_common.model.ids import InstanceId
from edge_common.model.probes import Probe, ProbeKind
from node_engine.adapters.probing import InstanceProber
from node_engine.adapters.probing.proto import health_pb2 as pb
from node_engine.core.health import Answer
from node_engine.core.task import TaskKey
from node_engine.ports import ExecResult
from tests.fakes.runtime import FakeRuntime
from tests.support import free_port

KEY = TaskKey(InstanceId("i1"), 1)
HOST = "127.0.0.1"


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that deals with one connection after the other."""
    with closing(socket.create_server((HOST, 0))) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def says(line: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(4_096)
        connection.sendall(line)

    return answer


def ask(kind: ProbeKind, port: int, **fields: object) -> Answer:
    probe = Probe(kind, port, timeout_s=0.5, **fields)  # type: ignore[arg-type]
    return InstanceProber({}).ask(KEY, "container", probe, HOST)


def test_tcp() -> None:
    with serving(lambda _: None) as port:
        assert ask(ProbeKind.TCP, port) == Answer(True)
    closed = free_port()
    assert ask(ProbeKind.TCP, closed) == Answer(False, f"nothing listens on port {closed}")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 399 Odd\r\n\r\n", ""),
        (b"HTTP/1.1 204\r\n\r\n", ""),
        (b"HTTP/1.1 500 Broken\r\n\r\n", "HTTP status 500 for /well"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP status 404 for /well"),
        (b"SSH-2.0-OpenSSH\r\n", "does not speak HTTP"),
        (b"", "does not speak HTTP"),
        (b"x" * 5_000, "does not speak HTTP"),
    ],
)
def test_http(line: bytes, expected: str) -> None:
    with serving(says(line)) as port:
        answer = ask(ProbeKind.HTTP, port, path="/well")
    assert answer.is_well is (expected == "")
    assert answer.detail.endswith(expected)


def test_http_asks_for_the_path_and_names_the_host() -> None:
    heard: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        heard.append(connection.recv(4_096))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with serving(answer) as port:
        ask(ProbeKind.HTTP, port, path="/a?b=c")
    assert heard[0].startswith(b"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port)


def test_http_that_trickles_is_given_up_in_time() -> None:
    done = threading.Event()

    def trickle(connection: socket.socket) -> None:
        while not done.wait(0.05):
            try:
                connection.sendall(b"H")
            except OSError:
                return

    with serving(trickle) as port:
        began_s = time.monotonic()
        answer = ask(ProbeKind.HTTP, port)
        took_s = time.monotonic() - began_s
        done.set()
    assert answer == Answer(False, f"port {port} did not answer within 0.5 s")
    assert took_s < 5.0


@pytest.mark.parametrize(
    ("status", "expected"), [(1, Answer(True)), (2, Answer(False, "gRPC health NOT_SERVING from port {port}"))]
)
def test_grpc(status: int, expected: Answer) -> None:
    asked: list[str] = []

    def check(question: pb.Question, _: grpc.ServicerContext) -> pb.Answer:
        asked.append(question.service)
        return pb.Answer(status=status)

    handler = grpc.unary_unary_rpc_method_handler(
        check, request_deserializer=pb.Question.FromString, response_serializer=pb.Answer.SerializeToString
    )
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler}),)
    )
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    try:
        answer = InstanceProber({}).ask(
            KEY, "container", Probe(ProbeKind.GRPC, port, service="db", timeout_s=5.0), HOST
        )
    finally:
        server.stop(None)
    assert answer == Answer(expected.is_well, expected.detail.format(port=port))
    assert asked == ["db"]


def test_grpc_without_a_server() -> None:
    port = free_port()
    answer = ask(ProbeKind.GRPC, port)
    assert not answer.is_well
    assert answer.detail in {f"gRPC UNAVAILABLE from port {port}", f"gRPC DEADLINE_EXCEEDED from port {port}"}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (ExecResult(0, b"all is well"), Answer(True)),
        (ExecResult(3, b"no\nlock\n"), Answer(False, "exit code 3: no lock")),
        (ExecResult(1, b""), Answer(False, "exit code 1")),
        (Unreachable("containerd does not answer."), Answer(False, "containerd does not answer")),
    ],
)
def test_exec(result: ExecResult | Unreachable, expected: Answer) -> None:
    class Executing(FakeRuntime):
        def exec(self, key: TaskKey, command: object, timeout_s: float) -> ExecResult:
            assert (key, command, timeout_s) == (KEY, ("test", "-e", "/lock"), 2.0)
            if isinstance(result, Unreachable):
                raise result
            return result

    probe = Probe(ProbeKind.EXEC, command=("test", "-e", "/lock"), timeout_s=2.0)
    assert InstanceProber({"container": Executing()}).ask(KEY, "container", probe, HOST) == expected
