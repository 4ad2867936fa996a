"""Frozen dataclasses to documents and back."""

from typing import Any, TypeVar

from cattrs import Converter

from edge_common.plumbing.documents.interface import Document

R = TypeVar("R")

_CONVERTER = Converter(unstruct_collection_overrides={tuple: list}, detailed_validation=False)
_CONVERTER.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)


def encode(record: Any, document_id: str) -> Document:
    document = _CONVERTER.unstructure(record)
    return {**document, "_id": document_id}


def decode(kind: type[R], document: Document) -> R:
    """Keys that `kind` does not have are left out, and missing ones take its defaults, so old documents load."""
    return _CONVERTER.structure(document, kind)
