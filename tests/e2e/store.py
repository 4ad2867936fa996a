"""The whole stack on either store."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.parts.mongo import MongoServer, mongo_server_process
from tests.parts.stack import Stack, stack

STORES = ("sqlite", "mongo")


@dataclass(frozen=True)
class Running:
    """`server` is None with SQLite, which lives in the processes of the services."""

    stack: Stack
    server: MongoServer | None = None


@contextmanager
def stack_on(store: str) -> Iterator[Running]:
    """`store` is one of STORES; a MongoDB server is one of its own, which may be killed."""
    if store == "sqlite":
        with stack() as running:
            yield Running(running)
        return
    with mongo_server_process() as server:
        settings = {
            "HEDGEROW_ROOT_STORE_URL": f"{server.url}/hedgerow_root",
            "HEDGEROW_CLUSTER_STORE_URL": f"{server.url}/hedgerow_cluster",
        }
        with stack(settings) as running:
            yield Running(running, server)
