"""What people send: every unknown field refused, nothing converted in silence, and one sentence for each mistake.

Messages between our own parts are in messages.py, which is lenient on purpose.
"""

from collections.abc import Iterator
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields
from marshmallow.validate import Length, Range

from edge_common.model.errors import InvalidInput

_UNKNOWN = "unknown field"

MAX_TEXT = 4096
MAX_ITEMS = 1024


def _said(**messages: str) -> dict[str, Any]:
    return {"required": "is missing", "null": "must not be null", **messages}


class StrictSchema(Schema):
    error_messages = {"unknown": _UNKNOWN, "type": "must be an object"}  # noqa: RUF012 - as marshmallow declares it

    class Meta:
        unknown = RAISE


class Text(fields.String):
    def __init__(self, *, max_length: int = MAX_TEXT, min_length: int = 0, **options: Any) -> None:
        unit = "character" if max_length == 1 else "characters"
        message = f"must have {f'{min_length} to' if min_length else 'at most'} {max_length} {unit}"
        super().__init__(
            validate=Length(min=min_length, max=max_length, error=message),
            error_messages=_said(invalid="must be text"),
            **options,
        )

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if "\0" in value or not _is_encodable(value):
            raise ValidationError("must not contain NUL or broken characters")
        return value


class Whole(fields.Integer):
    def __init__(self, low: int, high: int, **options: Any) -> None:
        limits = Range(low, high, error=f"must be a whole number from {low} to {high}")
        super().__init__(
            strict=True, validate=limits, error_messages=_said(invalid="must be a whole number"), **options
        )


class Decimal(fields.Float):
    def __init__(self, low: float, high: float, **options: Any) -> None:
        limits = Range(low, high, error=f"must be a number from {low:g} to {high:g}")
        super().__init__(
            allow_nan=False,
            validate=limits,
            error_messages=_said(invalid="must be a number", special="must be a number", too_large="is too large"),
            **options,
        )

    def _validated(self, value: Any) -> Any:
        if isinstance(value, str):
            raise self.make_error("invalid")
        return super()._validated(value)


class Flag(fields.Boolean):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, error_messages=_said(invalid="must be true or false"), **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Table(fields.Dict):
    """An object whose keys are the sender's own."""

    def __init__(self, *, max_items: int = MAX_ITEMS, **options: Any) -> None:
        limits = Length(max=max_items, error=f"must have at most {max_items} entries")
        super().__init__(
            keys=Text(max_length=128),
            values=Anything(),
            validate=limits,
            error_messages=_said(invalid="must be an object"),
            **options,
        )


class ListOf(fields.List[Any]):
    def __init__(self, inner: fields.Field[Any], *, max_items: int = MAX_ITEMS, **options: Any) -> None:
        super().__init__(
            inner,
            validate=Length(max=max_items, error=f"must have at most {max_items} items"),
            error_messages=_said(invalid="must be a list"),
            **options,
        )


class Part(fields.Nested):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, error_messages=_said(type="must be an object"), **options)


class Anything(fields.Raw):
    """A field that is known but not looked into here."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_none=True, **options)


def load(schema: Schema, document: Any, what: str = "The body") -> Any:
    """Raises InvalidInput: one sentence about the first mistake, with its full path, and how many more there are."""
    if not isinstance(document, dict):
        raise InvalidInput(f"{what} must be a JSON object.")
    try:
        return schema.load(document)
    except ValidationError as error:
        mistakes = list(_mistakes(error.messages, schema, ""))
    path, message = mistakes[0]
    more = f" ({len(mistakes) - 1} more mistakes)" if len(mistakes) > 1 else ""
    raise InvalidInput(f"{path or what}: {message}{more}", path)


def _is_encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mistakes(messages: Any, schema: Schema | None, path: str) -> Iterator[tuple[str, str]]:
    """Marshmallow's tree of messages as (path, message), each unknown field with what may have been meant."""
    if isinstance(messages, dict):
        for key, below in messages.items():
            yield from _below(key, below, schema, path)
        return
    for message in messages if isinstance(messages, list) else [messages]:
        yield path, str(message)


def _below(key: Any, below: Any, schema: Schema | None, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(key, int):
        yield from _mistakes(below, schema, f"{path}[{key}]")
        return
    if key == "_schema":
        yield from _mistakes(below, schema, path)
        return
    here = f"{path}.{key}" if path else str(key)
    if below == [_UNKNOWN] and schema is not None:
        yield here, _UNKNOWN + _suggestion(str(key), schema)
        return
    yield from _mistakes(below, _schema_under(schema, str(key)), here)


def _schema_under(schema: Schema | None, key: str) -> Schema | None:
    if schema is None:
        return None
    for name, candidate in schema.fields.items():
        if (candidate.data_key or name) == key:
            inner = candidate.inner if isinstance(candidate, fields.List) else candidate
            return inner.schema if isinstance(inner, fields.Nested) else None
    return None


def _suggestion(key: str, schema: Schema) -> str:
    known = [candidate.data_key or name for name, candidate in schema.fields.items()]
    from difflib import get_close_matches

    close = get_close_matches(key, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
