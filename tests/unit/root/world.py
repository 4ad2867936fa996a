"""A root without a scheduler and without links: memory documents, and fakes that answer as told."""

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import Flask
from flask.testing import FlaskClient

from edge_common.model.cluster import ClusterInfo, Pool, Summary
from edge_common.model.errors import HedgerowError, Unreachable
from edge_common.model.ids import ChildId, ClusterId, InstanceId, NodeId, ServiceId
from edge_common.model.instance import Assignment, HeardObservation, Observation
from edge_common.model.lifecycle import Reason, State
from edge_common.model.node import Readiness, Usage
from edge_common.model.resources import Resources
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.plumbing.ids import new_secret
from edge_common.plumbing.vault import new_vault
from root_orchestrator.adapters.api.factory import create_api
from root_orchestrator.adapters.api.parts import Parts
from root_orchestrator.adapters.api.routing import check_declared
from root_orchestrator.adapters.audit_log import AuditLog
from root_orchestrator.adapters.auth import Auth, Pair, Passwords, Tokens, ensure_organization
from root_orchestrator.adapters.intent_store import DocumentIntentStore
from root_orchestrator.adapters.login_limiter import LoginLimiter
from root_orchestrator.adapters.people_store import DocumentPeopleStore
from root_orchestrator.adapters.value_store import DocumentValueStore
from root_orchestrator.core.permissions import Role
from root_orchestrator.core.records import ClusterRecord, User
from root_orchestrator.manager import Manager
from root_orchestrator.people import People
from root_orchestrator.values import Values

T = TypeVar("T")
Json = dict[str, Any]

PASSWORDS = Passwords()
ADMIN = User("Admin", PASSWORDS.hash("Admin"), (Role.ADMIN,))
ALICE = User("alice", PASSWORDS.hash("alices-secret"), (Role.APPLICATION_PROVIDER,), email="alice@example.org")
KEY = b"0123456789abcdef" * 4


def microservice(**changes: Any) -> Json:
    return {
        "microserviceID": "",
        "microservice_name": "web",
        "microservice_namespace": "test",
        "virtualization": "container",
        "cmd": ["httpd", "-f"],
        "memory": 64,
        "vcpus": 0.5,
        "vgpus": 0,
        "vtpus": 0,
        "bandwidth_in": 0,
        "bandwidth_out": 0,
        "storage": 0,
        "code": "docker.io/library/busybox:1.36",
        "state": "",
        "port": "8080",
        "added_files": [],
        **changes,
    }


def sla(*microservices: Json, **changes: Any) -> Json:
    application = {
        "applicationID": "",
        "application_name": "shop",
        "application_namespace": "test",
        "application_desc": "A shop",
        "microservices": [copy.deepcopy(m) for m in microservices] if microservices else [microservice()],
        **changes,
    }
    return {"sla_version": "v2.0", "customerID": "", "applications": [application]}


@dataclass
class Placements:
    """Implements PlacementReads."""

    assigned: list[Assignment] = field(default_factory=list)
    heard: list[HeardObservation] = field(default_factory=list)
    known: list[ClusterRecord] = field(default_factory=list)

    def assignments_of(self, service_ids: Sequence[ServiceId]) -> list[Assignment]:
        return [a for a in self.assigned if a.service_id in service_ids]

    def observations_of(self, service_ids: Sequence[ServiceId]) -> list[HeardObservation]:
        return [h for h in self.heard if h.observation.service_id in service_ids]

    def clusters(self) -> list[ClusterRecord]:
        return self.known


@dataclass
class Requests:
    """Implements ClusterRequests."""

    answers: dict[str, Json | HedgerowError] = field(default_factory=dict)
    asked: list[tuple[str, str, Json]] = field(default_factory=list)

    def request(self, cluster_id: ClusterId, kind: str, body: Mapping[str, Any], timeout_s: float) -> Json:
        self.asked.append((cluster_id, kind, dict(body)))
        answer = self.answers.get(kind, Unreachable("The cluster does not answer."))
        if isinstance(answer, HedgerowError):
            raise answer
        return answer


@dataclass
class RootDoors:
    """Implements DoorQuestions."""

    answers: dict[str, Json | HedgerowError] = field(default_factory=dict)
    asked: list[tuple[str, Json]] = field(default_factory=list)

    def answer(self, kind: str, body: Mapping[str, Any]) -> Json:
        self.asked.append((kind, dict(body)))
        answer = self.answers.get(kind, {})
        if isinstance(answer, HedgerowError):
            raise answer
        return answer


@dataclass
class Nudges:
    """Implements Nudge."""

    heard: list[ServiceId] = field(default_factory=list)

    def services_changed(self, service_ids: Sequence[ServiceId]) -> None:
        self.heard.extend(service_ids)


def ask_now(work: Callable[[], T]) -> T:
    return work()


class World:
    def __init__(self, *, limiter_failures: int = 10) -> None:
        self.clock = FakeClock()
        self.documents = MemoryDocuments()
        self.store = DocumentIntentStore(self.documents)
        self.placements = Placements()
        self.requests = Requests()
        self.doors = RootDoors()
        self.nudges = Nudges()
        for user in (ADMIN, ALICE):
            self.store.put_user(user)
        numbers = itertools.count(1)

        def new_id() -> str:
            return f"{next(numbers):024x}"

        self.vault = new_vault()
        value_store = DocumentValueStore(self.documents)
        self.values = Values(value_store, self.store, self.vault, self.nudges, new_id, self.clock)
        self.manager = Manager(self.store, self.nudges, new_id, self.clock, self.values)
        limiter = LoginLimiter(self.clock, failures=limiter_failures)
        self.people_store = DocumentPeopleStore(self.documents)
        ensure_organization(self.people_store, self.clock.now_s())
        people_ids = (f"{number:024x}" for number in itertools.count(0xF000))
        self.people = People(
            self.store, self.people_store, lambda: next(people_ids), new_secret, self.clock, value_store
        )
        self.audit = AuditLog(self.documents, self.clock, max_entries=10_000, max_days=365)
        tokens = Tokens(KEY, self.clock)
        self.auth = Auth(self.store, self.people_store, PASSWORDS, tokens, limiter, self.clock, self.people.note_use)
        parts = Parts(
            manager=self.manager,
            intents=self.store,
            placements=self.placements,
            clusters=self.requests,
            ask=ask_now,
            auth=self.auth,
            clock=self.clock,
            people=self.people,
            people_reads=self.people_store,
            audit=self.audit,
            values=self.values,
            doors=self.doors,
        )
        self.app: Flask = create_api(parts, max_body_bytes=64 * 1024)
        check_declared(self.app)

    def client(self, user: User | None = ADMIN) -> "Client":
        return Client(self.app.test_client(), self.tokens(user).access if user else None)

    def tokens(self, user: User) -> Pair:
        return self.auth.tokens(user, self.people.open_session(user.username))

    def place(self, service_id: str, number: int = 0, **changes: Any) -> Assignment:
        values: Json = {
            "instance_id": InstanceId(f"i-{service_id[-4:]}-{number}"),
            "service_id": ServiceId(service_id),
            "instance_number": number,
            "origin_id": InstanceId(f"i-{service_id[-4:]}-{number}"),
            "spec_revision": 1,
            "child_id": ChildId("c1"),
            "since_s": self.clock.now_s(),
            **changes,
        }
        assignment = Assignment(**values)
        self.placements.assigned.append(assignment)
        return assignment

    def hear(self, assignment: Assignment, state: State, reason: Reason = Reason.NONE, detail: str = "") -> None:
        observation = Observation(
            instance_id=assignment.instance_id,
            service_id=assignment.service_id,
            instance_number=assignment.instance_number,
            state=state,
            reason=reason,
            detail=detail,
            node_id=NodeId("n1"),
            node_name="node-1",
            address="192.0.2.7",
        )
        self.placements.heard.append(HeardObservation(observation, self.clock.now_s()))

    def add_cluster(self, readiness: Readiness = Readiness.READY, name: str = "home") -> ClusterRecord:
        pool = Pool("amd64", ("container",), False, 2, Resources(4000, 2048, 100), Resources(3000, 1024, 50))
        cluster = ClusterRecord(
            info=ClusterInfo(ClusterId("c1"), name, "48.1,11.5,1000", "192.0.2.1", 10100),
            summary=Summary(revision=3, node_count=2, ready_node_count=1, instance_count=5, pools=(pool,)),
            usage=Usage(12.5, 50.0, 10),
            readiness=readiness,
            heard_at_s=self.clock.now_s(),
            joined_at_s=self.clock.now_s(),
        )
        self.placements.known.append(cluster)
        return cluster


class Client:
    def __init__(self, flask: FlaskClient, token: str | None) -> None:
        self._flask = flask
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(self, method: str, path: str, json: Any = None, status: int | None = 200, **options: Any) -> Any:
        """Fails the test unless the answer has this status; None is any."""
        headers = {**self._headers, **options.pop("headers", {})}
        if json is not None:
            options["json"] = json
        response = self._flask.open(path, method=method, headers=headers, **options)
        assert status in (None, response.status_code), response.get_data(as_text=True)[:2000]
        return response.get_json()

    def answer(self, method: str, path: str, json: Any = None) -> tuple[int, Any]:
        """The status and the body, whatever they are."""
        options = {} if json is None else {"json": json}
        response = self._flask.open(path, method=method, headers=self._headers, **options)
        return response.status_code, response.get_json(silent=True)

    def get(self, path: str, **options: Any) -> Any:
        return self.call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> Any:
        return self.call("POST", path, json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> Any:
        return self.call("PUT", path, json, **options)

    def delete(self, path: str, **options: Any) -> Any:
        return self.call("DELETE", path, **options)
