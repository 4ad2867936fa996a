"""What NetManager keeps, over the document interface."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Interface, IPv6Interface, ip_network

from edge_common.addressing.address_plan import Twins
from edge_common.addressing.pool import Network
from edge_common.model.errors import Broken
from edge_common.model.ids import InstanceId
from edge_common.model.network import PortMapping, Transport
from edge_common.plumbing.documents.interface import Delete, Document, Documents, Put, Write
from net_manager.core.places import Kept, Place

SUBNETS = "subnets"
INSTANCES = "instances"
RESTING = "resting"


class DocumentPlaceStore:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def load(self) -> Kept:
        """Raises Broken for what nobody could have written here."""
        try:
            found = self._documents.get(SUBNETS, SUBNETS)
            resting = self._documents.get(RESTING, RESTING)
            return Kept(
                tuple(_twins(each) for each in found["subnets"]) if found else (),
                tuple(_place(each) for each in self._documents.find(INSTANCES)),
                {ip_network(network): float(until_s) for network, until_s in resting["until"]} if resting else {},
                is_fresh=found is None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Broken(f"The stored addresses of instances cannot be read ({error!r}); restore a copy.") from error

    def save_subnets(self, subnets: Iterable[Twins]) -> None:
        texts = [{"v4": str(each.v4), "v6": str(each.v6)} for each in subnets]
        self._documents.put(SUBNETS, {"_id": SUBNETS, "subnets": texts})

    def put(self, place: Place) -> None:
        document = {
            "_id": place.instance_id,
            "v4": str(place.v4),
            "v6": str(place.v6),
            "ports": [[port.host_port, port.instance_port, port.transport] for port in place.ports],
            "is_adopted": place.is_adopted,
        }
        self._documents.put(INSTANCES, document)

    def remove(self, instance_id: InstanceId, resting: Mapping[Network, float]) -> None:
        until = [[str(network), until_s] for network, until_s in resting.items()]
        writes: list[Write] = [Delete(INSTANCES, instance_id), Put(RESTING, {"_id": RESTING, "until": until})]
        self._documents.bulk(writes)


def _twins(document: Mapping[str, str]) -> Twins:
    return Twins(ip_network(document["v4"]), ip_network(document["v6"]))


def _place(document: Document) -> Place:
    return Place(
        InstanceId(document["_id"]),
        IPv4Interface(document["v4"]),
        IPv6Interface(document["v6"]),
        tuple(PortMapping(int(outer), int(inner), Transport(how)) for outer, inner, how in document["ports"]),
        bool(document["is_adopted"]),
    )
