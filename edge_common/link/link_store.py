"""What a parent keeps of its links: each child's last revision, and what it last said of each service."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from edge_common.model.ids import ChildId, ServiceId
from edge_common.model.network import Subnet
from edge_common.plumbing.documents.interface import Delete, Documents, Index, Put, Write

CHILDREN = "links"
SERVICES = "link_services"
INDEXES = (Index(SERVICES, ("child_id",)),)


@dataclass(frozen=True, slots=True)
class Published:
    """`digest` is of the document without its revision."""

    revision: int
    digest: str


@dataclass(frozen=True, slots=True)
class LinkChange:
    """To be durable before a message of `revision` is sent."""

    child_id: ChildId
    revision: int
    puts: Mapping[ServiceId, Published]
    removed: tuple[ServiceId, ...] = ()
    subnets: tuple[Subnet, ...] = ()


class LinkStore(Protocol):
    def load(self, child_id: ChildId) -> tuple[int, dict[ServiceId, Published]]: ...

    def subnets(self, child_id: ChildId) -> tuple[Subnet, ...]:
        """As they were last said."""

    def save(self, changes: Iterable[LinkChange]) -> None: ...

    def forget(self, child_id: ChildId) -> None: ...


class DocumentLinkStore:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        documents.ensure(INDEXES)

    def load(self, child_id: ChildId) -> tuple[int, dict[ServiceId, Published]]:
        kept = self._documents.get(CHILDREN, child_id)
        found = self._documents.find(SERVICES, {"child_id": child_id})
        published = {
            ServiceId(each["service_id"]): Published(int(each["revision"]), str(each["digest"])) for each in found
        }
        return (int(kept["revision"]) if kept else 0), published

    def subnets(self, child_id: ChildId) -> tuple[Subnet, ...]:
        kept = self._documents.get(CHILDREN, child_id)
        return tuple(Subnet(each["v4"], each["v6"]) for each in kept.get("subnets", ())) if kept else ()

    def save(self, changes: Iterable[LinkChange]) -> None:
        writes: list[Write] = []
        for change in changes:
            subnets = [{"v4": each.v4, "v6": each.v6} for each in change.subnets]
            writes.append(Put(CHILDREN, {"_id": change.child_id, "revision": change.revision, "subnets": subnets}))
            for service_id, published in change.puts.items():
                document = {
                    "_id": _key(change.child_id, service_id),
                    "child_id": change.child_id,
                    "service_id": service_id,
                    "revision": published.revision,
                    "digest": published.digest,
                }
                writes.append(Put(SERVICES, document))
            writes += [Delete(SERVICES, _key(change.child_id, service_id)) for service_id in change.removed]
        if writes:
            self._documents.bulk(writes)

    def forget(self, child_id: ChildId) -> None:
        found = self._documents.find(SERVICES, {"child_id": child_id})
        self._documents.bulk([Delete(CHILDREN, child_id), *(Delete(SERVICES, str(each["_id"])) for each in found)])


def _key(child_id: ChildId, service_id: ServiceId) -> str:
    return f"{child_id}/{service_id}"
