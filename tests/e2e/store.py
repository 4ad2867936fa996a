"""The whole stack on either store."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.mongo import MongoServer, mongo_server_process
from tests.parts.stack import Stack, stack

STORES = ("sqlite", "mongo")


@dataclass(frozen=True)
class Running:
    """`server` is None with SQLite, which lives in the processes of the services.

    `network_before`: the network devices and nftables rules of this machine before the system was up.
    """

    stack: Stack
    server: MongoServer | None = None
    network_before: frozenset[str] = frozenset()


@contextmanager
def stack_on(store: str) -> Iterator[Running]:
    """`store` is one of STORES; a MongoDB server is one of its own, which may be killed."""
    before = kernel_network()
    if store == "sqlite":
        with stack() as running:
            yield Running(running, network_before=before)
        return
    with mongo_server_process() as server:
        settings = {
            "HEDGEROW_ROOT_STORE_URL": f"{server.url}/hedgerow_root",
            "HEDGEROW_CLUSTER_STORE_URL": f"{server.url}/hedgerow_cluster",
        }
        with stack(settings) as running:
            yield Running(running, server, before)


def kernel_network() -> frozenset[str]:
    """The network devices and, where nftables is installed, its rules."""
    rules = ""
    if nft := shutil.which("nft"):
        command = [nft, "list", "ruleset"]
        rules = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    return frozenset({*(path.name for path in Path("/sys/class/net").iterdir()), *rules.splitlines()})
