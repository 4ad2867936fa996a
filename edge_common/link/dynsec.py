"""Admits and evicts children at run time, over the control topic of mosquitto's dynamic-security plug-in."""

import json
import secrets
from collections.abc import Sequence
from typing import Any

from edge_common.link.broker_roles import CONTROL_ANSWERS, CONTROL_TOPIC, child_acls, child_role
from edge_common.model.errors import Broken
from edge_common.model.ids import ChildId
from edge_common.plumbing.mqtt_call import exchange
from edge_common.plumbing.mqtt_types import MqttEndpoint

CALL_TIMEOUT_S = 5.0
_HARMLESS = {
    "createRole": "Role already exists",
    "createClient": "Client already exists",
    "deleteClient": "Client not found",
    "deleteRole": "Role not found",
}


class DynsecAdmin:
    """A `BrokerAdmin`. Each call is a connection of its own, so calls from several threads do not meet."""

    def __init__(self, endpoint: MqttEndpoint, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s

    def admit(self, child_id: ChildId, password: str) -> None:
        role = child_role(child_id)
        roles = [{"rolename": role}]
        self._command(
            {"command": "createRole", "rolename": role},
            {"command": "modifyRole", "rolename": role, "acls": child_acls(child_id)},
            {"command": "createClient", "username": child_id, "clientid": child_id},
            {"command": "modifyClient", "username": child_id, "password": password, "roles": roles},
        )

    def evict(self, child_id: ChildId) -> None:
        self._command(
            {"command": "deleteClient", "username": child_id},
            {"command": "deleteRole", "rolename": child_role(child_id)},
        )

    def _command(self, *commands: dict[str, Any]) -> None:
        mark = secrets.token_hex(8)
        marked = [{**command, "correlationData": mark} for command in commands]
        answer = exchange(
            self._endpoint,
            CONTROL_TOPIC,
            CONTROL_ANSWERS,
            json.dumps({"commands": marked}).encode(),
            lambda payload: bool(_responses(payload, mark)),
            self._timeout_s,
        )
        for response in _responses(answer, mark):
            error = response.get("error")
            command = str(response.get("command"))
            if error is not None and error != _HARMLESS.get(command):
                raise Broken(f"The MQTT broker refused {command}: {error}.")


def _responses(payload: bytes, mark: str) -> Sequence[dict[str, Any]]:
    """The answers to the commands that carry `mark`; none when the payload answers someone else's."""
    try:
        responses = json.loads(payload)["responses"]
    except (ValueError, KeyError, TypeError):
        return ()
    return [
        response for response in responses if isinstance(response, dict) and response.get("correlationData") == mark
    ]
