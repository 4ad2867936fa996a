"""The whole stack on either store."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.parts.mongo import MongoServer, mongo_server_process
from tests.parts.stack import Stack, stack


@contextmanager
def stack_on(store: str) -> Iterator[tuple[Stack, MongoServer | None]]:
    """`store` is "sqlite" or "mongo"; the latter is a server of its own."""
    if store == "sqlite":
        with stack() as running:
            yield running, None
        return
    with mongo_server_process() as server:
        settings = {
            "HEDGEROW_ROOT_STORE_URL": f"{server.url}/hedgerow_root",
            "HEDGEROW_CLUSTER_STORE_URL": f"{server.url}/hedgerow_cluster",
        }
        with stack(settings) as running:
            yield running, server
