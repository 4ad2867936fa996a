"""A Flask application as both tiers serve it: closed unless a route is declared public, JSON only, plain errors."""

import json
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NoReturn

from flask import Flask, Request, Response, current_app, g, jsonify, request
from werkzeug.exceptions import HTTPException, UnsupportedMediaType

from edge_common.model.errors import (
    Broken,
    Conflict,
    Forbidden,
    HedgerowError,
    Incompatible,
    InvalidInput,
    NotFound,
    Overloaded,
    RateLimited,
    Temporary,
    TooLarge,
    Unauthenticated,
    Unreachable,
    Unsupported,
)

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1 << 20
RETRY_AFTER_S = 1
_PUBLIC = "hedgerow.public"
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_BODY_METHODS = ("POST", "PUT", "PATCH", "DELETE")

STATUS: Mapping[type[HedgerowError], HTTPStatus] = {
    InvalidInput: HTTPStatus.BAD_REQUEST,
    Unsupported: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Temporary: HTTPStatus.SERVICE_UNAVAILABLE,
    Unreachable: HTTPStatus.GATEWAY_TIMEOUT,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    Incompatible: HTTPStatus.UPGRADE_REQUIRED,
    Broken: HTTPStatus.INTERNAL_SERVER_ERROR,
    HedgerowError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

Authenticate = Callable[[Request], Any]
"""Who asks, from the request's headers. Raises Unauthenticated."""


def create_app(name: str, authenticate: Authenticate, *, max_body_bytes: int = MAX_BODY_BYTES) -> Flask:
    """Whoever `authenticate` returns is `flask.g.caller` in every route that is not public.

    `flask.g.error` is the error of ours that was answered, for what looks at answers afterwards.
    """
    app = Flask(name, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    app.url_map.strict_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions[_PUBLIC] = set()
    app.before_request(_take_request_id)
    app.before_request(lambda: _admit(app, authenticate))
    app.after_request(_finish)
    register_errors(app)
    return app


def register_errors(app: Flask) -> None:
    """Again after an extension has put in its own handlers: the last ones count."""
    app.register_error_handler(HedgerowError, _answer_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_bug)


def declare_public(app: Flask, *endpoints: str) -> None:
    """Raises Broken for an endpoint that does not exist, so that a renamed route does not stay open by accident."""
    unknown = set(endpoints) - set(app.view_functions)
    if unknown:
        raise Broken(f"No route has the endpoint {', '.join(sorted(unknown))}, so it cannot be declared public.")
    app.extensions[_PUBLIC].update(endpoints)


def public_endpoints(app: Flask) -> frozenset[str]:
    return frozenset(app.extensions[_PUBLIC])


def read_json() -> Any:
    """The body. Raises InvalidInput when it is not JSON, or says the same key twice."""
    body = request.get_data()  # a chunked one is cut off at the limit in silence
    if request.content_length is None and len(body) >= current_app.config["MAX_CONTENT_LENGTH"]:
        raise _too_large()
    try:
        return json.loads(body, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidInput("The body is nested too deeply.") from None
    except ValueError as error:
        raise InvalidInput(f"The body is not JSON: {error}.") from None


def bearer_token(incoming: Request) -> str:
    """Raises Unauthenticated when there is none."""
    scheme, _, token = incoming.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("There is no token; log in and send it as: Authorization: Bearer TOKEN.")
    return token.strip()


def error_body(status: HTTPStatus, message: str, field: str = "") -> dict[str, Any]:
    return {"code": status.value, "status": status.phrase, "message": message, "field": field}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidInput(f'The body says "{key}" twice in one object; keep one.', key)
        found[key] = value
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _take_request_id() -> None:
    asked = request.headers.get("X-Request-Id", "")
    g.request_id = asked if _REQUEST_ID.fullmatch(asked) else secrets.token_hex(8)


def _admit(app: Flask, authenticate: Authenticate) -> None:
    """A path that leads nowhere answers 404 or 405 to anybody; every other one needs a token unless it is public."""
    if request.endpoint is None:
        return
    if request.endpoint not in app.extensions[_PUBLIC]:
        g.caller = authenticate(request)
    if request.method in _BODY_METHODS and _has_body() and not request.is_json:
        raise UnsupportedMediaType("The body must be JSON, sent with Content-Type: application/json.")
    if (request.content_length or 0) > app.config["MAX_CONTENT_LENGTH"]:
        raise _too_large()


def _too_large() -> TooLarge:
    return TooLarge(f"The body must have at most {current_app.config['MAX_CONTENT_LENGTH']} bytes.")


def _has_body() -> bool:
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _answer_error(error: HedgerowError) -> Response:
    g.error = error
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    message = str(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("request=%s path=%s broken: %s", g.get("request_id"), request.path, error, exc_info=error)
        message = _look_in_the_log()
    response = _response(status, message, error.field if isinstance(error, InvalidInput) else "")
    if status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Temporary):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _answer_http_error(error: HTTPException) -> Response:
    code = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if code < HTTPStatus.BAD_REQUEST:
        return Response(status=code, headers=dict(error.get_response().headers))
    messages = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {request.path}.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.path} does not take {request.method}.",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    }
    status = HTTPStatus(code)
    return _response(status, messages.get(status, error.description or status.phrase))


def _answer_bug(error: Exception) -> Response:
    logger.error("request=%s path=%s failed", g.get("request_id"), request.path, exc_info=error)
    return _response(HTTPStatus.INTERNAL_SERVER_ERROR, _look_in_the_log())


def _look_in_the_log() -> str:
    return f"Something is broken in here; an operator finds request {g.get('request_id')} in the log."


def _response(status: HTTPStatus, message: str, field: str = "") -> Response:
    response = jsonify(error_body(status, message, field))
    response.status_code = status
    return response
