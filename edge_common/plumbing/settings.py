"""Settings from the environment: with prefix `HEDGEROW_ROOT_`, HEDGEROW_ROOT_HTTP_PORT is the field `http_port`."""

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from edge_common.model.errors import InvalidInput

T = TypeVar("T")

_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_EXPECTED: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
}


def load(cls: type[T], environ: Mapping[str, str], prefix: str) -> T:
    """Fields may be str, int, float, bool, Path, tuple[str, ...] (comma separated), or one of these `| None` (empty).

    Raises InvalidInput for a value that does not fit, a missing one that has no default, and a variable that has
    the prefix and is no setting: a typing error must not silently leave a default in force.
    """
    hints = get_type_hints(cls)
    known: dict[str, Field[Any]] = {prefix + field.name.upper(): field for field in fields(cls)}  # type: ignore[arg-type]
    _refuse_unknown(environ, prefix, known)
    values: dict[str, Any] = {}
    for variable, field in known.items():
        if variable in environ:
            values[field.name] = _convert(hints[field.name], environ[variable], variable)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise InvalidInput(f"Set {variable}: it is required and expects {_expected(hints[field.name])}.", variable)
    return cls(**values)


def _refuse_unknown(environ: Mapping[str, str], prefix: str, known: Mapping[str, object]) -> None:
    for variable in sorted(environ):
        if variable.startswith(prefix) and variable not in known:
            from difflib import get_close_matches

            close = get_close_matches(variable, known, n=1)
            hint = f"Did you mean {close[0]}?" if close else "Remove it."
            raise InvalidInput(f"{variable} is set but there is no such setting. {hint}", variable)


def _convert(kind: Any, text: str, variable: str) -> Any:
    kind, is_optional = _without_none(kind)
    if is_optional and not text:
        return None
    try:
        return _parse(kind, text)
    except (ValueError, KeyError):
        raise InvalidInput(f"{variable} is {text!r}; it expects {_expected(kind)}.", variable) from None


def _parse(kind: Any, text: str) -> Any:
    if kind is str:
        return text
    if kind is bool:
        return _BOOLEANS[text.strip().lower()]
    if kind is int:
        return int(text)
    if kind is float:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError
        return number
    if kind is Path:
        if not text or "\0" in text:
            raise ValueError
        return Path(text)
    if get_origin(kind) is tuple and get_args(kind) == (str, ...):
        return tuple(part for part in (piece.strip() for piece in text.split(",")) if part)
    raise TypeError(f"A setting cannot have the type {kind}.")


def _without_none(kind: Any) -> tuple[Any, bool]:
    if get_origin(kind) not in {Union, types.UnionType}:
        return kind, False
    rest = [part for part in get_args(kind) if part is not types.NoneType]
    if len(rest) != 1 or len(rest) == len(get_args(kind)):
        raise TypeError(f"A setting cannot have the type {kind}.")
    return rest[0], True


def _expected(kind: Any) -> str:
    kind, is_optional = _without_none(kind)
    if get_origin(kind) is tuple:
        return "a list separated by commas"
    text = _EXPECTED.get(kind, "a text")
    return f"{text}, or nothing" if is_optional else text
