"""What a parent may ask about an instance: its output, and to run a command in it. Answered beside the mailbox."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_common.link.child import Reply
from edge_common.model.errors import Broken, Conflict, HedgerowError, InvalidInput, NotFound, Overloaded
from edge_common.model.ids import InstanceId
from edge_common.model.lifecycle import State
from node_engine.core.record import Record
from node_engine.core.task import TaskKey
from node_engine.events import QuestionAnswered
from node_engine.ports import Logs, Pool, Runtime

logger = logging.getLogger(__name__)

DEFAULT_TAIL = 100
MAX_TAIL = 100_000
DEFAULT_EXEC_S = 10.0
MAX_EXEC_S = 60.0
MAX_OUTPUT_BYTES = 1024 * 1024
MAX_UNDER_WAY = 3
"""At once, so that a slow command does not keep the node from its own work."""

Body = Mapping[str, Any]


class Questions:
    def __init__(
        self, records: Mapping[InstanceId, Record], runtimes: Mapping[str, Runtime], logs: Logs, chores: Pool
    ) -> None:
        self._records = records
        self._runtimes = runtimes
        self._logs = logs
        self._chores = chores
        self._under_way = 0

    def ask(self, kind: str, body: Body, reply: Reply) -> None:
        """Raises an error of the tree to refuse at once."""
        if kind == "logs":
            self._submit(self._logs_of(body), reply)
        elif kind == "exec":
            self._submit(self._exec_in(body), reply)
        else:
            raise InvalidInput(f"A node does not know the request {kind!r}; it knows logs and exec.", "kind")

    def answered(self) -> None:
        self._under_way -= 1

    def _submit(self, find: Callable[[], Body], reply: Reply) -> None:
        if self._under_way >= MAX_UNDER_WAY or not self._chores.room():
            raise Overloaded("The node answers as many questions as it can already. Try again in a moment.")

        def answer() -> QuestionAnswered:
            reply(_tried(find))
            return QuestionAnswered()

        self._chores.submit(answer)
        self._under_way += 1

    def _logs_of(self, body: Body) -> Callable[[], Body]:
        instance_id = self._find(body).instance_id
        cursor = _whole(body, "cursor", None, 2**53)
        tail = _whole(body, "tail", DEFAULT_TAIL, MAX_TAIL)

        def find() -> Body:
            if cursor is not None:
                chunk = self._logs.read(instance_id, cursor)
            else:
                chunk = self._logs.tail(instance_id, tail or 0)
            text = chunk.data.decode(errors="replace")
            return {"instance_id": instance_id, "text": text, "cursor": chunk.cursor, "is_gap": chunk.is_gap}

        return find

    def _exec_in(self, body: Body) -> Callable[[], Body]:
        record = self._find(body)
        command = _command(body)
        timeout_s = _seconds(body, "timeout_s", DEFAULT_EXEC_S, MAX_EXEC_S)
        runtime = self._runtimes.get(record.spec.runtime)
        if record.state is not State.RUNNING or record.task_attempt is None or runtime is None:
            raise Conflict(f"Instance {record.instance_id} is {record.state}; a command needs a running one.")
        key = TaskKey(record.instance_id, record.task_attempt)

        def find() -> Body:
            result = runtime.exec(key, command, timeout_s)
            output = result.output[:MAX_OUTPUT_BYTES].decode(errors="replace")
            return {
                "exit_code": result.exit_code,
                "output": output,
                "is_cut": len(result.output) > MAX_OUTPUT_BYTES,
            }

        return find

    def _find(self, body: Body) -> Record:
        instance_id = InstanceId(str(body.get("instance_id", "")))
        record = self._records.get(instance_id)
        if record is None:
            raise NotFound(f"This node has no instance {str(instance_id)[:64]!r}.")
        return record


def _tried(find: Callable[[], Body]) -> Body | HedgerowError:
    try:
        return find()
    except HedgerowError as error:
        return error
    except Exception:
        logger.exception("event=answer_broke")
        return Broken("The node failed over this question; its log says how.")


def _whole(body: Body, field: str, default: int | None, most: int) -> int | None:
    value = body.get(field)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise InvalidInput(f"{field} must be a whole number from 0 to {most}.", field)
    return value


def _seconds(body: Body, field: str, default: float, most: float) -> float:
    value = body.get(field)
    if value is None:
        return default
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= most:
        raise InvalidInput(f"{field} must be a number above 0 and at most {most:.0f}.", field)
    return float(value)


def _command(body: Body) -> Sequence[str]:
    command = body.get("command")
    if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
        raise InvalidInput("command must be a list of one or more texts.", "command")
    return command
