"""One process at a time acts on a store, whatever the backend."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge_common.model.errors import Broken
from edge_common.plumbing.data_dir import DataDirectory
from edge_common.plumbing.documents.interface import Documents
from edge_common.plumbing.documents.lease import COLLECTION, DOCUMENT_ID, LOST_STATUS, StoreLease
from tests.contract.test_documents import BACKENDS, store, url
from tests.parts.mongo import mongo_server_process
from tests.support import eventually

__all__ = ["BACKENDS", "store", "url"]

LENGTH_S = 0.6

HOLDER = """
import sys, time
from pathlib import Path
from edge_common.plumbing.data_dir import DataDirectory
from edge_common.plumbing.documents.lease import StoreLease
from edge_common.plumbing.documents.open import open_documents

url, directory, length_s = sys.argv[1:]
lease = StoreLease(open_documents(url), DataDirectory(Path(directory)), "root", float(length_s))
print("waits", flush=True)
lease.take()
print("acts", flush=True)
sys.stdin.read()
lease.stop()
"""


class Contender:
    """Somebody with a data directory of their own who wants to act on the store."""

    def __init__(self, documents: Documents, directory: Path) -> None:
        self.losses: list[str] = []
        self.lease = StoreLease(documents, DataDirectory(directory), "root", LENGTH_S, self.losses.append)
        self._thread = threading.Thread(target=self.lease.take, daemon=True)

    def begin(self) -> "Contender":
        self._thread.start()
        return self

    def wait(self) -> "Contender":
        eventually(lambda: self.lease.is_held, message="taking the lease")
        return self

    def end(self) -> None:
        self.lease.stop()
        if self._thread.ident is not None:
            self._thread.join(10)


@pytest.fixture
def contenders(store: Documents, tmp_path: Path) -> Iterator["Contenders"]:
    with ExitStack() as stack:
        yield Contenders(store, tmp_path, stack)


class Contenders:
    def __init__(self, documents: Documents, folder: Path, stack: ExitStack) -> None:
        self._documents = documents
        self._folder = folder
        self._stack = stack

    def begin(self, name: str) -> Contender:
        contender = Contender(self._documents, self._folder / name)
        self._stack.callback(contender.end)
        return contender.begin()


def renewals(store: Documents) -> int:
    return int((store.get(COLLECTION, DOCUMENT_ID) or {"version": 0})["version"])


class TestStoreLease:
    def test_a_second_one_waits_for_as_long_as_the_first_renews(self, store: Documents, contenders: Contenders) -> None:
        first = contenders.begin("a").wait()
        second = contenders.begin("b")
        before = renewals(store)
        eventually(lambda: renewals(store) > before + 10, message="ten renewals")
        assert first.lease.is_held
        assert not second.lease.is_held
        assert first.losses == []

    def test_what_is_given_back_is_taken_at_once(self, contenders: Contenders) -> None:
        first = contenders.begin("a").wait()
        second = contenders.begin("b")
        first.end()
        second.wait()
        assert first.losses == []

    def test_who_finds_another_in_its_place_stops(self, store: Documents, contenders: Contenders) -> None:
        first = contenders.begin("a").wait()
        found = store.get(COLLECTION, DOCUMENT_ID)
        assert found is not None
        store.put(COLLECTION, found | {"holder": "c", "process": "c", "where": "elsewhere pid 7"})
        eventually(lambda: first.losses)
        assert first.losses == ["elsewhere pid 7 has taken it"]
        assert not first.lease.is_held

    def test_the_store_of_another_tier_is_refused(
        self, contenders: Contenders, store: Documents, tmp_path: Path
    ) -> None:
        contenders.begin("a").wait()
        lease = StoreLease(store, DataDirectory(tmp_path / "b"), "cluster", LENGTH_S)
        with pytest.raises(Broken, match="This store is a root's"):
            lease.take()
        lease.stop()

    def test_one_data_directory_has_one_process(self, contenders: Contenders) -> None:
        first = contenders.begin("a").wait()
        second = contenders.begin("a")
        assert not second.lease.is_held
        first.end()
        second.wait()


@pytest.fixture
def processes() -> Iterator[list["subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate(timeout=10)


def start(
    processes: list["subprocess.Popen[str]"], url: str, directory: Path, length_s: float
) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url, str(directory), str(length_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    processes.append(process)
    assert line(process) == "waits"
    return process


def line(process: "subprocess.Popen[str]") -> str:
    if process.stdout is None:
        raise ValueError("the process has no output")
    return process.stdout.readline().strip()


class TestProcesses:
    def test_a_killed_process_is_followed_at_once_by_its_own_successor(
        self, tmp_path: Path, processes: list["subprocess.Popen[str]"]
    ) -> None:
        url = f"sqlite://{tmp_path / 'store.db'}"
        first = start(processes, url, tmp_path / "a", 600.0)
        assert line(first) == "acts"
        first.kill()
        first.wait()
        second = start(processes, url, tmp_path / "a", 600.0)
        assert line(second) == "acts"

    def test_a_killed_process_is_followed_by_a_standby_when_its_lease_has_run_out(
        self, tmp_path: Path, processes: list["subprocess.Popen[str]"]
    ) -> None:
        url = f"sqlite://{tmp_path / 'store.db'}"
        first = start(processes, url, tmp_path / "a", 1.0)
        assert line(first) == "acts"
        standby = start(processes, url, tmp_path / "b", 1.0)
        first.kill()
        assert line(standby) == "acts"

    @pytest.mark.real
    def test_a_process_whose_store_is_gone_ends(self, tmp_path: Path, processes: list["subprocess.Popen[str]"]) -> None:
        with mongo_server_process() as server:
            first = start(processes, f"{server.url}/lease", tmp_path / "a", 1.5)
            assert line(first) == "acts"
            server.kill()
            assert first.wait(10) == LOST_STATUS
            server.start()
            second = start(processes, f"{server.url}/lease", tmp_path / "b", 1.5)
            assert line(second) == "acts"
