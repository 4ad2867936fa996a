"""The one writer of secrets and configuration objects, and the one place that opens them. On the mailbox's thread."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from edge_common.link.sealer import Sealer
from edge_common.model.errors import Broken, Conflict, NotFound
from edge_common.model.service import ServiceSpec
from edge_common.model.values import SealedValue, ValueId, ValueKind, ValueRef, sealing_context
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.vault import Locked, Vault
from root_orchestrator.core.attachments import Known, names_values, resolved
from root_orchestrator.core.permissions import Actor, Permission, Resource, Scope, Verb, check, scope_of
from root_orchestrator.core.records import ServiceIntent
from root_orchestrator.core.stored_values import StoredValue, checked_name, checked_size, refuse_use, rolled, users_of
from root_orchestrator.ports import IntentStore, Nudge, ValueStore

RESOURCES = {ValueKind.SECRET: Resource.SECRET, ValueKind.CONFIG: Resource.CONFIG}


@dataclass(frozen=True, slots=True)
class ValueChange:
    """`rolled` are the services whose instances are replaced for it."""

    value: StoredValue
    rolled: tuple[ServiceIntent, ...] = ()


class Values:
    """Commands take who asks; what is not theirs to see is not found."""

    def __init__(
        self,
        store: ValueStore,
        intents: IntentStore,
        vault: Vault,
        nudge: Nudge,
        new_id: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._store = store
        self._intents = intents
        self._vault = vault
        self._nudge = nudge
        self._new_id = new_id
        self._clock = clock
        self._sealer = Sealer(vault.sealing)

    def create(self, actor: Actor, kind: ValueKind, name: str, data: bytes) -> StoredValue:
        """Raises Conflict when they have one of that name."""
        checked_name(name)
        if self._store.named(kind, actor.username, name) is not None:
            raise Conflict(f"name: you already have a {kind} {name}; update it, or take another name.")
        now_s = self._clock.now_s()
        value = StoredValue(
            value_id=ValueId(self._new_id()),
            kind=kind,
            name=name,
            owner=actor.username,
            organization=actor.organization,
            key_id=self._vault.key_id,
            locked="",
            size_bytes=checked_size(data),
            created_at_s=now_s,
            changed_at_s=now_s,
        )
        value = self._locked(value, data)
        self._store.write(value)
        return value

    def change(self, actor: Actor, kind: ValueKind, name: str, data: bytes) -> ValueChange:
        """A new version, and with it a new spec for each service that uses it; nothing when it is the same value.

        Services that an interrupted change left at an older version follow in any case.
        """
        known = self.visible(actor, kind, name, Verb.CHANGE)
        size_bytes = checked_size(data)
        value = known if self.read(known) == data else self._next(known, data, size_bytes)
        services = rolled(value, self.users_of(known), self._clock.now_s())
        if services or value != known:
            self._store.write(value, services)
            self._nudge.services_changed([service.service_id for service in services])
        return ValueChange(value, services)

    def delete(self, actor: Actor, kind: ValueKind, name: str) -> StoredValue:
        """Raises Conflict while a service uses it."""
        value = self.visible(actor, kind, name, Verb.DELETE)
        refuse_use(value, self.users_of(value))
        self._store.delete(value)
        return value

    def visible(self, actor: Actor, kind: ValueKind, name: str, verb: Verb) -> StoredValue:
        """By name when it is one's own, by id in any case. Raises NotFound in the same words for somebody else's."""
        value = self._store.named(kind, actor.username, name) or self._store.value(kind, ValueId(name))
        missing = f"There is no {kind} {name}."
        if value is None:
            raise NotFound(missing)
        check(actor, Permission(verb, RESOURCES[kind]), value.organization, value.owner, missing)
        return value

    def users_of(self, value: StoredValue) -> list[ServiceIntent]:
        return users_of(value, self.services_of(value.owner))

    def services_of(self, owner: str) -> list[ServiceIntent]:
        owned = self._intents.applications(owner)
        return self._intents.services([each.application_id for each in owned])

    def listed(self, actor: Actor, kind: ValueKind) -> list[StoredValue]:
        """Those that they may see, by name."""
        match scope_of(actor, Verb.READ, RESOURCES[kind]):
            case Scope.EVERYTHING:
                return self._store.values(kind)
            case Scope.ORGANIZATION:
                return self._store.values(kind, actor.organization)
            case Scope.OWN:
                return [value for value in self._store.owned(actor.username) if value.kind is kind]
            case _:
                return []

    def read(self, value: StoredValue) -> bytes:
        """Raises Broken."""
        return self._vault.unlock(
            Locked(value.key_id, value.locked), sealing_context(value.value_id, value.value_version)
        )

    def resolved(self, spec: ServiceSpec, path: str, owner: str) -> ServiceSpec:
        """With the present versions of what it names, of those that `owner` has. Raises InvalidInput."""
        return resolved(spec, path, self._known(owner)) if names_values(spec) else spec

    def renewed(self, spec: ServiceSpec, owner: str) -> ServiceSpec:
        """The same, of a spec that was good before. Raises InvalidInput."""
        return self.resolved(spec, f"service {spec.name}", owner)

    def sealed(self, specs: Iterable[ServiceSpec], recipient: str) -> tuple[SealedValue, ...]:
        """All that these specs name, for one cluster. What cannot be sealed is left out, and logged."""
        refs = dict.fromkeys(ref for spec in specs for ref in spec.values)
        return self._sealer.seal_all(refs, recipient, self._open)

    def _known(self, owner: str) -> Known:
        return {(value.kind, value.name): value.ref for value in self._store.owned(owner)}

    def _open(self, ref: ValueRef) -> bytes:
        value = self._store.value(ref.kind, ref.value_id)
        if value is None or value.value_version != ref.version:
            raise Broken(f"The {ref} is not in the store.")
        return self.read(value)

    def _next(self, known: StoredValue, data: bytes, size_bytes: int) -> StoredValue:
        version, now_s = known.value_version + 1, self._clock.now_s()
        return self._locked(replace(known, value_version=version, size_bytes=size_bytes, changed_at_s=now_s), data)

    def _locked(self, value: StoredValue, data: bytes) -> StoredValue:
        locked = self._vault.lock(data, sealing_context(value.value_id, value.value_version))
        return replace(value, key_id=locked.key_id, locked=locked.text)
