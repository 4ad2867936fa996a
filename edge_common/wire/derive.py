"""Derives a marshmallow schema from a frozen dataclass, so that a message and its schema cannot drift apart."""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from marshmallow import EXCLUDE, Schema, post_load
from marshmallow import fields as ma
from marshmallow.validate import Length, Range

MAX_TEXT = 131_072
"""The longest argument and the longest variable that Linux hands to a program; an SLA allows no more."""
MAX_ITEMS = 100_000
MAX_WHOLE = 2**53


class DataclassSchema(Schema):
    """Loads into `target`. Unknown fields are left out: a newer sender may know more than we do."""

    target: type[Any]

    class Meta:
        unknown = EXCLUDE

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> Any:
        return self.target(**data)


class _Tuple(ma.List[Any]):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return tuple(super()._deserialize(value, *args, **kwargs))


class _Pair(ma.Tuple):
    pass


class _Float(ma.Float):
    """A JSON number: marshmallow's own also takes texts and truths."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid")
        return super()._deserialize(value, *args, **kwargs)


class _Boolean(ma.Boolean):
    """true and false: in Python alone 1 and 1.0 would be the same as true."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, *args, **kwargs)


_SCHEMAS: dict[type[Any], Schema] = {}


def schema_of(dataclass_type: type[Any]) -> Schema:
    """The schema of a dataclass of str, int, float, bool, enums, tuples, mappings, optionals and such dataclasses.

    The metadata `max_length` of a field lets a text be longer than others.
    """
    known = _SCHEMAS.get(dataclass_type)
    if known is None:
        known = _SCHEMAS[dataclass_type] = _derive(dataclass_type)
    return known


def _derive(dataclass_type: type[Any]) -> Schema:
    hints = get_type_hints(dataclass_type)
    members: dict[str, Any] = {"target": dataclass_type}
    for field in fields(dataclass_type):
        is_required = field.default is MISSING and field.default_factory is MISSING
        members[field.name] = _field(hints[field.name], required=is_required, **field.metadata)
    schema: type[Schema] = type(f"{dataclass_type.__name__}Schema", (DataclassSchema,), members)
    return schema()


def _field(hint: Any, **options: Any) -> ma.Field[Any]:
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = (arg for arg in args if arg is not type(None))
        return _field(inner, allow_none=True, **options)
    if origin is tuple:
        if args[-1] is Ellipsis:
            return _Tuple(_field(args[0]), validate=Length(max=MAX_ITEMS), **options)
        return _Pair(tuple(_field(arg) for arg in args), **options)
    if origin in (dict, Mapping, typing.Mapping):
        values = ma.Raw(allow_none=True) if args[1] is Any else _field(args[1])
        return ma.Dict(keys=_field(args[0]), values=values, **options)
    return _plain(hint, **options)


def _plain(hint: Any, **options: Any) -> ma.Field[Any]:
    if is_dataclass(hint):
        return ma.Nested(schema_of(typing.cast(type[Any], hint)), **options)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ma.Enum(hint, by_value=True, **options)
    if hint is str:
        return ma.String(validate=Length(max=options.pop("max_length", MAX_TEXT)), **options)
    if hint is bool:
        return _Boolean(**options)
    if hint is int:
        return ma.Integer(strict=True, validate=Range(-MAX_WHOLE, MAX_WHOLE), **options)
    if hint is float:
        return _Float(allow_nan=False, **options)
    raise TypeError(f"{hint!r} has no field on the wire")
