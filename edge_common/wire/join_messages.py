"""What a child and its parent say over HTTP before there is a link."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from edge_common.model.ids import ChildId


class ChildKind(StrEnum):
    CLUSTER = "cluster"
    NODE = "node"


class JoinStatus(StrEnum):
    ADMITTED = "admitted"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Hello:
    """`nonce` is for one join request, made soon. `ca` is the certificate of the parent's CA, in PEM."""

    name: str
    nonce: str
    ca: str


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """`csr` (PEM) has the child's key, which names it; `proof` is that key's signature over `what_is_proven`.

    `token` admits one that is new here, else it may be empty.
    """

    kind: ChildKind
    name: str
    csr: str
    nonce: str
    proof: str
    token: str = field(default="", repr=False)
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MqttAccess:
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    is_tls: bool = False


@dataclass(frozen=True, slots=True)
class JoinAnswer:
    """With WAITING there is nothing but the id: the child asks again later. Certificates are in PEM."""

    child_id: ChildId
    status: JoinStatus
    parent_name: str
    mqtt: MqttAccess | None = None
    certificate: str = ""
    ca: str = ""


def what_is_proven(ca_fingerprint: str, nonce: str, kind: ChildKind, name: str, token: str) -> bytes:
    """With the parent's CA in it, so that no other parent can pass the request on as its own."""
    return json.dumps(["hedgerow join", ca_fingerprint, nonce, kind.value, name, token]).encode()
