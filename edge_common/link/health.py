"""How a tier's children do, as its core asks: looked up in the links when needed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edge_common.link.parent import ParentLinks
from edge_common.model.ids import ChildId
from edge_common.model.node import ChildHealth


@dataclass(frozen=True, slots=True)
class LinkHealth(Mapping[ChildId, ChildHealth]):
    links: ParentLinks

    def __getitem__(self, child_id: ChildId) -> ChildHealth:
        if child_id not in self.links:
            raise KeyError(child_id)
        return ChildHealth(self.links.readiness(child_id), self.links.unheard_s(child_id))

    def __iter__(self) -> Iterator[ChildId]:
        return iter(self.links.child_ids())

    def __len__(self) -> int:
        return len(self.links.child_ids())
