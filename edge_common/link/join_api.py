"""The parent's HTTP door for joining. Needs no login: the join token or the child's secret is the proof."""

import json

from flask import Blueprint, Response, request

from edge_common.link.join_desk import JoinDesk
from edge_common.link.join_tokens import MIN_SECRET_LENGTH
from edge_common.model.errors import InvalidInput, TooLarge
from edge_common.wire import routes
from edge_common.wire.codec import decode, encode
from edge_common.wire.join_messages import JoinRequest

ENDPOINT = "link.join"
"""To be declared public."""

MAX_BODY_BYTES = 64 * 1024
MAX_NAME = 64
MAX_SECRET_LENGTH = 256


def join_blueprint(desk: JoinDesk) -> Blueprint:
    blueprint = Blueprint("link", __name__)

    def join() -> Response:
        return Response(encode(desk.admit(_read())), mimetype="application/json")

    blueprint.add_url_rule(routes.JOIN, endpoint="join", view_func=join, methods=["POST"])
    return blueprint


def _read() -> JoinRequest:
    body = request.stream.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"A join request has at most {MAX_BODY_BYTES} bytes.")
    asked = decode(JoinRequest, body)
    if not (0 < len(asked.name) <= MAX_NAME and asked.name.isprintable() and "/" not in asked.name):
        raise InvalidInput(f"name must be 1 to {MAX_NAME} printable characters without a slash.", "name")
    if not MIN_SECRET_LENGTH <= len(asked.secret) <= MAX_SECRET_LENGTH:
        raise InvalidInput(f"secret must be {MIN_SECRET_LENGTH} to {MAX_SECRET_LENGTH} characters.", "secret")
    _check_encodable(asked)
    return asked


def _check_encodable(asked: JoinRequest) -> None:
    """JSON may carry half of a surrogate pair, which no store and no hash takes."""
    try:
        json.dumps([asked.name, asked.secret, asked.token, asked.info], ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("The request holds broken characters.") from error
