"""A MongoDB-compatible server of one's own, as a separate process."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymongo
from pymongo.errors import PyMongoError

from tests.support import eventually, free_port

_STOP_S = 5.0


class MongoServer:
    """SecantusDB, told to be durable at each acknowledgement."""

    def __init__(self, storage: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self._storage = storage
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    def start(self) -> None:
        if self._process is not None:
            self._process.wait()
        executable = Path(sys.executable).parent / "secantusd-py"
        self._process = subprocess.Popen(
            [executable, "--port", str(self.port), "--storage-path", self._storage, "--sync-on-commit"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(lambda: answers(self.url), timeout_s=30, message=f"SecantusDB on port {self.port}")

    def kill(self) -> None:
        """As a power cut would, as far as the process is concerned."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None


def answers(url: str) -> bool:
    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
        url, serverSelectionTimeoutMS=500, connectTimeoutMS=500, socketTimeoutMS=2000
    )
    try:
        client.admin.command("ping")
        return True
    except PyMongoError:
        return False
    finally:
        client.close()


@contextmanager
def mongo_server_process() -> Iterator[MongoServer]:
    """One that the test may kill and start again."""
    storage = Path(tempfile.mkdtemp(prefix="hedgerow-mongo-"))
    server = MongoServer(storage)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(storage, ignore_errors=True)


@contextmanager
def mongo_server() -> Iterator[str]:
    """The URL, without a database, of the server that HEDGEROW_MONGO_URL names, else of a new one."""
    given = os.environ.get("HEDGEROW_MONGO_URL")
    if given:
        yield given.rstrip("/")
        return
    with mongo_server_process() as server:
        yield server.url
