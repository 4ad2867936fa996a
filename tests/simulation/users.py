"""Somebody who deploys, scales and removes, and remembers what the root acknowledged."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from edge_common.model.ids import ServiceId
from edge_common.wire.sla import parse_sla
from root_orchestrator.core.permissions import Identity
from tests.simulation.actors import RootActor

BOUND = {"gamma": "cluster-1"}
"""Services that only one cluster may have."""
ADMIN = Identity("Admin", "root", ("Admin",))


def sla(name: str, replicas: int, memory_mb: int, vcpus: float, marker: str, placement: str) -> dict[str, Any]:
    service = {
        "microserviceID": "",
        "microservice_name": name,
        "microservice_namespace": "sim",
        "virtualization": "container",
        "code": "busybox",
        "cmd": ["run", marker],
        "memory": memory_mb,
        "vcpus": vcpus,
        "replicas": replicas,
        "placement": placement,
        "constraints": [{"type": "clusters", "allowed": [BOUND[name]]}] if name in BOUND else [],
    }
    application = {
        "applicationID": "",
        "application_name": name,
        "application_namespace": "sim",
        "application_desc": "",
        "microservices": [service],
    }
    return {"sla_version": "v2.0", "customerID": "Admin", "applications": [application]}


@dataclass(slots=True)
class SimulatedUser:
    random: Random
    root: RootActor
    names: tuple[str, ...] = ("alpha", "beta", "gamma", "delta")
    _wanted: dict[ServiceId, int] = field(default_factory=dict)
    _ids: dict[str, ServiceId] = field(default_factory=dict)
    changes: int = 0

    def acknowledged(self) -> dict[ServiceId, int]:
        return dict(self._wanted)

    def act(self) -> None:
        """One random change of mind, when the root is there to hear it."""
        if self.root.tier is None or self.root.life is None:
            return
        name = self.random.choice(self.names)
        if name in self._ids and self.random.random() < 0.25:
            self._remove(name)
        else:
            self._apply(name)
        self.root.life.mailbox.pump()

    def _apply(self, name: str) -> None:
        tier = self.root.tier
        if tier is None:
            return
        replicas = self.random.choice((0, 1, 2, 3, 5, 8, 12))
        document = sla(
            name,
            replicas,
            self.random.choice((16, 64, 256)),
            self.random.choice((0.1, 0.25, 0.5)),
            str(self.random.randrange(3)),
            self.random.choice(("spread", "binpack")),
        )
        tier.manager.apply(ADMIN, parse_sla(document))
        for service in tier.intents.services():
            if service.spec.name.startswith(f"{name}.") and not service.is_removed:
                self._ids[name] = service.service_id
                self._wanted[service.service_id] = replicas
        self.changes += 1

    def _remove(self, name: str) -> None:
        tier = self.root.tier
        if tier is None:
            return
        service_id = self._ids.pop(name)
        service = tier.intents.service(service_id)
        if service is not None:
            tier.manager.delete_application(ADMIN, service.application_id)
        self._wanted[service_id] = 0
        self.changes += 1
