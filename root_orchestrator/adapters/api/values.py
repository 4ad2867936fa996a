"""Secrets and configuration objects. A secret's value comes in here and never goes out again."""

import base64
import binascii

from marshmallow import Schema, fields

from edge_common.model.errors import InvalidInput
from edge_common.model.values import MAX_VALUE_BYTES, ValueId, ValueKind
from edge_common.wire import routes
from edge_common.wire.strict import StrictSchema, Text
from root_orchestrator.adapters.api.answers import MessageAnswer
from root_orchestrator.adapters.api.bodies import read
from root_orchestrator.adapters.api.parts import Parts, caller, note_object
from root_orchestrator.adapters.api.routing import Answer, Routes
from root_orchestrator.core.permissions import Verb
from root_orchestrator.core.records import ServiceIntent
from root_orchestrator.core.stored_values import StoredValue, by_value, value_view
from root_orchestrator.core.views import View
from root_orchestrator.values import RESOURCES

_MAX_ENCODED = 4 * ((MAX_VALUE_BYTES + 2) // 3)
_PATHS = {
    ValueKind.SECRET: (routes.SECRETS, routes.SECRET_ONE),
    ValueKind.CONFIG: (routes.CONFIGS, routes.CONFIG_ONE),
}


class ValueBody(StrictSchema):
    """Text in `value`, or anything as base64 in `value_base64`."""

    value = Text(max_length=MAX_VALUE_BYTES)
    value_base64 = Text(max_length=_MAX_ENCODED)


class NewValueBody(ValueBody):
    name = Text(required=True, max_length=64)


class UserOfValueAnswer(Schema):
    microservice_id = fields.String(data_key="microserviceID")
    job_name = fields.String()


class ValueAnswer(Schema):
    id = fields.String()
    name = fields.String()
    kind = fields.String()
    version = fields.Integer(metadata={"description": "counts the values that it had"})
    size_bytes = fields.Integer()
    user_id = fields.String(data_key="userId")
    created_at = fields.Float(metadata={"description": "seconds since the epoch"})
    changed_at = fields.Float()
    used_by = fields.List(fields.Nested(UserOfValueAnswer))


class ConfigAnswer(ValueAnswer):
    value = fields.String(metadata={"description": "when one is asked for and it is text"})
    value_base64 = fields.String(metadata={"description": "when one is asked for"})


class RotationAnswer(ValueAnswer):
    rolled = fields.List(
        fields.Nested(UserOfValueAnswer), metadata={"description": "services whose instances are being replaced"}
    )


class StoredValues:
    """The routes of one kind."""

    def __init__(self, parts: Parts, kind: ValueKind) -> None:
        self._parts = parts
        self._kind = kind

    def add_to(self, to: Routes) -> None:
        kind, resource = self._kind, RESOURCES[self._kind]
        everyone, one = _PATHS[kind]
        shown: type[Schema] = ConfigAnswer if kind is ValueKind.CONFIG else ValueAnswer
        to.get(
            everyone,
            self.list_all,
            f"The {kind}s that one may see, without their values",
            ValueAnswer,
            is_list=True,
            needs=(Verb.READ, resource),
        )
        to.post(everyone, self.create, f"Make a {kind}", ValueAnswer, body=NewValueBody, needs=(Verb.CREATE, resource))
        to.get(one, self.show, f"One {kind}, by name or id", shown, needs=(Verb.READ, resource))
        to.put(
            one,
            self.change,
            f"Give a {kind} another value and replace what uses it",
            RotationAnswer,
            body=ValueBody,
            needs=(Verb.CHANGE, resource),
        )
        to.delete(one, self.delete, f"Delete a {kind} that nothing uses", MessageAnswer, needs=(Verb.DELETE, resource))

    def list_all(self) -> Answer:
        values = self._parts.values
        found = values.listed(caller(), self._kind)
        users: dict[ValueId, list[ServiceIntent]] = {}
        for owner in {value.owner for value in found}:
            users |= by_value(values.services_of(owner))
        return [value_view(value, users.get(value.value_id, ())) for value in found]

    def show(self, name: str) -> Answer:
        actor, values = caller(), self._parts.values
        value = values.visible(actor, self._kind, name, Verb.READ)
        view = self._view(value)
        return view if self._kind is ValueKind.SECRET else {**view, **_shown(values.read(value))}

    def create(self) -> Answer:
        actor, body = caller(), read(NewValueBody)
        note_object(body["name"])
        data = _data(body)
        value = self._parts.ask(lambda: self._parts.values.create(actor, self._kind, body["name"], data))
        return self._view(value)

    def change(self, name: str) -> Answer:
        actor, data = caller(), _data(read(ValueBody))
        change = self._parts.ask(lambda: self._parts.values.change(actor, self._kind, name, data))
        rolled = [{"microserviceID": each.service_id, "job_name": each.spec.name} for each in change.rolled]
        return {**self._view(change.value), "rolled": rolled}

    def delete(self, name: str) -> Answer:
        actor = caller()
        value = self._parts.ask(lambda: self._parts.values.delete(actor, self._kind, name))
        return {"message": f"The {self._kind} {value.name} is deleted."}

    def _view(self, value: StoredValue) -> View:
        return value_view(value, self._parts.values.users_of(value))


def _data(body: dict[str, str]) -> bytes:
    """Raises InvalidInput, which does not say what was sent."""
    text, encoded = body.get("value"), body.get("value_base64")
    if (text is None) is (encoded is None):
        raise InvalidInput("value: send either value or value_base64", "value")
    if encoded is None:
        return (text or "").encode()
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("value_base64: is no base64", "value_base64") from None


def _shown(data: bytes) -> View:
    encoded = {"value_base64": base64.b64encode(data).decode()}
    try:
        return {"value": data.decode(), **encoded}
    except UnicodeDecodeError:
        return encoded
