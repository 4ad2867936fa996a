"""What `hedgerow up`, `down` and `status` need of a supervisor."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hedgerow.machine.programs import Program


@dataclass(frozen=True, slots=True)
class ProgramState:
    """`since_s`: when it last started or stopped, in seconds since the epoch; None when nobody knows."""

    name: str
    is_running: bool
    pid: int | None = None
    since_s: float | None = None
    detail: str = ""


class Supervisor(Protocol):
    """Methods raise `Broken` when the supervisor refuses and `Unreachable` when it does not answer in time."""

    name: str

    def apply(self, programs: Sequence[Program], restart: Collection[str]) -> tuple[str, ...]:
        """Make exactly these programs run. Restart those named and those whose definition changed, no others.

        The names of the programs that were started or restarted; empty when all ran already.
        """

    def states(self) -> Mapping[str, ProgramState]:
        """Of every program it knows; empty while it does not run itself."""

    def stop(self, name: str) -> None:
        """Stop it and wait for its end. Nothing to do is no error."""

    def shut_down(self) -> None:
        """Stop what is left, end the supervisor itself and forget the programs."""

    def last_lines(self, name: str, count: int) -> Sequence[str]:
        """The newest lines of the program's log."""
