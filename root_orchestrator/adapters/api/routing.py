"""Adds routes together with what they need, and with their part of the OpenAPI document."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from flask import Flask, request
from flask_smorest import Api, Blueprint
from marshmallow import Schema

from edge_common.model.errors import Broken, InvalidInput
from edge_common.plumbing.http_app import declare_public, public_endpoints
from root_orchestrator.adapters.api.answers import RefusalAnswer
from root_orchestrator.core.permissions import Permission, Resource, Verb

Answer = dict[str, Any] | list[Any]
View = Callable[..., Answer]
Needs = tuple[Verb, Resource]
_NEEDS = "hedgerow.needs"
_FLAGS = {"true": True, "1": True, "": True, "false": False, "0": False}


class Routes:
    """One tag of the document."""

    def __init__(self, app: Flask, api: Api, tag: str, description: str) -> None:
        self._app = app
        self._api = api
        self._blueprint = Blueprint(tag, f"{__name__}.{tag}", description=description)
        self._public: list[str] = []

    def add(
        self,
        method: str,
        rule: str,
        view: View,
        summary: str,
        answers: type[Schema],
        *,
        is_list: bool = False,
        body: type[Schema] | None = None,
        query: Mapping[str, str] | None = None,
        needs: Needs | None = None,
        is_public: bool = False,
    ) -> None:
        """`query` says what each parameter means; others are refused.

        `needs` is checked before `view` is called, by role alone: the view checks the thing itself. Raises Broken
        unless the route either needs something or is public.
        """
        if (needs is None) is not is_public:
            raise Broken(f"{method} {rule} must either say what it needs or be public.")
        known = dict(query or {})
        endpoint = f"{method.lower()}_{view.__name__}"

        @wraps(view)
        def answer(**arguments: Any) -> Answer:
            unknown = sorted(set(request.args) - set(known))
            if unknown:
                raise InvalidInput(f"{unknown[0]}: this path knows no such parameter", unknown[0])
            return view(**arguments)

        answered = answers(many=is_list)
        documented = self._blueprint.doc(**_document(summary, answered, body, known, needs))(answer)
        self._blueprint.add_url_rule(rule, endpoint, documented, methods=[method])
        full_name = f"{self._blueprint.name}.{endpoint}"
        if needs is None:
            self._public.append(full_name)
        else:
            declare_needs(self._app, full_name, *needs)

    def get(self, rule: str, view: View, summary: str, answers: type[Schema], **options: Any) -> None:
        self.add("GET", rule, view, summary, answers, **options)

    def post(self, rule: str, view: View, summary: str, answers: type[Schema], **options: Any) -> None:
        self.add("POST", rule, view, summary, answers, **options)

    def put(self, rule: str, view: View, summary: str, answers: type[Schema], **options: Any) -> None:
        self.add("PUT", rule, view, summary, answers, **options)

    def delete(self, rule: str, view: View, summary: str, answers: type[Schema], **options: Any) -> None:
        self.add("DELETE", rule, view, summary, answers, **options)

    def register(self) -> None:
        self._api.register_blueprint(self._blueprint)
        declare_public(self._app, *self._public)


def declare_needs(app: Flask, endpoint: str, verb: Verb, resource: Resource) -> None:
    """For a route that is added by other means than `Routes`."""
    app.extensions.setdefault(_NEEDS, {})[endpoint] = Permission(verb, resource)


def declared_needs(app: Flask, endpoint: str | None) -> Permission | None:
    declared: dict[str | None, Permission] = app.extensions.get(_NEEDS, {})
    return declared.get(endpoint)


def needs_of(app: Flask, endpoint: str | None) -> Permission:
    """Raises Broken for a route that was not declared: nobody may use it."""
    needs = declared_needs(app, endpoint)
    if needs is None:
        raise Broken(f"The route {endpoint} does not say what it needs.")
    return needs


def check_declared(app: Flask) -> None:
    """Raises Broken when a route is neither public nor says what it needs. To be called before serving."""
    public = public_endpoints(app)
    for rule in app.url_map.iter_rules():
        if rule.endpoint not in public:
            needs_of(app, rule.endpoint)


def query_flag(name: str, default: bool = False) -> bool:
    text = request.args.get(name)
    if text is None:
        return default
    if text.lower() not in _FLAGS:
        raise InvalidInput(f"{name}: must be true or false", name)
    return _FLAGS[text.lower()]


def query_text(name: str, default: str, max_length: int) -> str:
    text = request.args.get(name, "")
    if len(text) > max_length:
        raise InvalidInput(f"{name}: must have at most {max_length} characters", name)
    return text or default


def query_whole(name: str, default: int, low: int, high: int) -> int:
    text = request.args.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 20 or not low <= int(text) <= high:
        raise InvalidInput(f"{name}: must be a whole number from {low} to {high}", name)
    return int(text)


def _document(
    summary: str, answers: Schema, body: type[Schema] | None, query: Mapping[str, str], needs: Needs | None
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "summary": summary,
        "description": f"Needs: {Permission(*needs)}." if needs else "Needs no login.",
        "security": [{"bearer": []}] if needs else [],
        "parameters": [
            {"in": "query", "name": name, "description": meaning, "schema": {"type": "string"}}
            for name, meaning in query.items()
        ],
        "responses": {
            "200": {"description": "Done", "content": {"application/json": {"schema": answers}}},
            "default": {"description": "Refused", "content": {"application/json": {"schema": RefusalAnswer}}},
        },
    }
    if body is not None:
        document["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return document
