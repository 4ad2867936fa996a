"""Logging of a service: standard error, one line a record, key=value."""

import logging
import sys
from datetime import UTC, datetime

from edge_common.model.errors import InvalidInput

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_CHATTY = ("urllib3", "werkzeug", "pymongo", "paho", "grpc", "cheroot", "asyncio")
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127)} | {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}


def configure(service: str, level: str) -> None:
    """Raises InvalidInput when the level is none of LEVELS."""
    if level.upper() not in LEVELS:
        raise InvalidInput(f"The log level is {level!r}; it must be one of {', '.join(LEVELS)}.", "log_level")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


class LineFormatter(logging.Formatter):
    """Escapes control characters, so that nothing that is logged can forge a line of its own."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = f"{time} level={record.levelname.lower()} service={self._service} logger={record.name}"
        line = f"{head} {record.getMessage()}"
        if record.exc_info:
            line += f" traceback={self.formatException(record.exc_info)}"
        if record.stack_info:
            line += f" stack={record.stack_info}"
        return line.translate(_CONTROL)
