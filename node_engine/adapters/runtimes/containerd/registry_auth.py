"""Who we are to a registry: a Docker-style auth file, and the tokens that registries hand out for it."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_common.model.errors import InvalidInput
from node_engine.core.image_reference import DEFAULT_REGISTRY

_CHALLENGE = re.compile(r'([a-zA-Z]+)="([^"]*)"')
_DOCKER_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io")
_MAX_FILE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Challenge:
    """A WWW-Authenticate header. `scheme` is lower case."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse_challenge(header: str) -> Challenge:
    scheme, _, rest = header.partition(" ")
    found = {key.lower(): value for key, value in _CHALLENGE.findall(rest)}
    return Challenge(scheme.lower(), found.get("realm", ""), found.get("service", ""), found.get("scope", ""))


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """What a secret says: logins by registry, or one for whichever registry the image is in."""

    source: str
    document: Mapping[str, Any] = field(repr=False)

    def basic_for(self, registry: str) -> str:
        """What follows "Basic ", or "" when it has none for this registry. Raises InvalidInput."""
        if "auths" in self.document:
            return _entry(self.document, registry, self.source)
        return _encoded(self.document, self.source)


def parse_login(data: bytes, source: str) -> RegistryLogin:
    """From a Docker-style auth file, {"username": ..., "password": ...}, or username:password.

    Raises InvalidInput that names `source` and nothing of what it holds.
    """
    try:
        text = data.decode().strip()
        document = json.loads(text) if text.startswith("{") else None
    except ValueError:
        raise InvalidInput(f"The {source} is neither JSON nor username:password.") from None
    if document is None:
        username, colon, password = text.partition(":")
        if not (username and colon and password):
            raise InvalidInput(f"The {source} is neither JSON nor username:password.")
        document = {"username": username, "password": password}
    login = RegistryLogin(source, document)
    if "auths" not in document and not login.basic_for(""):
        raise InvalidInput(f"The {source} has neither auths nor username and password.")
    return login


def basic_credentials(auth_file: Path | None, registry: str) -> str:
    """What follows "Basic " for this registry, or "". Read at each pull, so a change needs no restart.

    Raises InvalidInput for a file that others may read, or that is none of the kind.
    """
    if auth_file is None:
        return ""
    try:
        status = auth_file.stat()
        if status.st_mode & 0o077:
            raise InvalidInput(f"{auth_file} holds passwords and others may read it; run chmod 600 on it.")
        if status.st_size > _MAX_FILE_BYTES:
            raise InvalidInput(f"{auth_file} is too large to be a file of registry passwords.")
        document = json.loads(auth_file.read_text())
    except OSError as error:
        raise InvalidInput(f"The file of registry passwords {auth_file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InvalidInput(f"The file of registry passwords {auth_file} is no JSON.") from error
    return _entry(document, registry, f"file of registry passwords {auth_file}")


def _entry(document: Any, registry: str, source: str) -> str:
    entries = document.get("auths") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise InvalidInput(f"The {source} has no object at auths.")
    names = [registry, f"https://{registry}", f"http://{registry}"]
    if registry == DEFAULT_REGISTRY:
        names += _DOCKER_HUB_KEYS
    for name in names:
        entry = entries.get(name)
        if isinstance(entry, dict):
            return _encoded(entry, source)
    return ""


def _encoded(entry: Mapping[str, Any], source: str) -> str:
    auth = entry.get("auth")
    if not auth:
        pair = f"{entry.get('username', '')}:{entry.get('password', '')}"
        return base64.b64encode(pair.encode()).decode() if pair != ":" else ""
    try:
        base64.b64decode(auth, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise InvalidInput(f"The {source} has an auth that is no base64.") from None
    return str(auth)
