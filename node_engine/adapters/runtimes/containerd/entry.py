"""The program that adds secret variables to an instance's environment; entry.c says how."""

import base64

from edge_common.model.lifecycle import Reason
from node_engine.adapters.runtimes.containerd.entry_programs import PROGRAMS
from node_engine.ports import TaskFailure


def entry_program(architecture: str) -> bytes:
    """Raises TaskFailure where there is none."""
    program = PROGRAMS.get(architecture)
    if program is None:
        raise TaskFailure(
            f"This version cannot give secrets as variables on {architecture}; give them as files, with path.",
            Reason.START_FAILED,
            is_permanent=True,
        )
    return base64.b64decode(program)
