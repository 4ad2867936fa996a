"""Finds what the operator means by a name or an id."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edge_common.model.errors import InvalidInput, NotFound
from hedgerow.cli.session import Api

Document = Mapping[str, Any]


def find_application(api: Api, name: str) -> Document:
    return pick("application", name, ((a, _application_names(a)) for a in api.get("/api/applications")))


def find_service(api: Api, name: str) -> Document:
    return pick("service", name, ((s, _service_names(s)) for s in api.get("/api/services")))


def find_cluster(api: Api, name: str) -> Document:
    return pick("cluster", name, ((c, (c["cluster_id"], c["cluster_name"])) for c in api.get("/api/clusters")))


def find_node(api: Api, name: str) -> Document:
    return pick("node", name, ((n, _node_names(n)) for n in api.get("/api/nodes")["nodes"]))


def pick(what: str, wanted: str, named: Iterable[tuple[Document, Sequence[str]]]) -> Document:
    """The one that has the name; names that say more win over shorter ones, which more than one may have.

    Raises NotFound for a name that none has, InvalidInput for one that several have.
    """
    candidates = list(named)
    for rank in range(max((len(names) for _, names in candidates), default=0)):
        found = [(document, names) for document, names in candidates if rank < len(names) and names[rank] == wanted]
        if len(found) == 1:
            return found[0][0]
        if found:
            longer = " or ".join(sorted(names[max(rank - 1, 0)] for _, names in found))
            raise InvalidInput(f"There are {len(found)} {what}s named {wanted}; say {longer}.")
    known = sorted(names[-1] for _, names in candidates)
    hint = f"There are: {', '.join(known)}." if known else f"There is no {what} yet."
    raise NotFound(f"There is no {what} named {wanted}. {hint}")


def _application_names(document: Document) -> tuple[str, ...]:
    name, namespace = document["application_name"], document["application_namespace"]
    return (document["applicationID"], f"{name}.{namespace}", name)


def _service_names(document: Document) -> tuple[str, ...]:
    application, service = document["app_name"], document["microservice_name"]
    return (document["microserviceID"], document["job_name"], f"{application}.{service}", service)


def _node_names(document: Document) -> tuple[str, ...]:
    return (document["node_id"], f"{document['cluster_name']}.{document['node_name']}", document["node_name"])
