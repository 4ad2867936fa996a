"""Join tokens, the waiting room and forgetting, as an operator types them."""

import time

import pytest

from tests.unit.operator.fake_root import FakeRoot
from tests.unit.operator.test_cli import Hedgerow, hedgerow, root, session_file

__all__ = ["hedgerow", "root", "session_file"]

TOKEN = {
    "token_id": "3f9a01bc",
    "kind": "node",
    "state": "good",
    "created_at": time.time(),
    "expires_at": time.time() + 7_200,
    "max_uses": 10,
    "uses": 3,
    "note": "for the shed",
}
NEWCOMER = {
    "child_id": "c0ffee",
    "kind": "node",
    "name": "pi-07",
    "key_fingerprint": "ab" * 32,
    "address": "192.0.2.9",
    "state": "waiting",
    "first_asked_at": time.time(),
    "age_s": 4.0,
    "refused_until": None,
}


def clusters(root: FakeRoot, ip: str = "192.0.2.1") -> None:
    root.on("GET /api/clusters", [{"cluster_id": "c1", "cluster_name": "berlin", "ip": ip, "port": 10100}])


class TestTokens:
    def test_one_for_nodes_is_a_line_to_paste(self, root: FakeRoot, hedgerow: Hedgerow) -> None:
        clusters(root)
        root.on("POST /api/clusters/c1/join-tokens", {**TOKEN, "token": "3f9a01bc.secret.ca"})
        outcome = hedgerow("token", "create", "-c", "berlin", "--ttl", "2h", "--uses", "10", "--note", "for the shed")
        assert outcome.code == 0
        assert outcome.out == "NodeEngine join https://192.0.2.1:10100 --token 3f9a01bc.secret.ca\n"
        assert "not shown again" in outcome.err
        (asked,) = root.asked("POST /api/clusters/c1/join-tokens")
        assert asked.body == {"ttl": 7_200, "max_uses": 10, "note": "for the shed"}

    @pytest.mark.parametrize("ip", ["127.0.0.1", "0.0.0.0", ""])
    def test_an_address_that_says_nothing_is_left_to_fill_in(self, root: FakeRoot, hedgerow: Hedgerow, ip: str) -> None:
        clusters(root, ip)
        root.on("POST /api/clusters/c1/join-tokens", {**TOKEN, "token": "t"})
        outcome = hedgerow("token", "create", "-c", "berlin")
        assert outcome.out == "NodeEngine join https://HOST:10100 --token t\n"
        assert "in place of HOST" in outcome.err
        assert ("--listen" in outcome.err) == (ip == "127.0.0.1")

    def test_one_for_clusters_is_two_lines_of_environment(self, root: FakeRoot, hedgerow: Hedgerow) -> None:
        root.on("POST /api/join-tokens", {**TOKEN, "token": "t", "expires_at": None})
        outcome = hedgerow("token", "create")
        first, second = outcome.out.splitlines()
        assert first.startswith("SYSTEM_MANAGER_URL=https://HOST:")
        assert second == "CLUSTER_JOIN_TOKEN=t"
        assert root.asked("POST /api/join-tokens")[0].body == {"ttl": 86_400, "note": ""}

    def test_the_list_says_how_they_are(self, root: FakeRoot, hedgerow: Hedgerow) -> None:
        clusters(root)
        root.on("GET /api/clusters/c1/join-tokens", [TOKEN])
        outcome = hedgerow("token", "ls", "--cluster", "berlin")
        assert outcome.code == 0
        for word in ("3f9a01bc", "good", "3/10", "for the shed"):
            assert word in outcome.out

    def test_rotate_and_revoke(self, root: FakeRoot, hedgerow: Hedgerow) -> None:
        root.on("POST /api/join-tokens/3f9a01bc/rotate", {**TOKEN, "token": "new"})
        root.on("DELETE /api/join-tokens/3f9a01bc", TOKEN)
        assert "CLUSTER_JOIN_TOKEN=new" in hedgerow("token", "rotate", "3f9a01bc").out
        assert hedgerow("token", "revoke", "3f9a01bc").code == 0

    def test_a_time_that_is_none(self, root: FakeRoot, hedgerow: Hedgerow) -> None:
        outcome = hedgerow("token", "create", "--ttl", "soon")
        assert outcome.code == 2
        assert "--ttl soon" in outcome.err


class TestWaiting:
    def test_who_waits_is_shown_with_the_key(self, root: FakeRoot, hedgerow: Hedgerow) -> None:
        root.on("GET /api/waiting", {"is_open": True, "newcomers": [NEWCOMER]})
        outcome = hedgerow("waiting", "ls")
        for word in ("pi-07", "192.0.2.9", "c0ffee", "ab" * 32):
            assert word in outcome.out

    @pytest.mark.parametrize(("is_open", "words"), [(True, "Nobody waits."), (False, "waiting room is off")])
    def test_an_empty_room_says_so(self, root: FakeRoot, hedgerow: Hedgerow, is_open: bool, words: str) -> None:
        root.on("GET /api/waiting", {"is_open": is_open, "newcomers": []})
        outcome = hedgerow("waiting", "ls")
        assert words in outcome.out + outcome.err

    @pytest.mark.parametrize(
        ("command", "route"),
        [
            ("admit", "POST /api/clusters/c1/waiting/c0ffee/admit"),
            ("refuse", "DELETE /api/clusters/c1/waiting/c0ffee"),
        ],
    )
    def test_a_decision_is_by_name(self, root: FakeRoot, hedgerow: Hedgerow, command: str, route: str) -> None:
        clusters(root)
        root.on("GET /api/clusters/c1/waiting", {"is_open": True, "newcomers": [NEWCOMER]})
        root.on(route, NEWCOMER)
        outcome = hedgerow("waiting", command, "pi-07", "-c", "berlin")
        assert outcome.code == 0
        assert len(root.asked(route)) == 1

    def test_two_of_one_name_are_told_apart_by_id(self, root: FakeRoot, hedgerow: Hedgerow) -> None:
        other = {**NEWCOMER, "child_id": "decade"}
        root.on("GET /api/waiting", {"is_open": True, "newcomers": [NEWCOMER, other]})
        assert "c0ffee or decade" in hedgerow("waiting", "admit", "pi-07").err


class TestForget:
    @pytest.mark.parametrize(("option", "query"), [((), ""), (("--force",), "?force=true")])
    def test_a_node(self, root: FakeRoot, hedgerow: Hedgerow, option: tuple[str, ...], query: str) -> None:
        node = {"node_id": "n1", "node_name": "pi", "cluster_id": "c1", "cluster_name": "local", "readiness": "lost"}
        root.on("GET /api/nodes", {"nodes": [node], "unreachable": []})
        root.on("DELETE /api/clusters/c1/nodes/n1", {"child_id": "n1", "name": "pi"})
        outcome = hedgerow("node", "forget", "pi", "--yes", *option)
        assert outcome.code == 0
        (asked,) = root.asked("DELETE /api/clusters/c1/nodes/n1")
        assert asked.path == f"/api/clusters/c1/nodes/n1{query}"

    def test_a_cluster_that_is_there_is_refused_in_its_own_words(self, root: FakeRoot, hedgerow: Hedgerow) -> None:
        root.on("DELETE /api/clusters/berlin", {"message": "Cluster berlin is there and ready."}, status=409)
        outcome = hedgerow("cluster", "forget", "berlin", "-y")
        assert outcome.code == 1
        assert "there and ready" in outcome.err


@pytest.mark.parametrize(
    "command",
    [
        *(("token", name) for name in ("create", "ls", "rotate", "revoke")),
        *(("waiting", name) for name in ("ls", "admit", "refuse")),
        ("node", "forget"),
        ("cluster", "forget"),
    ],
)
def test_every_command_explains_itself(hedgerow: Hedgerow, command: tuple[str, str]) -> None:
    outcome = hedgerow(*command, "--help")
    assert outcome.code == 0
    assert "Example" in outcome.out
