"""What a backend acknowledged is there after a kill -9; what only a real file or server can show."""

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from edge_common.model.errors import Broken, Incompatible, Unreachable
from edge_common.plumbing.documents.interface import Change, Document, Index
from edge_common.plumbing.documents.mongo import MongoDocuments
from edge_common.plumbing.documents.mongo_watch import MongoSubscription
from edge_common.plumbing.documents.open import open_documents
from edge_common.plumbing.documents.sqlite import SqliteDocuments
from tests.parts.mongo import MongoServer
from tests.support import eventually, free_port

WRITER = """
import sys
from edge_common.plumbing.documents.interface import Put
from edge_common.plumbing.documents.open import open_documents

store = open_documents(sys.argv[1])
number = 0
while True:
    if number % 10 == 9:
        store.bulk([Put("facts", {"_id": f"{number}.{part}"}) for part in range(5)])
        print(f"{number}.4", flush=True)
    else:
        store.insert("facts", {"_id": f"{number}"})
        print(number, flush=True)
    number += 1
"""


def acknowledged(writer: "subprocess.Popen[str]", count: int) -> list[str]:
    if writer.stdout is None:
        raise ValueError("the writer has no output")
    return [line.strip() for line, _ in zip(writer.stdout, range(count), strict=False)]


def start_writer(url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True)


def finish(writer: "subprocess.Popen[str]") -> list[str]:
    """Kills the writer and returns what else it had acknowledged."""
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate(timeout=30)
    return rest.split()


def check_endured(url: str, promised: list[str]) -> None:
    store = open_documents(url)
    stored = {found["_id"] for found in store.find("facts")}
    store.close()
    assert len(promised) >= 200
    assert [document_id for document_id in promised if document_id not in stored] == []
    bulks = {document_id.partition(".")[0] for document_id in promised if "." in document_id}
    assert [number for number in bulks for part in range(5) if f"{number}.{part}" not in stored] == []


class TestSqlite:
    def test_a_killed_writer_loses_nothing_it_acknowledged(self, tmp_path: Path) -> None:
        url = f"sqlite://{tmp_path / 'store.db'}"
        writer = start_writer(url)
        promised = acknowledged(writer, 300)
        promised += finish(writer)
        check_endured(url, promised)

    def test_files_are_for_their_owner_only(self, tmp_path: Path) -> None:
        store = SqliteDocuments(tmp_path / "deep" / "store.db")
        store.put("nodes", {"_id": "n1"})
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep").iterdir()}
        store.close()
        assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}

    def test_a_later_process_keeps_unique_values_apart(self, tmp_path: Path) -> None:
        path = tmp_path / "store.db"
        first = SqliteDocuments(path)
        first.ensure([Index("users", ("name",), is_unique=True)])
        first.insert("users", {"_id": "u1", "name": "ann"})
        first.close()
        second = SqliteDocuments(path)
        assert second.get("users", "u1") == {"_id": "u1", "name": "ann", "version": 1}
        assert second.find("users", {"name": "ann"}) == [{"_id": "u1", "name": "ann", "version": 1}]
        second.close()

    def test_a_file_that_is_no_database_is_said_to_be_broken(self, tmp_path: Path) -> None:
        path = tmp_path / "store.db"
        path.write_text("these are my notes " * 100)
        with pytest.raises(Broken, match="not a database"):
            SqliteDocuments(path)

    def test_a_place_where_nothing_can_be_made_is_said_to_be_broken(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(Broken, match="cannot be created"):
            SqliteDocuments(tmp_path / "file" / "store.db")

    def test_a_newer_format_is_refused(self, tmp_path: Path) -> None:
        store = SqliteDocuments(tmp_path / "store.db")
        store._writer.execute("PRAGMA user_version = 99")
        store.close()
        with pytest.raises(Incompatible):
            SqliteDocuments(tmp_path / "store.db")

    def test_a_closed_store_does_not_answer(self, tmp_path: Path) -> None:
        store = SqliteDocuments(tmp_path / "store.db")
        store.put("nodes", {"_id": "n1"})
        store.close()
        with pytest.raises(Unreachable):
            store.get("nodes", "n1")
        with pytest.raises(Unreachable):
            store.put("nodes", {"_id": "n1"})

    @pytest.mark.parametrize(
        "where", [{"name": "x"}, {"owner.id": "o", "kind": "k"}, {"owner.id": ["o", "p"], "kind": "k"}]
    )
    def test_lookups_use_the_index(self, tmp_path: Path, where: dict[str, str]) -> None:
        store = SqliteDocuments(tmp_path / "store.db")
        store.ensure([Index("things", ("name",), is_unique=True), Index("things", ("owner.id", "kind"))])
        plan = explain(store, where)
        store.close()
        assert "SEARCH things USING INDEX" in plan

    def test_it_does_not_cost_the_memory_of_other_backends(self, tmp_path: Path) -> None:
        code = (
            "import sys; from edge_common.plumbing import http_client, mailbox, settings;"
            "from edge_common.plumbing.documents.open import open_documents;"
            "open_documents(sys.argv[1]).close();"
            "print({'pymongo', 'bson', 'urllib3', 'flask'} & sys.modules.keys())"
        )
        url = f"sqlite://{tmp_path / 'store.db'}"
        done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, timeout=30)
        assert (done.stdout, done.stderr) == ("set()\n", "")


def explain(store: SqliteDocuments, where: dict[str, str]) -> str:
    statements: list[str] = []
    with store._reader() as reader:
        reader.set_trace_callback(statements.append)
    store.find("things", where)
    with store._reader() as reader:
        reader.set_trace_callback(None)
        plan = reader.execute(f"EXPLAIN QUERY PLAN {statements[-1]}").fetchall()
    return json.dumps(plan)


@pytest.mark.real
class TestMongo:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[MongoServer]:
        server = MongoServer(tmp_path)
        server.start()
        yield server
        server.stop()

    def test_a_killed_server_loses_nothing_it_acknowledged(self, server: MongoServer) -> None:
        url = f"{server.url}/endure"
        writer = start_writer(url)
        promised = acknowledged(writer, 300)
        server.kill()
        promised += finish(writer)
        server.start()
        check_endured(url, promised)

    def test_a_watcher_and_a_client_outlive_the_server(self, server: MongoServer) -> None:
        store = open_documents(f"{server.url}/outlive")
        heard: list[Change] = []
        subscription = store.watch("nodes", heard.append)
        store.put("nodes", {"_id": "n1"})
        eventually(lambda: Change("nodes", "n1") in heard)
        server.kill()
        with pytest.raises(Unreachable):
            store.get("nodes", "n1")
        server.start()
        assert store.get("nodes", "n1") == {"_id": "n1", "version": 1}
        store.put("nodes", {"_id": "n2"})
        eventually(lambda: Change("nodes", "n2") in heard, timeout_s=20)
        subscription.close()
        store.close()

    def test_a_server_that_is_not_there_is_unreachable(self) -> None:
        store = MongoDocuments(f"mongodb://127.0.0.1:{free_port()}/none?serverselectiontimeoutms=200")
        with pytest.raises(Unreachable, match="did not answer"):
            store.get("nodes", "n1")
        store.close()

    def test_without_change_streams_it_looks_for_itself(self, mongo_url: str) -> None:
        client: MongoClient[Document] = MongoClient(mongo_url)
        collection = client["polled"]["nodes"]
        collection.insert_many([{"_id": "gone", "version": 1}, {"_id": "same", "version": 1}])
        heard: list[Change] = []
        subscription = MongoSubscription(collection, heard.append, poll_every_s=0.05, has_streams=False)
        collection.insert_one({"_id": "new", "version": 1})
        eventually(lambda: heard == [Change("nodes", "new")])
        collection.update_one({"_id": "new"}, {"$set": {"version": 2}})
        eventually(lambda: heard[1:] == [Change("nodes", "new")])
        collection.delete_one({"_id": "gone"})
        eventually(lambda: heard[2:] == [Change("nodes", "gone")])
        subscription.close()
        client.drop_database("polled")
        client.close()
