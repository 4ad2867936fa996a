"""One attempt of one instance, in the words that every runtime shares."""

from dataclasses import dataclass, field
from enum import StrEnum

from edge_common.model.errors import NotFound
from edge_common.model.ids import InstanceId
from edge_common.model.service import ServiceSpec
from edge_common.model.values import OpenValue, SealedValue, ValueRef


@dataclass(frozen=True, slots=True, order=True)
class TaskKey:
    instance_id: InstanceId
    attempt: int

    def __str__(self) -> str:
        return f"{self.instance_id}-{self.attempt}"


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """All that a runtime needs to make one attempt. `network_namespace` "" is the host's own network.

    `sealed` are the values that `spec` names; `values` are the same in the clear, once the start has really begun.
    """

    key: TaskKey
    spec: ServiceSpec
    instance_number: int
    network_namespace: str = ""
    sealed: tuple[SealedValue, ...] = ()
    values: tuple[OpenValue, ...] = field(default=(), repr=False)

    def value_of(self, ref: ValueRef) -> bytes:
        """In the clear. Raises NotFound when it was not opened."""
        for each in self.values:
            if (each.value_id, each.version) == (ref.value_id, ref.version):
                return each.data
        raise NotFound(f"The {ref} did not come with {self.spec.name}.")


class TaskState(StrEnum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Task:
    """What a runtime sees. `exit_code` is None until it has EXITED, and when nobody saw how, as after a reboot."""

    key: TaskKey
    state: TaskState
    pid: int = 0
    exit_code: int | None = None
    is_out_of_memory: bool = False

    @property
    def ended_unseen(self) -> bool:
        return self.state is TaskState.EXITED and self.exit_code is None


@dataclass(frozen=True, slots=True)
class TaskUsage:
    """`cpu_s` is the processor time used since the task began; `memory_bytes` what it holds now."""

    key: TaskKey
    cpu_s: float
    memory_bytes: int
