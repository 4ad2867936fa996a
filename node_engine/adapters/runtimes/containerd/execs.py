"""Running one more command in a container, and what it printed."""

import json
import logging
import os
import select
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from edge_common.model.errors import Conflict, HedgerowError, NotFound, Unreachable
from edge_common.model.lifecycle import Reason
from node_engine.adapters.runtimes.containerd import client as c
from node_engine.adapters.runtimes.containerd.content import new_token
from node_engine.adapters.runtimes.containerd.proto import containerd_pb2 as pb
from node_engine.adapters.runtimes.containerd.tasks import start_failure
from node_engine.ports import ExecResult, TaskFailure

logger = logging.getLogger(__name__)

MAX_OUTPUT_BYTES = 1024 * 1024
"""What comes after it is thrown away, and the command may go on."""

TIMED_OUT = 124
"""The exit code of a command that was killed for its time, as timeout(1) has it."""

_PROCESS_URL = "types.containerd.io/opencontainers/runtime-spec/1/Process"
_POLL_S = 0.05


class Execs:
    def __init__(self, client: c.Client) -> None:
        self._client = client

    def run(self, name: str, command: Sequence[str], timeout_s: float, directory: Path) -> ExecResult:
        """With the environment, user and rights of the container's own process; stdout and stderr in one.

        `directory` must be one that the container's shim sees too, which a service's private /tmp is not.
        """
        process = self._process_of(name)
        process["args"] = list(command)
        exec_id = f"exec-{new_token()}"
        with tempfile.TemporaryDirectory(prefix=".exec-", dir=directory) as folder:
            pipe = Path(folder) / "output"
            os.mkfifo(pipe, 0o600)
            fd = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                return self._run(name, exec_id, process, pipe, fd, timeout_s)
            finally:
                os.close(fd)

    def _run(
        self, name: str, exec_id: str, process: dict[str, object], pipe: Path, fd: int, timeout_s: float
    ) -> ExecResult:
        deadline_s = time.monotonic() + timeout_s
        request = pb.ExecRequest(container_id=name, exec_id=exec_id, stdout=str(pipe), stderr=str(pipe))
        request.spec.type_url = _PROCESS_URL
        request.spec.value = json.dumps(process).encode()
        which = pb.ProcessId(container_id=name, exec_id=exec_id)
        try:
            self._client.call(c.EXEC, request)
            self._client.call(c.START_TASK, which)
        except NotFound as error:
            raise TaskFailure(f"The container {name} does not run.", Reason.START_FAILED) from error
        except (c.Refused, Conflict) as error:
            self._remove(which)
            raise start_failure(name, error) from error
        try:
            return self._follow(which, fd, deadline_s)
        finally:
            self._remove(which)

    def _follow(self, which: pb.ProcessId, fd: int, deadline_s: float) -> ExecResult:
        left_s = max(deadline_s - time.monotonic(), 0.01)
        waiting = self._client.call_later(c.WAIT_TASK, which, left_s)
        output = bytearray()
        while not waiting.done():
            _drain(fd, output, _POLL_S)
        try:
            exit_code = self._client.result_of(c.WAIT_TASK, waiting).exit_status
        except Unreachable:
            if time.monotonic() < deadline_s:
                raise
            self._kill(which)
            exit_code = TIMED_OUT
        _drain(fd, output, _POLL_S)
        return ExecResult(exit_code, bytes(output))

    def _process_of(self, name: str) -> dict[str, object]:
        try:
            container = self._client.call(c.GET_CONTAINER, pb.ContainerId(id=name)).container
        except NotFound as error:
            raise TaskFailure(f"There is no container {name}.", Reason.START_FAILED) from error
        process: dict[str, object] = json.loads(container.spec.value)["process"]
        return process

    def _kill(self, which: pb.ProcessId) -> None:
        with suppress(NotFound, c.Refused):
            self._client.call(
                c.KILL_TASK,
                pb.KillRequest(container_id=which.container_id, exec_id=which.exec_id, signal=signal.SIGKILL),
            )
            self._client.call(c.WAIT_TASK, which)

    def _remove(self, which: pb.ProcessId) -> None:
        try:
            self._client.call(c.DELETE_PROCESS, which)
        except NotFound:
            return
        except HedgerowError as error:
            logger.warning("could not clear up after exec container=%s error=%s", which.container_id, error)


def _drain(fd: int, output: bytearray, wait_s: float) -> None:
    """Take all that is there; wait a little for the first of it."""
    timeout_s = wait_s
    while select.select([fd], [], [], timeout_s)[0]:
        try:
            data = os.read(fd, 64 * 1024)
        except BlockingIOError:
            return
        if not data:
            time.sleep(min(wait_s, 0.005))
            return
        output += data[: MAX_OUTPUT_BYTES - len(output)]
        timeout_s = 0.0
