"""What a child and its parent say over HTTP before there is a link."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from edge_common.model.ids import ChildId


class ChildKind(StrEnum):
    CLUSTER = "cluster"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """`secret` is made by the child, once, and names it; `token` admits one that is new here, else it may be empty."""

    kind: ChildKind
    name: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MqttAccess:
    host: str
    port: int
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class JoinAnswer:
    child_id: ChildId
    parent_name: str
    mqtt: MqttAccess
