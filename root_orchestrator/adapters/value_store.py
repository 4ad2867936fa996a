"""Secrets and configuration objects in a document database, encrypted."""

from collections.abc import Sequence
from pathlib import Path

from edge_common.model.errors import Broken, Conflict
from edge_common.model.values import ValueId, ValueKind
from edge_common.plumbing.documents.codec import decode, encode
from edge_common.plumbing.documents.interface import Documents, Index, Insert, Replace, Write
from edge_common.plumbing.vault import Vault, open_vault
from root_orchestrator.adapters.intent_store import SERVICES
from root_orchestrator.core.records import ServiceIntent
from root_orchestrator.core.stored_values import StoredValue

COLLECTIONS = {ValueKind.SECRET: "secrets", ValueKind.CONFIG: "configs"}
KEYS = "vault"
INDEXES = tuple(
    index
    for each in COLLECTIONS.values()
    for index in (Index(each, ("owner", "name"), is_unique=True), Index(each, ("organization",)))
)


class DocumentValueStore:
    """Implements ValueStore."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        documents.ensure(INDEXES)

    def value(self, kind: ValueKind, value_id: ValueId) -> StoredValue | None:
        document = self._documents.get(COLLECTIONS[kind], value_id)
        return None if document is None else decode(StoredValue, document)

    def named(self, kind: ValueKind, owner: str, name: str) -> StoredValue | None:
        found = self._find(kind, {"owner": owner, "name": name})
        return found[0] if found else None

    def owned(self, owner: str) -> list[StoredValue]:
        return [value for kind in ValueKind for value in self._find(kind, {"owner": owner})]

    def values(self, kind: ValueKind, organization: str | None = None) -> list[StoredValue]:
        return self._find(kind, None if organization is None else {"organization": organization})

    def write(self, value: StoredValue, services: Sequence[ServiceIntent] = ()) -> None:
        writes: list[Write] = [_value_write(value)]
        writes += [
            Replace(SERVICES, encode(service, service.service_id), if_version=service.version) for service in services
        ]
        if not all(self._documents.bulk(writes)):
            raise Conflict("Somebody else changed this at the same moment; look at it again and repeat the command.")

    def delete(self, value: StoredValue) -> None:
        self._documents.delete(COLLECTIONS[value.kind], value.value_id)

    def open_vault(self, file: Path) -> Vault:
        """With the key in `file`, made at the first start; its id is kept here. Raises Broken for another one."""
        kept = self._documents.get(KEYS, "key")
        if kept is not None and not file.exists():
            raise Broken(
                f"{file} is missing: the stored secrets were encrypted with the key {kept['key_id']} in it. "
                "Put it back from a backup; without it they cannot be read by anybody."
            )
        vault = open_vault(file)
        if kept is None:
            self._documents.put(KEYS, {"_id": "key", "key_id": vault.key_id})
        else:
            vault.check(str(kept["key_id"]))
        return vault

    def _find(self, kind: ValueKind, where: dict[str, str] | None) -> list[StoredValue]:
        return [decode(StoredValue, each) for each in self._documents.find(COLLECTIONS[kind], where, order_by="name")]


def _value_write(value: StoredValue) -> Write:
    collection, document = COLLECTIONS[value.kind], encode(value, value.value_id)
    return Replace(collection, document, if_version=value.version) if value.version else Insert(collection, document)
