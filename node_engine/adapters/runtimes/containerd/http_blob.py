"""One blob as it comes from a registry."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_common.model.lifecycle import Reason
from node_engine.core.image_manifest import Blob
from node_engine.ports import TaskFailure

if TYPE_CHECKING:
    import urllib3

_CHUNK = 256 * 1024


class HttpBlob:
    """Exactly the bytes that are missing from `offset` on: fewer or more raise TaskFailure."""

    def __init__(self, response: "urllib3.BaseHTTPResponse", blob: Blob, offset: int, image: str) -> None:
        self.offset = offset
        self._response = response
        self._missing = blob.size_bytes - offset
        self._image = image

    def __iter__(self) -> Iterator[bytes]:
        import urllib3

        try:
            for chunk in self._response.stream(_CHUNK, decode_content=False):
                self._missing -= len(chunk)
                if self._missing < 0:
                    raise self._failure("the registry sends more than the manifest says")
                yield chunk
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._failure("the connection to the registry broke") from error
        if self._missing:
            raise self._failure(f"the registry stopped {self._missing} bytes too early")

    def close(self) -> None:
        if self._missing == 0:
            self._response.release_conn()
        else:
            self._response.close()

    def _failure(self, why: str) -> TaskFailure:
        return TaskFailure(
            f"Pulling {self._image} broke off: {why}; the next try goes on from there.", Reason.IMAGE_UNREACHABLE
        )
