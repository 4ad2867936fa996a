import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.link.join_refusals import Ground, JoinRefused
from edge_common.link.join_tokens import (
    JOIN_TOKENS,
    KEEP_DEAD_S,
    MAX_TOKENS,
    JoinTokens,
    hash_secret,
    is_secret_of,
    mint,
    new_secret,
)
from edge_common.link.token_text import JoinToken, parse_token
from edge_common.model.errors import Broken, Conflict, InvalidInput, NotFound
from edge_common.plumbing.clock import FakeClock
from edge_common.plumbing.documents.memory import MemoryDocuments
from edge_common.wire.join_messages import ChildKind

CA = "ab" * 32
DAY_S = 86_400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def documents() -> MemoryDocuments:
    return MemoryDocuments()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "join-token"


@pytest.fixture
def tokens(documents: MemoryDocuments, clock: FakeClock, file: Path) -> JoinTokens:
    return JoinTokens(documents, clock, ChildKind.NODE, CA, DAY_S, file)


class TestText:
    @pytest.mark.parametrize("ca", ["", CA])
    def test_survives_being_printed_and_pasted(self, ca: str) -> None:
        token = JoinToken("0a1b", new_secret(), ca)
        assert parse_token(f"  {token}\n") == token

    def test_its_secret_is_not_in_its_repr(self) -> None:
        token = JoinToken("0a1b", new_secret())
        assert token.secret not in repr(token)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            ".",
            "abc",
            "abc.",
            "abc.short",
            f".{'x' * 40}",
            f"a b.{'x' * 40}",
            f"a.{'x' * 40}.beef",
            f"a.{'x' * 40}.",
        ],
    )
    def test_other_text_is_refused_without_repeating_it(self, text: str) -> None:
        with pytest.raises(InvalidInput) as refusal:
            parse_token(text)
        assert len(text) < 4 or text not in str(refusal.value)

    @given(st.text())
    def test_no_text_breaks_the_parser(self, text: str) -> None:
        try:
            assert isinstance(parse_token(text), JoinToken)
        except InvalidInput:
            return

    def test_only_the_same_secret_matches_its_hash(self) -> None:
        secret = new_secret()
        assert is_secret_of(secret, hash_secret(secret))
        assert not is_secret_of(new_secret(), hash_secret(secret))
        assert secret not in hash_secret(secret)


class TestStore:
    def test_a_new_one_pins_the_ca_and_lives_a_day(self, tokens: JoinTokens, clock: FakeClock) -> None:
        token, record = tokens.create(note="for the shed")
        assert token.ca_fingerprint == CA
        assert record.expires_at_s == clock.now_s() + DAY_S
        assert (record.max_uses, record.uses, record.note) == (None, 0, "for the shed")
        assert tokens.records() == [record]
        assert tokens.use(str(token), ChildKind.NODE) == token.token_id

    def test_of_many_at_once_only_so_many_take_the_last_uses(self, tokens: JoinTokens) -> None:
        text = str(tokens.create(max_uses=3)[0])

        def take(_: int) -> bool:
            try:
                return bool(tokens.use(text, ChildKind.NODE))
            except JoinRefused as refusal:
                assert refusal.ground is Ground.USED_UP_TOKEN
                return False

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(take, range(16))) == 3
        assert tokens.records()[0].uses == 3

    def test_one_for_another_kind_is_refused(self, tokens: JoinTokens) -> None:
        with pytest.raises(JoinRefused, match="admits a node, not a cluster") as refusal:
            tokens.use(str(tokens.create()[0]), ChildKind.CLUSTER)
        assert refusal.value.ground is Ground.WRONG_KIND

    def test_a_rotated_one_lives_again_as_long_and_is_unused(self, tokens: JoinTokens, clock: FakeClock) -> None:
        token, _ = tokens.create(life_s=3_600, max_uses=1)
        tokens.use(str(token), ChildKind.NODE)
        clock.advance(3_600)
        renewed, record = tokens.rotate(token.token_id)
        assert renewed.token_id == token.token_id
        assert record.expires_at_s == clock.now_s() + 3_600
        assert tokens.use(str(renewed), ChildKind.NODE)

    def test_a_revoked_one_stays_listed_and_dead(self, tokens: JoinTokens, clock: FakeClock) -> None:
        token, _ = tokens.create()
        assert tokens.revoke(token.token_id).state(clock.now_s()) == "revoked"
        assert len(tokens.records()) == 1
        with pytest.raises(Conflict, match="is revoked"):
            tokens.rotate(token.token_id)

    def test_what_is_not_there_is_told(self, tokens: JoinTokens) -> None:
        with pytest.raises(NotFound):
            tokens.revoke("nope")
        with pytest.raises(NotFound):
            tokens.rotate("nope")

    def test_dead_ones_go_after_a_month_when_another_is_made(self, tokens: JoinTokens, clock: FakeClock) -> None:
        tokens.create()
        clock.advance(DAY_S + KEEP_DEAD_S + 1)
        tokens.create()
        assert len(tokens.records()) == 1

    def test_there_is_a_bound(self, tokens: JoinTokens) -> None:
        for _ in range(MAX_TOKENS):
            tokens.create()
        with pytest.raises(Conflict, match="revoke some"):
            tokens.create()


class TestFile:
    def test_is_for_the_owner_only_made_once_and_never_expires(
        self, tokens: JoinTokens, file: Path, clock: FakeClock
    ) -> None:
        tokens.ensure_file()
        before = file.read_text()
        tokens.ensure_file()
        assert file.read_text() == before
        assert file.stat().st_mode & 0o777 == 0o600
        clock.advance(10_000 * DAY_S)
        assert tokens.use(before, ChildKind.NODE)
        assert len(tokens.records()) == 1

    def test_works_again_after_the_store_was_lost(
        self, tokens: JoinTokens, documents: MemoryDocuments, file: Path
    ) -> None:
        tokens.ensure_file()
        documents.delete(JOIN_TOKENS, file.read_text().partition(".")[0])
        tokens.ensure_file()
        assert tokens.use(file.read_text(), ChildKind.NODE)

    def test_follows_the_ca(self, tokens: JoinTokens, documents: MemoryDocuments, clock: FakeClock, file: Path) -> None:
        tokens.ensure_file()
        JoinTokens(documents, clock, ChildKind.NODE, "cd" * 32, DAY_S, file).ensure_file()
        assert parse_token(file.read_text()).ca_fingerprint == "cd" * 32
        assert tokens.use(file.read_text(), ChildKind.NODE)

    def test_follows_a_rotation(self, tokens: JoinTokens, file: Path) -> None:
        tokens.ensure_file()
        token, _ = tokens.rotate(file.read_text().partition(".")[0])
        assert parse_token(file.read_text()) == token
        tokens.ensure_file()
        assert tokens.use(file.read_text(), ChildKind.NODE)

    def test_works_again_after_a_rotation_that_did_not_reach_it(self, tokens: JoinTokens, file: Path) -> None:
        tokens.ensure_file()
        before = file.read_text()
        tokens.rotate(before.partition(".")[0])
        file.write_text(before)
        tokens.ensure_file()
        assert tokens.use(file.read_text(), ChildKind.NODE)
        with pytest.raises(JoinRefused):
            tokens.use(before, ChildKind.NODE)

    def test_stays_revoked(self, tokens: JoinTokens, file: Path) -> None:
        tokens.ensure_file()
        before = file.read_text()
        tokens.revoke(before.partition(".")[0])
        tokens.ensure_file()
        with pytest.raises(JoinRefused, match="revoked"):
            tokens.use(file.read_text(), ChildKind.NODE)

    def test_is_dead_where_others_can_come_in(self, tokens: JoinTokens, file: Path) -> None:
        tokens.ensure_file()
        text = file.read_text()
        tokens.drop_file()
        assert not file.exists()
        with pytest.raises(JoinRefused):
            tokens.use(text, ChildKind.NODE)

    def test_a_damaged_file_is_told(self, tokens: JoinTokens, file: Path) -> None:
        file.write_text("oops")
        with pytest.raises(Broken, match="delete it"):
            tokens.ensure_file()


def left(file: Path, at_s: float) -> JoinToken:
    token = mint(CA)
    file.write_text(f"{token}\n")
    os.utime(file, (at_s, at_s))
    return token


class TestTakenIn:
    """A token that a set-up left in a file, for the first child."""

    def test_is_good_once(self, tokens: JoinTokens, tmp_path: Path, clock: FakeClock) -> None:
        token = left(tmp_path / "first", clock.now_s())
        tokens.take_in(tmp_path / "first")
        tokens.use(str(token), ChildKind.NODE)
        tokens.take_in(tmp_path / "first")
        with pytest.raises(JoinRefused) as refusal:
            tokens.use(str(token), ChildKind.NODE)
        assert refusal.value.ground is Ground.USED_UP_TOKEN

    def test_lives_from_when_it_was_written(self, tokens: JoinTokens, tmp_path: Path, clock: FakeClock) -> None:
        token = left(tmp_path / "first", clock.now_s() - DAY_S + 60)
        tokens.take_in(tmp_path / "first")
        clock.advance(61)
        with pytest.raises(JoinRefused) as refusal:
            tokens.use(str(token), ChildKind.NODE)
        assert refusal.value.ground is Ground.EXPIRED_TOKEN

    def test_an_old_file_brings_nothing_back(self, tokens: JoinTokens, tmp_path: Path, clock: FakeClock) -> None:
        left(tmp_path / "first", clock.now_s() - DAY_S)
        tokens.take_in(tmp_path / "first")
        assert tokens.records() == []

    def test_need_not_be_there(self, tokens: JoinTokens, tmp_path: Path) -> None:
        tokens.take_in(tmp_path / "first")
        assert tokens.records() == []

    def test_another_text_is_broken(self, tokens: JoinTokens, tmp_path: Path) -> None:
        (tmp_path / "first").write_text("token")
        with pytest.raises(Broken, match="first holds no join token"):
            tokens.take_in(tmp_path / "first")
