"""A parent's desk for addresses: what each child has of the plan, durable before anybody is told of it."""

import logging
from collections.abc import Iterable, Mapping
from ipaddress import ip_network

from edge_common.addressing.address_plan import Twins, twins_of
from edge_common.addressing.grants import Grants, KeptGrants, Owned, Source
from edge_common.addressing.pool import Network
from edge_common.model.errors import Broken, HedgerowError, InvalidInput
from edge_common.model.ids import ChildId
from edge_common.model.network import Subnet
from edge_common.plumbing.clock import Clock
from edge_common.plumbing.documents.interface import Delete, Documents, Put, Write

logger = logging.getLogger(__name__)

GRANTS = "grants"
RESTING = "grants_resting"


class SubnetDesk:
    """All calls come from the mailbox's thread. Raises Broken when what is kept cannot be."""

    def __init__(self, documents: Documents, source: Source, clock: Clock, ranges: Iterable[Twins]) -> None:
        self._documents = documents
        self._clock = clock
        self._source = source
        self._ranges = tuple(ranges)
        self._loaded: Grants | None = self._load()

    @property
    def _grants(self) -> Grants:
        """Loaded again after a write of which nobody knows whether it happened."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def of(self, child_id: ChildId) -> tuple[Subnet, ...]:
        return tuple(Subnet(str(twins.v4), str(twins.v6)) for twins in self._grants.of(child_id))

    def wants(self, child_id: ChildId, count: int) -> None:
        """Gives or takes back until it has `count`, or as many as there are."""
        if len(self._grants.of(child_id)) == self._grants.allowed(count) and child_id not in self._grants.short:
            return
        new, back = self._grants.give(child_id, count, self._clock.now_s())
        if not new and not back:
            return
        self._write(new, back)
        for one in new:
            logger.info("event=subnet_given child=%s subnet=%s", child_id, one.twins.v4)
        for one in back:
            logger.info("event=subnet_taken_back child=%s subnet=%s", child_id, one.twins.v4)

    def learn(self, child_id: ChildId, held: Iterable[Subnet]) -> None:
        """What a child says it holds and nobody has on record is its own again: our store may be an old copy."""
        known = set(self.of(child_id))
        unknown = [each for each in held if each not in known]
        if not unknown:
            return
        learned = self._grants.learn(child_id, ranges_of(unknown), self._clock.now_s())
        for one in learned:
            logger.warning("event=subnet_learned child=%s subnet=%s", child_id, one.twins.v4)
        if learned:
            self._write(learned, ())

    def short(self) -> frozenset[ChildId]:
        """Children that have fewer than they last asked for."""
        return self._grants.short

    def set_ranges(self, ranges: Iterable[Subnet]) -> None:
        """What is given from, as a parent of ours says it; what makes no sense is left out, and logged."""
        self._ranges = ranges_of(ranges)
        self._grants.set_ranges(self._ranges)

    def wanted_ranges(self) -> int:
        return self._grants.wanted_ranges(self._clock.now_s())

    def _write(self, new: Iterable[Owned], back: Iterable[Owned]) -> None:
        try:
            self._save(new, back)
        except HedgerowError:
            self._loaded = None
            raise

    def _load(self) -> Grants:
        return Grants(self._source, _kept(self._documents), self._ranges)

    def _save(self, new: Iterable[Owned], back: Iterable[Owned]) -> None:
        rests = [[str(network), until_s] for network, until_s in self._grants.resting().items()]
        writes: list[Write] = [Delete(GRANTS, one.owner) for one in back]
        writes += [
            Put(
                GRANTS,
                {
                    "_id": one.owner,
                    "child_id": one.child_id,
                    "number": one.number,
                    "v4": str(one.twins.v4),
                    "v6": str(one.twins.v6),
                },
            )
            for one in new
        ]
        self._documents.bulk([*writes, Put(RESTING, {"_id": RESTING, "until": rests})])


def ranges_of(subnets: Iterable[Subnet]) -> tuple[Twins, ...]:
    return tuple(_understood(subnets))


def _understood(subnets: Iterable[Subnet]) -> Iterable[Twins]:
    for each in subnets:
        try:
            yield twins_of(each)
        except InvalidInput as error:
            logger.warning("event=range_refused detail=%r", str(error))


def _kept(documents: Documents) -> KeptGrants:
    try:
        owned = tuple(
            Owned(ChildId(each["child_id"]), int(each["number"]), Twins(ip_network(each["v4"]), ip_network(each["v6"])))
            for each in documents.find(GRANTS)
        )
        kept: Mapping[str, list[tuple[str, float]]] = documents.get(RESTING, RESTING) or {}
        resting: dict[Network, float] = {ip_network(text): float(until_s) for text, until_s in kept.get("until", [])}
    except (KeyError, TypeError, ValueError) as error:
        raise Broken(f"The stored subnets cannot be read ({error!r}); restore an earlier copy.") from error
    return KeptGrants(owned, resting)
