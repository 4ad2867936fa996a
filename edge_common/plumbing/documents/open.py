"""The backend that a URL names."""

from pathlib import Path

from edge_common.model.errors import InvalidInput
from edge_common.plumbing.documents.interface import Documents


def open_documents(url: str, password_file: Path | None = None) -> Documents:
    """`memory:`, `sqlite:///absolute/path.db` or `mongodb://[user@]host:port/database`, whose password is in the file.

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

        return MongoDocuments(url, _password(password_file))
    scheme = url.partition(":")[0]
    raise InvalidInput(
        f"The store's URL begins with {scheme!r}; use memory:, sqlite:///absolute/path.db or mongodb://host:port/name.",
        "store_url",
    )


def _password(file: Path | None) -> str | None:
    try:
        return None if file is None else file.read_text().strip()
    except OSError as error:
        raise InvalidInput(
            f"The store's password cannot be read from {file}: {error.strerror}.", "store_password_file"
        ) from error
