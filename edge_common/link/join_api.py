"""The parent's HTTP door for joining. Needs no login: the join token or the child's key is the proof."""

import json

from flask import Blueprint, Response, request

from edge_common.link.join_desk import JoinDesk
from edge_common.model.errors import InvalidInput, TooLarge
from edge_common.plumbing.rate_limit import RateLimit
from edge_common.wire import routes
from edge_common.wire.codec import decode, encode
from edge_common.wire.join_messages import JoinRequest

ENDPOINTS = ("link.hello", "link.join")
"""To be declared public."""

MAX_BODY_BYTES = 64 * 1024
MAX_NAME = 64
MAX_TOKEN = 512
BURST = 200
PER_S = 20.0
"""For each address. Many nodes may share one, and after a long outage they come back together."""


def join_blueprint(desk: JoinDesk, limit: RateLimit) -> Blueprint:
    blueprint = Blueprint("link", __name__)

    def hello() -> Response:
        limit.check(_address())
        return Response(encode(desk.hello()), mimetype="application/json")

    def join() -> Response:
        limit.check(_address())
        return Response(encode(desk.join(_read(), _address())), mimetype="application/json")

    blueprint.add_url_rule(routes.HELLO, endpoint="hello", view_func=hello, methods=["GET"])
    blueprint.add_url_rule(routes.JOIN, endpoint="join", view_func=join, methods=["POST"])
    return blueprint


def _address() -> str:
    return request.remote_addr or ""


def _read() -> JoinRequest:
    body = request.stream.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"A join request has at most {MAX_BODY_BYTES} bytes.")
    asked = decode(JoinRequest, body)
    if not (0 < len(asked.name) <= MAX_NAME and asked.name.isprintable() and "/" not in asked.name):
        raise InvalidInput(f"name must be 1 to {MAX_NAME} printable characters without a slash.", "name")
    if len(asked.token) > MAX_TOKEN:
        raise InvalidInput(f"token must have at most {MAX_TOKEN} characters.", "token")
    _check_encodable(asked)
    return asked


def _check_encodable(asked: JoinRequest) -> None:
    """JSON may carry half of a surrogate pair, which no store and no hash takes."""
    texts = [asked.name, asked.csr, asked.nonce, asked.proof, asked.token, asked.info]
    try:
        json.dumps(texts, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("The request holds broken characters.") from error
