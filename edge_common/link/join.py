"""The child's side of joining: whom it talks to comes first, and only then what it has to say."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edge_common.link.child_keys import key_fingerprint_of
from edge_common.link.identity import Identity, IdentityFiles
from edge_common.link.token_text import parse_token
from edge_common.model.errors import Broken, InvalidInput, Temporary, Unauthenticated
from edge_common.plumbing.addresses import is_loopback
from edge_common.plumbing.http_client import HttpClient
from edge_common.plumbing.pki import PrivateKey, certificate_fingerprint
from edge_common.plumbing.tls import TlsFiles, fetch_unverified
from edge_common.wire import routes
from edge_common.wire.codec import decode, encode
from edge_common.wire.join_messages import (
    ChildKind,
    Hello,
    JoinAnswer,
    JoinRequest,
    JoinStatus,
    MqttAccess,
    what_is_proven,
)

logger = logging.getLogger(__name__)

JOIN_TIMEOUT_S = 10.0


class Waiting(Temporary):
    """The parent's operator has not decided yet: ask again."""


def join(
    parent_url: str,
    token: str,
    kind: ChildKind,
    name: str,
    data_dir: Path,
    info: Mapping[str, Any],
    timeout_s: float = JOIN_TIMEOUT_S,
) -> Identity:
    """Joins, or joins again as the same child and gets a new MQTT password. `token` may be "" for the latter.

    Raises Waiting while an operator has to decide, Unauthenticated when the parent will not have it or is not the one
    that the token or an earlier join named, Unreachable when it did not answer, Broken when the identity is damaged.
    Any of them may be tried again: the child is admitted once, whatever got lost.
    """
    files = IdentityFiles(data_dir)
    key = files.key()
    pin = parse_token(token).ca_fingerprint if token else ""
    hello = _hello(parent_url, timeout_s)
    _trust(files, hello, parent_url, pin, has_token=bool(token))
    answer = _ask(parent_url, files, _request(key, hello, kind, name, token, info), timeout_s)
    if answer.status is JoinStatus.WAITING:
        shown = key_fingerprint_of(key.public_der)
        raise Waiting(
            f"{answer.parent_name} has this {kind} in its waiting room: id {answer.child_id}, key {shown}. "
            "An operator admits it with: hedgerow waiting admit."
        )
    if answer.mqtt is None:
        raise Broken(f"{answer.parent_name} admitted this {kind} without access to its broker; look at its log.")
    mqtt = _reachable(answer.mqtt, parent_url)
    if not (mqtt.is_tls or is_loopback(mqtt.host)):
        raise Broken(
            f"{answer.parent_name} has its broker on {mqtt.host} and would take this {kind}'s password there in plain "
            "text; the password was not sent. Set tls to on there."
        )
    return files.keep(answer.child_id, answer.parent_name, mqtt, answer.certificate)


def _hello(parent_url: str, timeout_s: float) -> Hello:
    """Nothing secret is sent, and nothing in the answer is believed before the CA in it is compared."""
    if parent_url.startswith("https://"):
        answer = fetch_unverified(parent_url, routes.HELLO, timeout_s)
    else:
        answer = _call(HttpClient(parent_url, timeout_s), "GET", routes.HELLO, None)
    return decode(Hello, json.dumps(answer).encode())


def _trust(files: IdentityFiles, hello: Hello, parent_url: str, pin: str, *, has_token: bool) -> None:
    """Keeps the parent's CA when a token names it, or on first sight; never another one in silence."""
    known = files.ca()
    try:
        shown = certificate_fingerprint(hello.ca)
    except InvalidInput as error:
        raise Broken(f"{parent_url} shows a CA that cannot be read: {error}") from error
    before = certificate_fingerprint(known) if known else ""
    if pin and shown != pin:
        logger.error("event=parent_refused reason=another_ca url=%s shown=%s expected=%s", parent_url, shown, pin)
        raise Unauthenticated(
            f"{parent_url} shows the CA {shown}, and the join token is for {pin}: this is not the parent that the "
            "token is from. Nothing secret was sent to it. Check the address, or ask for a new token."
        )
    if before and shown != before and not pin:
        logger.error("event=parent_refused reason=another_ca url=%s shown=%s expected=%s", parent_url, shown, before)
        raise Unauthenticated(
            f"{parent_url} shows the CA {shown}, and this child knows its parent by {before}. Nothing secret was sent "
            f"to it. If the parent was set up anew, join with a new token, or delete {files.ca_file}."
        )
    if shown == before:
        return
    if not pin and has_token and parent_url.startswith("https://"):
        raise InvalidInput(
            "The join token does not name the parent's CA, so it cannot be sent to a parent that is not known yet. "
            "Ask for a token of the form ID.SECRET.FINGERPRINT, or join without one.",
            "token",
        )
    if before:
        logger.warning("event=ca_replaced url=%s before=%s after=%s by=token", parent_url, before, shown)
    elif not pin:
        logger.warning("event=ca_trusted_on_first_use url=%s fingerprint=%s", parent_url, shown)
    files.keep_ca(hello.ca)


def _request(
    key: PrivateKey, hello: Hello, kind: ChildKind, name: str, token: str, info: Mapping[str, Any]
) -> JoinRequest:
    proven = what_is_proven(certificate_fingerprint(hello.ca), hello.nonce, kind, name, token)
    return JoinRequest(kind, name, key.make_csr(), hello.nonce, key.sign(proven), token, info)


def _ask(parent_url: str, files: IdentityFiles, request: JoinRequest, timeout_s: float) -> JoinAnswer:
    tls = TlsFiles(files.ca_file) if parent_url.startswith("https://") else None
    client = HttpClient(parent_url, timeout_s, tls=tls)
    return decode(JoinAnswer, json.dumps(_call(client, "POST", routes.JOIN, json.loads(encode(request)))).encode())


def _call(client: HttpClient, method: str, path: str, body: Any) -> Any:
    try:
        return client.request(method, path, json=body)
    finally:
        client.close()


def _reachable(mqtt: MqttAccess, parent_url: str) -> MqttAccess:
    """A broker without a host of its own, or on the parent's loopback, is where the parent is, as seen from here."""
    host = urlsplit(parent_url).hostname or ""
    if not mqtt.host:
        return replace(mqtt, host=host)
    return replace(mqtt, host=host, is_tls=True) if is_loopback(mqtt.host) and not is_loopback(host) else mqtt
