import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_common.link.join_tokens import (
    JoinToken,
    child_id_of,
    hash_secret,
    is_secret_of,
    new_secret,
    new_token,
    parse_token,
)
from edge_common.model.errors import InvalidInput
from edge_common.model.ids import is_id


class TestJoinToken:
    def test_survives_being_printed_and_pasted(self) -> None:
        token = new_token()
        assert parse_token(f"  {token}\n") == token

    def test_its_secret_is_not_in_its_repr(self) -> None:
        token = new_token()
        assert token.secret not in repr(token)

    @pytest.mark.parametrize("text", ["", ".", "abc", "abc.", "abc.short", f".{'x' * 40}", f"a b.{'x' * 40}"])
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


class TestSecret:
    def test_only_the_same_secret_matches_its_hash(self) -> None:
        secret = new_secret()
        assert is_secret_of(secret, hash_secret(secret))
        assert not is_secret_of(new_secret(), hash_secret(secret))
        assert secret not in hash_secret(secret)

    def test_names_one_child_and_does_not_show_in_the_name(self) -> None:
        secret, other = new_secret(), new_secret()
        assert child_id_of(secret) == child_id_of(secret) != child_id_of(other)
        assert is_id(child_id_of(secret))
        assert child_id_of(secret) not in hash_secret(secret)
