"""What every document store must do, against all backends."""

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_common.model.errors import Conflict, InvalidInput
from edge_common.plumbing.documents.interface import (
    Change,
    Delete,
    Document,
    Documents,
    Index,
    Insert,
    Put,
    Replace,
)
from edge_common.plumbing.documents.open import open_documents
from tests.support import eventually

BACKENDS = ["memory", "sqlite", pytest.param("mongo", marks=pytest.mark.real)]


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "memory":
            return "memory:"
        case "sqlite":
            return f"sqlite://{tmp_path / 'store.db'}"
        case _:
            return f"{request.getfixturevalue('mongo_url')}/contract_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def store(url: str) -> Iterator[Documents]:
    documents = open_documents(url)
    yield documents
    documents.close()


def ids(found: list[Document]) -> list[str]:
    return [document["_id"] for document in found]


class TestDocuments:
    def test_what_is_not_there_is_none(self, store: Documents) -> None:
        assert store.get("nodes", "n1") is None
        assert store.find("nodes") == []
        assert store.find("nodes", {"name": "a"}, limit=3) == []
        assert store.delete("nodes", "n1") is False

    def test_a_document_comes_back_as_it_was_with_a_version(self, store: Documents) -> None:
        document: Document = {
            "_id": "n1",
            "text": "Übergröße \u2603 \U0001f33f",
            "none": None,
            "number": 2**53 + 1,
            "fraction": 0.1,
            "truth": True,
            "list": [1, "two", [3.5, None], {"deep": False}],
            "labels": {"example.org/zone": "a.b", "$ref": {"$inc": 1}, "": "empty", "a": {"b": {"c": []}}},
        }
        store.insert("nodes", document)
        assert store.get("nodes", "n1") == document | {"version": 1}
        assert "version" not in document

    def test_a_value_that_looks_like_an_expression_is_only_a_value(self, store: Documents) -> None:
        for write in (store.insert, store.put):
            write("nodes", {"_id": write.__name__, "command": ["$HOME", "$$ROOT"], "value": "$name"})
        store.put("nodes", {"_id": "put", "command": ["$HOME"], "value": "$name", "add": {"$add": [1, 2]}})
        assert store.replace("nodes", {"_id": "insert", "value": "$name", "add": {"$add": [1, 2]}}, 1)
        assert store.find("nodes") == [
            {"_id": "insert", "version": 2, "value": "$name", "add": {"$add": [1, 2]}},
            {"_id": "put", "version": 2, "command": ["$HOME"], "value": "$name", "add": {"$add": [1, 2]}},
        ]

    def test_what_comes_out_is_a_copy(self, store: Documents) -> None:
        document: Document = {"_id": "n1", "labels": {"zone": "a"}}
        store.insert("nodes", document)
        document["labels"]["zone"] = "changed by the writer"
        found = store.get("nodes", "n1")
        assert found is not None
        found["labels"]["zone"] = "changed by a reader"
        assert store.find("nodes") == [{"_id": "n1", "labels": {"zone": "a"}, "version": 1}]

    def test_versions_grow_by_one_with_each_write(self, store: Documents) -> None:
        store.insert("nodes", {"_id": "n1", "version": 40})
        assert store.replace("nodes", {"_id": "n1", "a": 1, "version": 99}, 1)
        store.put("nodes", {"_id": "n1", "a": 2, "version": 7})
        assert store.get("nodes", "n1") == {"_id": "n1", "a": 2, "version": 3}
        store.put("nodes", {"_id": "n2", "version": 7})
        assert store.get("nodes", "n2") == {"_id": "n2", "version": 1}
        assert ids(store.find("nodes", {"version": 3})) == ["n1"]

    def test_a_document_that_comes_again_starts_again(self, store: Documents) -> None:
        store.put("nodes", {"_id": "n1"})
        store.put("nodes", {"_id": "n1"})
        assert store.delete("nodes", "n1") is True
        store.insert("nodes", {"_id": "n1"})
        assert store.get("nodes", "n1") == {"_id": "n1", "version": 1}

    def test_replace_needs_the_version_that_is_there(self, store: Documents) -> None:
        assert not store.replace("nodes", {"_id": "n1"}, 0)
        assert not store.replace("nodes", {"_id": "n1"}, 1)
        store.insert("nodes", {"_id": "n1", "a": 1})
        assert not store.replace("nodes", {"_id": "n1", "a": 2}, 2)
        assert store.replace("nodes", {"_id": "n1", "a": 2}, 1)
        assert not store.replace("nodes", {"_id": "n1", "a": 3}, 1)
        assert store.get("nodes", "n1") == {"_id": "n1", "a": 2, "version": 2}

    def test_replace_leaves_nothing_of_what_was(self, store: Documents) -> None:
        store.insert("nodes", {"_id": "n1", "old": 1, "both": {"x": 1, "y": 2}})
        assert store.replace("nodes", {"_id": "n1", "both": {"x": 3}}, 1)
        store.put("nodes", {"_id": "n1", "new": 1})
        assert store.get("nodes", "n1") == {"_id": "n1", "new": 1, "version": 3}

    def test_an_id_is_taken_once(self, store: Documents) -> None:
        store.insert("nodes", {"_id": "n1", "a": 1})
        with pytest.raises(Conflict):
            store.insert("nodes", {"_id": "n1", "a": 2})
        assert store.get("nodes", "n1") == {"_id": "n1", "a": 1, "version": 1}

    def test_ids_may_be_any_text(self, store: Documents) -> None:
        odd = ["a.b", "$set", "x'; DROP TABLE nodes; --", 'quo"te', " ", "ü", "a/b/c", "%"]
        for document_id in odd:
            store.insert("nodes", {"_id": document_id})
        assert ids(store.find("nodes")) == sorted(odd)
        assert [store.get("nodes", document_id) for document_id in odd] == [{"_id": i, "version": 1} for i in odd]

    def test_indexes_may_be_asked_for_again(self, store: Documents) -> None:
        for _ in range(2):
            store.ensure([Index("users", ("name",), is_unique=True), Index("users", ("a.b", "c"))])
        store.insert("users", {"_id": "u1", "name": "ann", "a": {"b": 1}, "c": 2})
        assert ids(store.find("users", {"a.b": 1, "c": 2})) == ["u1"]
        assert ids(store.find("users", {"name": "ann"})) == ["u1"]

    def test_an_index_takes_in_what_is_there(self, store: Documents) -> None:
        store.insert("users", {"_id": "u1", "name": "ann"})
        store.ensure([Index("users", ("name",), is_unique=True)])
        with pytest.raises(Conflict):
            store.insert("users", {"_id": "u2", "name": "ann"})
        assert ids(store.find("users", {"name": "ann"})) == ["u1"]

    def test_an_index_that_is_broken_already_is_refused(self, store: Documents) -> None:
        store.bulk([Insert("users", {"_id": document_id, "name": "ann"}) for document_id in "12"])
        with pytest.raises(Conflict):
            store.ensure([Index("users", ("name",), is_unique=True)])
        store.put("users", {"_id": "1"})

    def test_unique_values_are_taken_once(self, store: Documents) -> None:
        store.ensure([Index("services", ("application.id", "name"), is_unique=True)])
        first = {"_id": "s1", "application": {"id": "a"}, "name": "web"}
        store.insert("services", first)
        for write in (store.insert, store.put):
            with pytest.raises(Conflict):
                write("services", first | {"_id": "s2"})
        store.insert("services", first | {"_id": "s2", "name": "db"})
        store.insert("services", first | {"_id": "s3", "application": {"id": "b"}})
        with pytest.raises(Conflict):
            store.replace("services", first | {"_id": "s2"}, 1)
        with pytest.raises(Conflict):
            store.put("services", first | {"_id": "s2"})
        store.put("services", first | {"more": True})
        assert ids(store.find("services", {"name": "web", "application.id": "a"})) == ["s1"]

    def test_unique_values_are_free_again(self, store: Documents) -> None:
        store.ensure([Index("users", ("name",), is_unique=True)])
        store.insert("users", {"_id": "u1", "name": "ann"})
        store.put("users", {"_id": "u1", "name": "bob"})
        store.insert("users", {"_id": "u2", "name": "ann"})
        store.delete("users", "u1")
        store.insert("users", {"_id": "u3", "name": "bob"})

    def test_unique_fields_must_be_there(self, store: Documents) -> None:
        store.ensure([Index("users", ("name",), is_unique=True)])
        for document in ({"_id": "u1"}, {"_id": "u1", "name": None}):
            with pytest.raises(InvalidInput):
                store.insert("users", document)
            with pytest.raises(InvalidInput):
                store.bulk([Put("users", {"_id": "u2", "name": "x"}), Put("users", document)])
        assert store.find("users") == []

    @pytest.mark.parametrize(
        "document",
        [{}, {"_id": 1}, {"_id": ""}, {"_id": "a\0b"}, {"_id": "a", "$set": 1}, {"_id": "a", "x": float("nan")},
         {"_id": "a", "x": {1, 2}}, {"_id": "a", "x": "\ud800"}],
    )  # fmt: skip
    def test_what_no_backend_takes_is_refused(self, store: Documents, document: Document) -> None:
        for write in (store.insert, store.put):
            with pytest.raises(InvalidInput):
                write("nodes", document)

    @pytest.mark.parametrize("name", ["", "Nodes", "a-b", "a.b", "1a", "a b", 'a"b', "$cmd", "sqlite_master"])
    def test_names_of_collections_are_plain(self, store: Documents, name: str) -> None:
        with pytest.raises(InvalidInput):
            store.put(name, {"_id": "n1"})
        with pytest.raises(InvalidInput):
            store.find(name)
        with pytest.raises(InvalidInput):
            store.get(name, "n1")


PEOPLE: list[Document] = [
    {"_id": "1", "name": "ann", "age": 30, "home": {"city": "ulm", "zip": 1}, "is_admin": True},
    {"_id": "2", "name": "bob", "age": 20, "home": {"city": "bonn"}, "is_admin": False},
    {"_id": "3", "name": "cid", "age": 30, "home": None, "is_admin": 1},
    {"_id": "4", "name": "dee", "age": None, "home": {"city": "ulm", "zip": None}, "is_admin": 0},
    {"_id": "5", "name": "eve", "age": 4.5, "home": "none", "is_admin": "true"},
    {"_id": "6", "name": "fay", "home": {"city": "ulm", "zip": "1"}},
]


class TestFind:
    @pytest.fixture(params=["plain", "indexed"])
    def people(self, store: Documents, request: pytest.FixtureRequest) -> Documents:
        if request.param == "indexed":
            fields = [("name",), ("age",), ("home.city", "home.zip"), ("is_admin",)]
            store.ensure([Index("people", each) for each in fields])
        store.bulk([Insert("people", person) for person in reversed(PEOPLE)])
        return store

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (None, "123456"),
            ({}, "123456"),
            ({"name": "ann"}, "1"),
            ({"name": "Ann"}, ""),
            ({"name": "ann", "age": 30}, "1"),
            ({"name": "ann", "age": 20}, ""),
            ({"age": 30}, "13"),
            ({"age": 30.0}, "13"),
            ({"age": 4.5}, "5"),
            ({"age": "30"}, ""),
            ({"age": None}, "46"),
            ({"nothing": None}, "123456"),
            ({"nothing": 1}, ""),
            ({"home.city": "ulm"}, "146"),
            ({"home.city": "ulm", "home.zip": 1}, "1"),
            ({"home.city": "ulm", "home.zip": "1"}, "6"),
            ({"home.zip": None}, "2345"),
            ({"home.city": None}, "35"),
            ({"is_admin": True}, "1"),
            ({"is_admin": 1}, "3"),
            ({"is_admin": False}, "2"),
            ({"is_admin": 0}, "4"),
            ({"is_admin": "true"}, "5"),
            ({"is_admin": [True, 0]}, "14"),
            ({"name": ["ann", "bob", "zoe", "ann"]}, "12"),
            ({"name": ("cid",)}, "3"),
            ({"name": []}, ""),
            ({"age": [20, None]}, "246"),
            ({"age": [4.5, 30]}, "135"),
            ({"age": [None]}, "46"),
            ({"_id": "4"}, "4"),
            ({"_id": ["4", "2", "9"]}, "24"),
            ({"_id": ["4", "2"], "name": ["bob", "ann"]}, "2"),
            ({"version": 1, "name": "ann"}, "1"),
        ],
    )
    def test_equality_and_membership(self, people: Documents, where: dict[str, Any] | None, expected: str) -> None:
        assert ids(people.find("people", where)) == list(expected)

    @pytest.mark.parametrize(
        ("order_by", "is_descending", "limit", "expected"),
        [
            ("_id", False, None, "123456"),
            ("_id", True, None, "654321"),
            ("_id", True, 2, "65"),
            ("_id", False, 0, ""),
            ("_id", False, 100, "123456"),
            ("name", True, 3, "654"),
            ("age", False, None, "465213"),
            ("age", True, None, "312564"),
            ("age", True, 2, "31"),
            ("version", False, 2, "12"),
        ],
    )
    def test_order_and_limit(
        self, people: Documents, order_by: str, is_descending: bool, limit: int | None, expected: str
    ) -> None:
        found = people.find("people", order_by=order_by, is_descending=is_descending, limit=limit)
        assert ids(found) == list(expected)

    def test_limit_counts_what_matches(self, people: Documents) -> None:
        assert ids(people.find("people", {"is_admin": True}, limit=1)) == ["1"]
        assert ids(people.find("people", {"home.city": "ulm"}, order_by="name", is_descending=True, limit=2)) == [
            "6",
            "4",
        ]

    def test_texts_are_ordered_by_code_point(self, store: Documents) -> None:
        names = ["B", "a", "b", "Z", "é", "e", "\U0001f33f", "\uffee", "", "aa"]
        store.bulk([Put("words", {"_id": f"{number}", "word": word}) for number, word in enumerate(names)])
        assert [found["word"] for found in store.find("words", order_by="word")] == sorted(names)

    @pytest.mark.parametrize("field", ["", "$where", "a b", "a'b", 'a"b', "a..b", ".a", "a.", "a)"])
    def test_odd_fields_are_refused(self, people: Documents, field: str) -> None:
        with pytest.raises(InvalidInput):
            people.find("people", {field: 1})
        with pytest.raises(InvalidInput):
            people.find("people", order_by=field)

    @pytest.mark.parametrize("value", [{"$ne": 1}, [{"$ne": 1}], [["ann"]], b"ann", 2**63])
    def test_odd_values_are_refused(self, people: Documents, value: Any) -> None:
        with pytest.raises(InvalidInput):
            people.find("people", {"name": value})

    def test_many_values_at_once(self, store: Documents) -> None:
        wanted = [f"{number:05}" for number in range(0, 40_000, 7)]
        store.bulk([Put("things", {"_id": f"{number:05}"}) for number in range(500)])
        assert ids(store.find("things", {"_id": wanted})) == [i for i in wanted if int(i) < 500]


class TestBulk:
    def test_nothing_is_fine(self, store: Documents) -> None:
        assert store.bulk([]) == []

    def test_each_write_says_whether_it_took_effect(self, store: Documents) -> None:
        store.bulk([Insert("nodes", {"_id": str(number), "a": 0}) for number in range(4)])
        assert store.bulk([
            Insert("nodes", {"_id": "0", "a": 1}),
            Insert("nodes", {"_id": "8", "a": 1}),
            Replace("nodes", {"_id": "1", "a": 1}, 1),
            Replace("nodes", {"_id": "2", "a": 1}, 2),
            Replace("nodes", {"_id": "9", "a": 1}, 1),
            Put("nodes", {"_id": "3", "a": 1}),
            Put("nodes", {"_id": "7", "a": 1}),
            Delete("nodes", "absent"),
        ]) == [False, True, True, False, False, True, True, True]  # fmt: skip
        assert [(found["_id"], found["a"], found["version"]) for found in store.find("nodes")] == [
            ("0", 0, 1), ("1", 1, 2), ("2", 0, 1), ("3", 1, 2), ("7", 1, 1), ("8", 1, 1),
        ]  # fmt: skip

    def test_writes_of_one_document_keep_their_order(self, store: Documents) -> None:
        assert store.bulk([
            Insert("nodes", {"_id": "a", "step": 1}),
            Delete("nodes", "a"),
            Insert("nodes", {"_id": "a", "step": 2}),
            Replace("nodes", {"_id": "a", "step": 3}, 1),
            Replace("nodes", {"_id": "a", "step": 4}, 1),
            Insert("nodes", {"_id": "a", "step": 5}),
            Put("nodes", {"_id": "a", "step": 6}),
            Put("nodes", {"_id": "b"}),
            Delete("nodes", "b"),
        ]) == [True, True, True, True, False, False, True, True, True]  # fmt: skip
        assert store.find("nodes") == [{"_id": "a", "step": 6, "version": 3}]

    def test_unique_values_pass_on_within_a_bulk(self, store: Documents) -> None:
        store.ensure([Index("users", ("name",), is_unique=True)])
        store.insert("users", {"_id": "u1", "name": "ann"})
        assert store.bulk([
            Insert("users", {"_id": "u2", "name": "ann"}),
            Delete("users", "u1"),
            Insert("users", {"_id": "u3", "name": "ann"}),
            Put("users", {"_id": "u4", "name": "ann"}),
            Replace("users", {"_id": "u3", "name": "bob"}, 1),
            Put("users", {"_id": "u5", "name": "ann"}),
            Replace("users", {"_id": "u5", "name": "bob"}, 1),
        ]) == [False, True, True, False, True, True, False]  # fmt: skip
        assert [(found["_id"], found["name"]) for found in store.find("users")] == [("u3", "bob"), ("u5", "ann")]

    def test_several_collections(self, store: Documents) -> None:
        store.insert("a", {"_id": "1"})
        writes = [Insert(name, {"_id": document_id}) for name in "aba" for document_id in "12"]
        assert store.bulk(writes) == [False, True, True, True, False, False]

    def test_a_thousand_at_once(self, store: Documents) -> None:
        store.bulk([Put("nodes", {"_id": f"{number:04}", "even": number % 2 == 0}) for number in range(0, 1000, 2)])
        effects = store.bulk([Insert("nodes", {"_id": f"{number:04}", "even": False}) for number in range(1000)])
        assert effects == [number % 2 == 1 for number in range(1000)]
        assert len(store.find("nodes", {"even": False})) == 500


class TestThreads:
    def test_one_winner_for_each_version(self, store: Documents) -> None:
        store.insert("leases", {"_id": "scheduler", "holder": ""})
        winners: list[tuple[int, str]] = []
        barrier = threading.Barrier(8)

        def compete(name: str) -> None:
            for version in range(1, 16):
                barrier.wait(30)
                if store.replace("leases", {"_id": "scheduler", "holder": name}, version):
                    winners.append((version, name))

        in_threads(compete)
        assert sorted(version for version, _ in winners) == list(range(1, 16))
        assert store.get("leases", "scheduler") == {"_id": "scheduler", "holder": max(winners)[1], "version": 16}

    def test_one_winner_for_each_id(self, store: Documents) -> None:
        winners: list[str] = []

        def compete(name: str) -> None:
            effects = store.bulk([Insert("ids", {"_id": f"{number:03}", "by": name}) for number in range(100)])
            winners.extend(f"{number:03}:{name}" for number, is_mine in enumerate(effects) if is_mine)

        in_threads(compete)
        assert sorted(winners) == [f"{found['_id']}:{found['by']}" for found in store.find("ids")]
        assert len(winners) == 100

    def test_no_put_is_lost(self, store: Documents) -> None:
        store.put("counters", {"_id": "c"})

        def write(name: str) -> None:
            for number in range(20):
                store.put("counters", {"_id": "c", "by": name, "number": number})

        in_threads(write)
        found = store.get("counters", "c")
        assert found is not None
        assert found["version"] == 161


def in_threads(work: Callable[[str], None], count: int = 8) -> None:
    errors: list[BaseException] = []

    def run(name: str) -> None:
        try:
            work(name)
        except BaseException as error:  # noqa: BLE001 - told to the test below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(f"t{number}",)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []


class TestWatch:
    def test_each_kind_of_write_is_heard(self, store: Documents) -> None:
        store.put("nodes", {"_id": "before"})
        heard: list[Change] = []
        subscription = store.watch("nodes", heard.append)
        store.insert("nodes", {"_id": "inserted"})
        store.put("nodes", {"_id": "put"})
        store.bulk([Put("nodes", {"_id": "bulk"}), Put("others", {"_id": "elsewhere"})])
        assert store.replace("nodes", {"_id": "before"}, 1)
        store.delete("nodes", "put")
        wanted = [Change("nodes", name) for name in ("inserted", "put", "bulk", "before", "put")]
        eventually(lambda: heard == wanted, message=f"{wanted}")
        subscription.close()

    def test_closed_ears_hear_nothing(self, store: Documents) -> None:
        heard: list[Change] = []
        other: list[Change] = []
        closed, still_open = store.watch("nodes", heard.append), store.watch("nodes", other.append)
        closed.close()
        store.put("nodes", {"_id": "n1"})
        eventually(lambda: other == [Change("nodes", "n1")])
        assert heard == []
        still_open.close()

    def test_a_watcher_may_fail_and_may_write(self, store: Documents) -> None:
        heard: list[str] = []

        def write_and_fail(change: Change) -> None:
            heard.append(change.id)
            if change.id == "n1":
                store.put("nodes", {"_id": "n2"})
            raise ValueError("a watcher of a test")

        subscription = store.watch("nodes", write_and_fail)
        store.put("nodes", {"_id": "n1"})
        eventually(lambda: heard == ["n1", "n2"])
        subscription.close()


def test_a_backend_that_does_not_exist_is_named() -> None:
    for url in ("postgres://host/name", "sqlite://relative.db", "sqlite:", "", "mongodb://host:27017", "mongodb://"):
        with pytest.raises(InvalidInput):
            open_documents(url)
