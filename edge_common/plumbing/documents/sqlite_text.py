"""How names, indexes and conditions are spelled for SQLite."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edge_common.plumbing.documents.interface import Index, Scalar
from edge_common.plumbing.documents.values import Path, path_of


def table(collection: str) -> str:
    return f'"{collection}"'


def expression(path: Path) -> str:
    """Spelled the same in an index and in a query, or SQLite would not use the index."""
    if path == ("_id",):
        return "id"
    if path == ("version",):
        return "version"
    return "json_extract(document, '$" + "".join(f'."{key}"' for key in path) + "')"


def index_sql(index: Index) -> str:
    fields = [expression(path_of(field)) for field in index.fields]
    if not index.is_unique:
        fields.append("id")
    unique = "UNIQUE " if index.is_unique else ""
    name = "__".join((index.collection, *index.fields, "unique" if index.is_unique else "index"))
    return f'CREATE {unique}INDEX IF NOT EXISTS "{name}" ON {table(index.collection)} ({", ".join(fields)})'


def condition_of(wanted: Mapping[Path, Sequence[Scalar]]) -> tuple[str, list[Any]]:
    """May let through too much (SQLite takes true for 1), never too little: `matches` has the last word."""
    terms: list[str] = []
    values: list[Any] = []
    for path, choices in wanted.items():
        if any(isinstance(value, float) for value in choices):
            continue  # SQLite reads some decimals a hair differently
        column = expression(path)
        some = [value for value in choices if value is not None]
        if len(choices) == 1 and some:
            terms.append(f"{column} = ?")
            values.append(some[0])
            continue
        term = f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608
        if len(some) < len(choices):
            term = f"({term} OR {column} IS NULL)"
        terms.append(term)
        values.append(json.dumps(some))
    return (" WHERE " + " AND ".join(terms) if terms else ""), values
