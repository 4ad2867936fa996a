"""What the routes take besides SLAs."""

from typing import Any

from marshmallow import Schema

from edge_common.link.doors import MAX_LIFE_S, MAX_NOTE, MAX_USES, MIN_LIFE_S
from edge_common.plumbing.http_app import read_json
from edge_common.wire.sla import MAX_REPLICAS
from edge_common.wire.strict import Flag, ListOf, Part, StrictSchema, Text, Whole, load
from root_orchestrator.core.api_tokens import MAX_TTL_S, MIN_TTL_S
from root_orchestrator.core.users import MAX_PASSWORD


class LoginBody(StrictSchema):
    username = Text(required=True, max_length=128)
    password = Text(required=True, max_length=MAX_PASSWORD)
    organization_name = Text(max_length=128)


class RegisterBody(StrictSchema):
    username = Text(required=True, max_length=64)
    password = Text(required=True, max_length=MAX_PASSWORD)
    email = Text(max_length=320)
    organization = Text(max_length=128)
    roles = ListOf(Text(max_length=64), max_items=16)


class UserBody(StrictSchema):
    """What is left out stays as it is. Of oneself one sets the `email` alone."""

    email = Text(max_length=320)
    password = Text(max_length=MAX_PASSWORD)
    organization = Text(max_length=128)
    roles = ListOf(Text(max_length=64), max_items=16)


class MemberBody(StrictSchema):
    user_id = Text(max_length=64)
    roles = ListOf(Text(max_length=64), max_items=16)


class OrganizationBody(StrictSchema):
    """`member` is Oakestra's, and empty: users are put into an organisation one by one."""

    name = Text(required=True, max_length=64)
    member = ListOf(Part(MemberBody), max_items=0)


class ApiTokenBody(StrictSchema):
    """`ttl` in seconds. `scopes` are roles of one's own; all of them when left out."""

    name = Text(required=True, max_length=64)
    ttl = Whole(MIN_TTL_S, MAX_TTL_S)
    scopes = ListOf(Text(max_length=64), max_items=16)


class PasswordBody(StrictSchema):
    old_password = Text(data_key="oldPassword", required=True, max_length=MAX_PASSWORD)
    new_password = Text(data_key="newPassword", required=True, max_length=MAX_PASSWORD)


class DescriptionBody(StrictSchema):
    application_desc = Text(required=True)


class ReplicasBody(StrictSchema):
    replicas = Whole(0, MAX_REPLICAS, required=True)


class RollbackBody(StrictSchema):
    """Without `revision` the last version that was well as a whole, or else the one before."""

    revision = Whole(1, 2**53)


class RolloutBody(StrictSchema):
    """`order` is pause, resume or promote."""

    order = Text(required=True, max_length=20)


class JoinTokenBody(StrictSchema):
    """`ttl` in seconds, a day where the parent says nothing else; without `max_uses` any number may use it."""

    ttl = Whole(int(MIN_LIFE_S), int(MAX_LIFE_S))
    max_uses = Whole(1, MAX_USES)
    note = Text(max_length=MAX_NOTE)


class CordonBody(StrictSchema):
    cordoned = Flag(required=True)


def read(body: type[Schema]) -> dict[str, Any]:
    """Raises InvalidInput that names the field."""
    loaded: dict[str, Any] = load(body(), read_json())
    return loaded
