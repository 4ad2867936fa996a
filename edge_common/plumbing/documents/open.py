"""The backend that a URL names."""

from pathlib import Path

from edge_common.model.errors import InvalidInput
from edge_common.plumbing.documents.interface import Documents


def open_documents(url: str) -> Documents:
    """`memory:`, `sqlite:///absolute/path.db` or `mongodb://host:port/database`.

    Imports only the backend that is wanted: pymongo is large, and not everywhere installed.
    """
    if url == "memory:":
        from edge_common.plumbing.documents.memory import MemoryDocuments

        return MemoryDocuments()
    if url.startswith("sqlite:///"):
        from edge_common.plumbing.documents.sqlite import SqliteDocuments

        return SqliteDocuments(Path(url.removeprefix("sqlite://")))
    if url.startswith(("mongodb://", "mongodb+srv://")):
        from edge_common.plumbing.documents.mongo import MongoDocuments

        return MongoDocuments(url)
    scheme = url.partition(":")[0]
    raise InvalidInput(
        f"The store's URL begins with {scheme!r}; use memory:, sqlite:///absolute/path.db or mongodb://host:port/name.",
        "store_url",
    )
