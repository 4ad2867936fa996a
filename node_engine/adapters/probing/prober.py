"""A `Prober` for all kinds of probes."""

from collections.abc import Mapping

from edge_common.model.errors import HedgerowError
from edge_common.model.probes import Probe, ProbeKind
from node_engine.adapters.probing.grpc_health import ask_grpc
from node_engine.adapters.probing.sockets import ask_http, ask_tcp
from node_engine.core.health import Answer
from node_engine.core.task import TaskKey
from node_engine.ports import Runtime

MAX_DETAIL = 120


class InstanceProber:
    def __init__(self, runtimes: Mapping[str, Runtime]) -> None:
        self._runtimes = runtimes

    def ask(self, key: TaskKey, runtime: str, probe: Probe, address: str) -> Answer:
        match probe.kind:
            case ProbeKind.HTTP:
                return ask_http(address, probe.port, probe.path, probe.timeout_s)
            case ProbeKind.TCP:
                return ask_tcp(address, probe.port, probe.timeout_s)
            case ProbeKind.GRPC:
                return ask_grpc(address, probe.port, probe.service, probe.timeout_s)
            case ProbeKind.EXEC:
                return self._ask_within(key, runtime, probe)

    def _ask_within(self, key: TaskKey, runtime: str, probe: Probe) -> Answer:
        try:
            result = self._runtimes[runtime].exec(key, probe.command, probe.timeout_s)
        except HedgerowError as error:
            return Answer(False, str(error).rstrip("."))
        if result.exit_code == 0:
            return Answer(True)
        said = " ".join(result.output.decode(errors="replace").split())[:MAX_DETAIL]
        return Answer(False, f"exit code {result.exit_code}" + (f": {said}" if said else ""))
