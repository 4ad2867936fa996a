"""The child's side of joining, and the identity that it keeps from then on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_common.link.join_tokens import new_secret
from edge_common.model.errors import Broken, Incompatible, InvalidInput
from edge_common.model.ids import ChildId
from edge_common.plumbing.files import write_secret
from edge_common.plumbing.http_client import HttpClient
from edge_common.plumbing.mqtt_types import MqttEndpoint
from edge_common.wire import routes
from edge_common.wire.codec import decode, encode
from edge_common.wire.join_messages import ChildKind, JoinAnswer, JoinRequest, MqttAccess

JOIN_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this child is to its parent. Survives reboots and changes of host name and address."""

    child_id: ChildId
    secret: str = field(repr=False)
    parent_name: str
    mqtt: MqttAccess

    @property
    def endpoint(self) -> MqttEndpoint:
        return MqttEndpoint(self.mqtt.host, self.mqtt.port, self.mqtt.username, self.mqtt.password)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The file. A secret without the rest: asked to join, not answered yet."""

    secret: str = field(repr=False)
    child_id: str = ""
    parent_name: str = ""
    mqtt: MqttAccess | None = None


def load_identity(identity_file: Path) -> Identity | None:
    """What the last join brought; None before the first. Raises Broken when the file is damaged."""
    kept = _load(identity_file)
    if kept is None or kept.mqtt is None:
        return None
    return Identity(ChildId(kept.child_id), kept.secret, kept.parent_name, kept.mqtt)


def join(
    parent_url: str,
    token: str,
    kind: ChildKind,
    name: str,
    identity_file: Path,
    info: Mapping[str, Any],
    timeout_s: float = JOIN_TIMEOUT_S,
) -> Identity:
    """Joins, or joins again as the same child and gets a new MQTT password. `token` may be "" for the latter.

    Raises Unauthenticated when the parent will not have it, Unreachable when it did not answer, Broken when the
    identity file is damaged. Any of them may be tried again: the child is admitted once, whatever got lost.
    """
    kept = _load(identity_file)
    if kept is None:
        kept = _Kept(new_secret())
        write_secret(identity_file, encode(kept).decode())
    answer = _ask(parent_url, JoinRequest(kind, name, kept.secret, token, info), timeout_s)
    write_secret(identity_file, encode(_Kept(kept.secret, answer.child_id, answer.parent_name, answer.mqtt)).decode())
    return Identity(answer.child_id, kept.secret, answer.parent_name, answer.mqtt)


def _ask(parent_url: str, request: JoinRequest, timeout_s: float) -> JoinAnswer:
    client = HttpClient(parent_url, timeout_s)
    try:
        answer = client.request("POST", routes.JOIN, json=json.loads(encode(request)))
    finally:
        client.close()
    return decode(JoinAnswer, json.dumps(answer).encode())


def _load(identity_file: Path) -> _Kept | None:
    try:
        return decode(_Kept, identity_file.read_bytes())
    except FileNotFoundError:
        return None
    except (InvalidInput, Incompatible) as error:
        raise Broken(f"{identity_file} is damaged; restore it, or delete it to join as a new child.") from error
