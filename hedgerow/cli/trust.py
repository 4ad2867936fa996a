"""Whether the root that was dialled is the one that was meant: by its CA, which the first login pins."""

import sys
from pathlib import Path
from typing import Any

import typer

from edge_common.model.errors import Broken, Forbidden, InvalidInput
from edge_common.plumbing.http_client import refuse_plain
from edge_common.plumbing.pki import FINGERPRINT_LENGTH, certificate_fingerprint
from edge_common.plumbing.tls import fetch_unverified
from hedgerow.cli.session import REQUEST_TIMEOUT_S
from hedgerow.machine.files import write_if_changed

_HELLO = "/api/link/hello"


def pinned_ca(url: str, known: str, file: Path | None, fingerprint: str, keep_in: Path) -> str:
    """The file with the CA that the root's certificate must be of; "" for http://.

    That of `file` or of `fingerprint`, else the `known` one of the last login there, else the person at the terminal is
    shown its fingerprint. Raises Forbidden when the root's CA is another one; InvalidInput when nobody can be asked,
    and for http:// to another machine.
    """
    refuse_plain(url)
    if not url.startswith("https://"):
        return ""
    if file is not None:
        return str(_keep(_read(file), keep_in))
    if fingerprint:
        return str(_keep(_fetch(url, _plain(fingerprint)), keep_in))
    if known and Path(known).exists():
        return known
    pem = _fetch(url, "")
    _ask(url, certificate_fingerprint(pem))
    return str(_keep(pem, keep_in))


def _fetch(url: str, expected: str) -> str:
    """Nothing that is known of the root yet can be checked, so only its CA is asked for, and nothing is told."""
    answer: Any = fetch_unverified(url, _HELLO, REQUEST_TIMEOUT_S)
    pem = answer.get("ca") if isinstance(answer, dict) else None
    if not isinstance(pem, str):
        raise Broken(f"{url} does not show a CA. Is it a root of Hedgerow?")
    shown = certificate_fingerprint(pem)
    if expected and shown != expected:
        raise Forbidden(
            f"{url} shows the CA {shown}, and you expected {expected}: this is not the root that you mean. "
            "Nothing was sent to it. Check the address and the fingerprint."
        )
    return pem


def _ask(url: str, shown: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidInput(
            f"{url} is not known yet. Its CA has the fingerprint {shown}; if an operator of the root confirms that, "
            f"log in with --ca-fingerprint {shown}."
        )
    question = f"The CA of {url} has the fingerprint\n  {shown}\nIs that what its operator told you?"
    typer.confirm(question, abort=True)


def _plain(fingerprint: str) -> str:
    plain = fingerprint.replace(":", "").strip().lower()
    if len(plain) != FINGERPRINT_LENGTH or set(plain) - set("0123456789abcdef"):
        raise InvalidInput(f"A fingerprint has {FINGERPRINT_LENGTH} hexadecimal digits; {fingerprint!r} has not.")
    return plain


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}.") from None


def _keep(pem: str, directory: Path) -> Path:
    kept = directory / f"{certificate_fingerprint(pem)}.pem"
    write_if_changed(kept, pem)
    return kept
