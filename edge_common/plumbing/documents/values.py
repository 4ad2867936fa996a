"""What all backends must agree on: names, encoding, equality and order of values."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from edge_common.model.errors import InvalidInput
from edge_common.plumbing.documents.interface import Document, Index, Scalar, Where

Path: TypeAlias = tuple[str, ...]

_COLLECTION = re.compile(r"(?!sqlite_)[a-z][a-z0-9_]{0,62}")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*")


def check_collection(name: str) -> str:
    if not _COLLECTION.fullmatch(name):
        raise InvalidInput(f"{name!r} cannot name a collection; use lower-case letters, digits and '_'.", "collection")
    return name


def path_of(field: str) -> Path:
    if not _FIELD.fullmatch(field):
        raise InvalidInput(f"{field!r} cannot be looked up; use letters, digits, '_', '-' and dots.", field)
    return tuple(field.split("."))


def id_of(document: Mapping[str, Any]) -> str:
    """Raises InvalidInput also for outermost keys that a database would take for operators."""
    document_id = document.get("_id")
    if not isinstance(document_id, str) or not document_id or "\0" in document_id:
        raise InvalidInput(f"A document's _id must be a text, not {document_id!r}.", "_id")
    for key in document:
        if key.startswith("$"):
            raise InvalidInput(f"Document {document_id} has the key {key!r}; it must not begin with '$'.", key)
    return document_id


def check_unique_fields(document: Mapping[str, Any], unique: Sequence[Index]) -> None:
    for index in unique:
        for field in index.fields:
            if value_at(document, path_of(field)) is None:
                raise InvalidInput(f"Document {document.get('_id')} needs the unique field {field}.", field)


def encode(document: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
        return text
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"Document {document.get('_id')} cannot be written as JSON: {error}") from error


def value_at(document: Mapping[str, Any], path: Path) -> Any:
    value: Any = document
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def choices(value: Scalar | Sequence[Scalar], field: str) -> list[Scalar]:
    """The values that are wanted. Raises InvalidInput for objects, so that no input can smuggle in an operator."""
    wanted = [value] if value is None or isinstance(value, str | int | float) else value
    if isinstance(wanted, bytes) or not isinstance(wanted, Sequence):
        raise InvalidInput(f"{field} cannot be compared with {type(value).__name__}.", field)
    for item in wanted:
        if not (item is None or isinstance(item, str | int | float)):
            raise InvalidInput(f"{field} cannot be compared with {type(item).__name__}.", field)
        if isinstance(item, int) and not -(2**63) <= item < 2**63:
            raise InvalidInput(f"{field} cannot be compared with {item}: it needs more than 64 bits.", field)
    return list(wanted)


def key_of(value: Any) -> tuple[bool, Any]:
    """Equal for equal values and only for them; in Python alone True would be 1."""
    return isinstance(value, bool), value


def matches(document: Mapping[str, Any], wanted: Mapping[Path, Sequence[Scalar]]) -> bool:
    for path, values in wanted.items():
        found = value_at(document, path)
        if isinstance(found, dict | list) or key_of(found) not in map(key_of, values):
            return False
    return True


def wanted_of(where: Where | None) -> dict[Path, list[Scalar]]:
    return {path_of(field): choices(value, field) for field, value in (where or {}).items()}


def order_of(document: Document, path: Path) -> tuple[int, Any, str]:
    """None, then numbers, then texts; the `_id` decides between equals."""
    value = value_at(document, path)
    if value is None:
        return 0, 0, document["_id"]
    return (2 if isinstance(value, str) else 1), value, document["_id"]


def copy_of(value: Any) -> Any:
    """A deep copy of JSON, with lists where tuples were."""
    if isinstance(value, dict):
        return {key: copy_of(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [copy_of(item) for item in value]
    return value
