"""Messages to bytes and back: JSON, with the major version beside the fields."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from marshmallow import ValidationError

from edge_common.model.errors import Incompatible, InvalidInput
from edge_common.wire.derive import schema_of
from edge_common.wire.version import MAJOR

M = TypeVar("M")


def to_document(message: Any) -> dict[str, Any]:
    document = schema_of(type(message)).dump(message)
    if not isinstance(document, dict):
        raise TypeError(f"{type(message).__name__} does not dump to an object")
    return document


def from_document(message_type: type[M], document: Any) -> M:
    """Raises InvalidInput that names the first bad field."""
    try:
        loaded = schema_of(message_type).load(document)
    except ValidationError as error:
        where, what = _first(error.messages)
        raise InvalidInput(f"A {message_type.__name__} does not parse: {where}: {what}", where) from error
    if not isinstance(loaded, message_type):
        raise InvalidInput(f"A {message_type.__name__} must be one object.")
    return loaded


def encode(message: Any) -> bytes:
    return encode_document(to_document(message))


def encode_document(document: Mapping[str, Any]) -> bytes:
    return json.dumps({"v": MAJOR, **document}, separators=(",", ":")).encode()


def decode(message_type: type[M], payload: bytes) -> M:
    """Raises InvalidInput for what is no such message and Incompatible for another major version."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"A {message_type.__name__} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"A {message_type.__name__} must be one JSON object.")
    version = document.pop("v", None)
    if isinstance(version, bool) or version != MAJOR:
        raise Incompatible(f"A {message_type.__name__} has version {version!r}; this side speaks version {MAJOR}.")
    return from_document(message_type, document)


def _first(messages: Any, path: str = "") -> tuple[str, str]:
    if isinstance(messages, dict) and messages:
        key = next(iter(messages))
        return _first(messages[key], f"{path}.{key}" if path else str(key))
    if isinstance(messages, list) and messages:
        return _first(messages[0], path)
    return path, str(messages)
