"""Secrets and configuration objects as the root keeps them, and what each command on them does."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edge_common.model.errors import Conflict, InvalidInput
from edge_common.model.service import ServiceSpec
from edge_common.model.values import MAX_VALUE_BYTES, ValueId, ValueKind, ValueRef
from root_orchestrator.core.records import ServiceIntent
from root_orchestrator.core.versions import with_spec

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class StoredValue:
    """Written by `values.py` alone. `owner` and `organization` are whose it is, as for an application.

    `locked` is the encrypted value and `key_id` the key's name. `value_version` counts the values that it had, from 1.
    `version` is the store's; 0 is not stored yet.
    """

    value_id: ValueId
    kind: ValueKind
    name: str
    owner: str
    organization: str
    key_id: str
    locked: str = field(repr=False)
    size_bytes: int
    value_version: int = 1
    created_at_s: float = 0.0
    changed_at_s: float = 0.0
    version: int = 0

    @property
    def ref(self) -> ValueRef:
        return ValueRef(self.kind, self.name, self.value_id, self.value_version)


def checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "name: must be 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit at both ends",
            "name",
        )
    return name


def checked_size(data: bytes) -> int:
    """Raises InvalidInput, which does not say what it was."""
    if not 0 < len(data) <= MAX_VALUE_BYTES:
        raise InvalidInput(f"value: must have 1 to {MAX_VALUE_BYTES} bytes; this has {len(data)}", "value")
    return len(data)


def users_of(value: StoredValue, services: Iterable[ServiceIntent]) -> list[ServiceIntent]:
    """The services whose spec names it, also those without an instance."""
    return [
        service
        for service in services
        if not service.is_removed and any(ref.value_id == value.value_id for ref in service.spec.values)
    ]


def by_value(services: Iterable[ServiceIntent]) -> dict[ValueId, list[ServiceIntent]]:
    """Those whose spec names it, for each value that any of these services names."""
    users: dict[ValueId, list[ServiceIntent]] = {}
    for service in services:
        if not service.is_removed:
            for value_id in {ref.value_id for ref in service.spec.values}:
                users.setdefault(value_id, []).append(service)
    return users


def refuse_use(value: StoredValue, users: Sequence[ServiceIntent]) -> None:
    """Raises Conflict that says who needs it."""
    if users:
        names = ", ".join(sorted(user.spec.name for user in users)[:5])
        more = f" and {len(users) - 5} more" if len(users) > 5 else ""
        raise Conflict(f"The {value.kind} {value.name} is used by {names}{more}; change or delete these first.")


def refuse_owner(username: str, count: int) -> None:
    """Raises Conflict: who gets the name next must not get the values, and another organisation must not either."""
    if count:
        raise Conflict(f"{username} still owns {count} secrets and configuration objects; delete them first.")


def rolled(value: StoredValue, users: Iterable[ServiceIntent], now_s: float) -> tuple[ServiceIntent, ...]:
    """Those that are to be replaced, as their policy says, because the value has another version."""
    changed = ((user, _with_version(user.spec, value.ref)) for user in users)
    return tuple(
        with_spec(user, spec, user.sla, now_s, f"The {value.kind} {value.name} has version {value.value_version}.")
        for user, spec in changed
        if spec != user.spec
    )


def value_view(value: StoredValue, users: Iterable[ServiceIntent]) -> dict[str, Any]:
    """All but the value itself."""
    return {
        "id": value.value_id,
        "name": value.name,
        "kind": value.kind.value,
        "version": value.value_version,
        "size_bytes": value.size_bytes,
        "userId": value.owner,
        "created_at": value.created_at_s,
        "changed_at": value.changed_at_s,
        "used_by": [{"microserviceID": user.service_id, "job_name": user.spec.name} for user in users],
    }


def _with_version(spec: ServiceSpec, ref: ValueRef) -> ServiceSpec:
    attachments = tuple(
        replace(each, ref=ref) if each.ref.value_id == ref.value_id else each for each in spec.attachments
    )
    login = spec.registry_login
    is_login = login is not None and login.value_id == ref.value_id
    return replace(spec, attachments=attachments, registry_login=ref if is_login else login)
