from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_common.model.errors import InvalidInput
from edge_common.plumbing.settings import load


@dataclass(frozen=True, slots=True)
class Settings:
    data_dir: Path
    name: str = "edge"
    http_port: int = 10000
    interval_s: float = 2.5
    is_quiet: bool = False
    registries: tuple[str, ...] = ()
    password_file: Path | None = None
    limit: int | None = 5


def loaded(**variables: str) -> Settings:
    return load(Settings, {"X_DATA_DIR": "/d", "HOME": "/root", "XY": "1"} | variables, "X_")


def test_defaults_stand_where_nothing_is_set() -> None:
    assert loaded() == Settings(data_dir=Path("/d"))


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("X_NAME", "", "name", ""),
        ("X_NAME", " a b ", "name", " a b "),
        ("X_HTTP_PORT", " 80 ", "http_port", 80),
        ("X_INTERVAL_S", "3", "interval_s", 3.0),
        ("X_INTERVAL_S", "1e-3", "interval_s", 0.001),
        ("X_IS_QUIET", "Yes", "is_quiet", True),
        ("X_IS_QUIET", "0", "is_quiet", False),
        ("X_REGISTRIES", "", "registries", ()),
        ("X_REGISTRIES", "a:1, b:2 ,", "registries", ("a:1", "b:2")),
        ("X_PASSWORD_FILE", "/p", "password_file", Path("/p")),
        ("X_PASSWORD_FILE", "", "password_file", None),
        ("X_LIMIT", "", "limit", None),
        ("X_LIMIT", "7", "limit", 7),
    ],
)
def test_texts_become_values(variable: str, text: str, field: str, value: Any) -> None:
    assert getattr(loaded(**{variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("X_HTTP_PORT", "many", "X_HTTP_PORT is 'many'; it expects a whole number."),
        ("X_HTTP_PORT", "1.5", "a whole number"),
        ("X_HTTP_PORT", "", "a whole number"),
        ("X_INTERVAL_S", "nan", "a number"),
        ("X_INTERVAL_S", "inf", "a number"),
        ("X_IS_QUIET", "maybe", "true or false"),
        ("X_DATA_DIR", "", "a path"),
        ("X_LIMIT", "x", "a whole number"),
        ("X_HTP_PORT", "1", "X_HTP_PORT is set but there is no such setting. Did you mean X_HTTP_PORT?"),
        ("X_QQQQ", "1", "Remove it"),
    ],
)
def test_what_does_not_fit_is_named(variable: str, text: str, expected: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        loaded(**{variable: text})
    assert expected in str(refused.value)
    assert refused.value.field == variable


def test_what_is_required_and_missing_is_named() -> None:
    with pytest.raises(InvalidInput, match="Set X_DATA_DIR: it is required and expects a path") as refused:
        load(Settings, {}, "X_")
    assert refused.value.field == "X_DATA_DIR"


def test_a_type_that_no_setting_can_have_is_a_mistake_of_ours() -> None:
    @dataclass(frozen=True)
    class Odd:
        many: dict[str, str]

    with pytest.raises(TypeError):
        load(Odd, {"X_MANY": "a"}, "X_")
