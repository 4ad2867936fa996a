"""Names of images, as people write them and as registries need them."""

import re
from dataclasses import dataclass

from edge_common.model.errors import InvalidInput

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
MAX_LENGTH = 512

_REGISTRY = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,252}[a-zA-Z0-9])?|\[[0-9a-fA-F:]{2,45}\])(?::[0-9]{1,5})?")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """`tag` or `digest` may be empty, never both; with both, the digest decides what is pulled."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @property
    def version(self) -> str:
        """What a registry is asked for."""
        return self.digest or self.tag


def parse(text: str) -> ImageReference:
    """`busybox`, `library/busybox:1.36`, `registry.example:5000/a/b@sha256:...`; raises InvalidInput."""
    if not text or len(text) > MAX_LENGTH:
        raise InvalidInput(f"An image's name has 1 to {MAX_LENGTH} characters.", "image")
    rest, has_digest, digest = text.partition("@")
    if has_digest and not is_digest(digest):
        raise _refused(text, "what follows @ must be sha256: and 64 hexadecimal digits")
    registry, path = _split_registry(rest)
    if not _REGISTRY.fullmatch(registry):
        raise _refused(text, "the registry must be a host with an optional port")
    repository, has_tag, tag = path.partition(":")
    if has_tag and not _TAG.fullmatch(tag):
        raise _refused(text, "a tag has letters, digits, dots, dashes and underscores, at most 128")
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = f"library/{repository}"
    if not _REPOSITORY.fullmatch(repository):
        raise _refused(text, "the repository has lower-case letters and digits, separated by / . _ or -")
    if not has_tag and not has_digest:
        tag = DEFAULT_TAG
    return ImageReference(registry, repository, tag, digest)


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def _split_registry(text: str) -> tuple[str, str]:
    """The first part is a registry when it looks like a host: with a dot or a port, or localhost."""
    first, slash, rest = text.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first or first.lower() != first):
        registry = DEFAULT_REGISTRY if first == "index.docker.io" else first
        return registry, rest
    return DEFAULT_REGISTRY, text


def _refused(text: str, why: str) -> InvalidInput:
    return InvalidInput(f"{text[:80]!r} names no image: {why}.", "image")
