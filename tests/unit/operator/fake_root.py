"""A root that answers as it is told to, over real HTTP on loopback."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: Any
    token: str


@dataclass(slots=True)
class FakeRoot:
    """`answers` is by "METHOD /path" without the query; several answers are given in turn, the last one for ever."""

    url: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    is_accepted: Callable[[str], bool] = lambda _: True

    def on(self, route: str, *bodies: Any, status: int = 200) -> None:
        self.answers[route] = [(status, body) for body in bodies]

    def asked(self, route: str) -> list[Request]:
        return [request for request in self.requests if f"{request.method} {request.path.partition('?')[0]}" == route]

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        route = f"{request.method} {request.path.partition('?')[0]}"
        if route not in ("POST /api/auth/login", "POST /api/auth/refresh") and not self.is_accepted(request.token):
            return 401, {"message": "The token has expired."}
        left = self.answers.get(route)
        if not left:
            return 404, {"message": f"There is no {route} here."}
        return left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def fake_root() -> Iterator[FakeRoot]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    root = FakeRoot(f"http://127.0.0.1:{server.server_address[1]}")

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            sent = self.rfile.read(length)
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            status, body = root.answer(Request(self.command, self.path, json.loads(sent) if sent else None, token))
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - the names that http.server asks for

        def log_message(self, format: str, *args: object) -> None:
            return

    server.RequestHandlerClass = Handler
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield root
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def instance(number: int, status: str = "RUNNING", **changes: Any) -> dict[str, Any]:
    return {
        "instance_number": number,
        "desired": "RUNNING",
        "status": status,
        "status_detail": "",
        "reason": "",
        "health": "healthy" if status == "RUNNING" else "unknown",
        "spec_revision": 1,
        "cluster_name": "local",
        "node_name": "pi",
        "publicip": "10.0.0.7",
        "exit_code": None,
        "age_s": 3.0,
    } | changes


def service(name: str = "web", *instances: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "microserviceID": f"id-{name}",
        "microservice_name": name,
        "job_name": f"shop.prod.{name}.prod",
        "applicationID": "id-shop",
        "app_name": "shop",
        "image": "registry.example/web:1",
        "status": instances[0]["status"] if instances else "",
        "status_detail": "",
        "port": "8080:80/tcp",
        "one_shot": False,
        "replicas": len(instances),
        "spec_revision": 1,
        "instance_list": list(instances),
        "age_s": 3.0,
    } | changes


def application(name: str = "shop", namespace: str = "prod") -> dict[str, Any]:
    return {
        "applicationID": f"id-{name}",
        "application_name": name,
        "application_namespace": namespace,
        "application_desc": "",
        "userId": "Admin",
        "microservices": ["id-web"],
    }
