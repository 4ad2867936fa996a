"""Puts the API together."""

from importlib.metadata import version
from typing import Any

from flask import Flask, Request, g
from flask_smorest import Api
from flask_swagger_ui import get_swaggerui_blueprint

from edge_common.model.values import ValueKind
from edge_common.plumbing.http_app import MAX_BODY_BYTES, bearer_token, create_app, declare_public, register_errors
from edge_common.wire import routes
from root_orchestrator.adapters.api.accounts import Accounts
from root_orchestrator.adapters.api.answers import HealthAnswer
from root_orchestrator.adapters.api.applications import Applications
from root_orchestrator.adapters.api.audit import AuditLogs, audit_requests
from root_orchestrator.adapters.api.clusters import Clusters
from root_orchestrator.adapters.api.doors import Doors
from root_orchestrator.adapters.api.organizations import Organizations
from root_orchestrator.adapters.api.parts import Parts
from root_orchestrator.adapters.api.routing import Answer, Routes, needs_of
from root_orchestrator.adapters.api.services import Services
from root_orchestrator.adapters.api.sessions import Sessions
from root_orchestrator.adapters.api.tokens import ApiTokens
from root_orchestrator.adapters.api.values import StoredValues
from root_orchestrator.core.permissions import require
from root_orchestrator.core.users import ADMIN_USERNAME

_TITLE = "Hedgerow"
_DESCRIPTION = """\
What runs where: applications, services, their instances, and the clusters that run them.

Log in with `POST /api/auth/login` and send the token as `Authorization: Bearer TOKEN`; it lives ten minutes. A refusal
is one sentence and, when one field is wrong, its path. Paths, bodies and fields are Oakestra's where it has them.
"""
_DOCUMENT_PREFIX, _, _DOCUMENT_NAME = routes.DOCUMENT.rpartition("/")


def create_api(parts: Parts, *, max_body_bytes: int = MAX_BODY_BYTES) -> Flask:
    def authenticate(incoming: Request) -> Any:
        g.caller = parts.auth.identify(bearer_token(incoming))
        require(g.caller, needs_of(app, incoming.endpoint))
        return g.caller

    def tell_health() -> Answer:
        parts.intents.user(ADMIN_USERNAME)
        return {"status": "ok", "version": version("hedgerow")}

    app = create_app("hedgerow-root", authenticate, max_body_bytes=max_body_bytes)
    audit_requests(app, parts)
    api = _open_document(app)
    general = Routes(app, api, "general", "How the root is")
    general.get(routes.HEALTH, tell_health, "Whether the root and its store answer", HealthAnswer, is_public=True)
    general.register()
    for tag, group in (
        ("applications", Applications(parts)),
        ("services", Services(parts)),
        ("clusters", Clusters(parts)),
        ("newcomers", Doors(parts)),
        ("newcomers of clusters", Doors(parts, of_clusters=True)),
        ("secrets", StoredValues(parts, ValueKind.SECRET)),
        ("configs", StoredValues(parts, ValueKind.CONFIG)),
        ("accounts", Accounts(parts)),
        ("sessions", Sessions(parts)),
        ("organizations", Organizations(parts)),
        ("tokens", ApiTokens(parts)),
        ("audit", AuditLogs(parts)),
    ):
        to = Routes(app, api, tag, f"Everything about {tag}")
        group.add_to(to)
        to.register()
    return app


def _open_document(app: Flask) -> Api:
    """The OpenAPI document and its page, both public; the page's files come with flask-swagger-ui."""
    app.config.update(
        API_TITLE=_TITLE,
        API_VERSION="v1",
        OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX=_DOCUMENT_PREFIX,
        OPENAPI_JSON_PATH=_DOCUMENT_NAME,
    )
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    api = Api(
        app, spec_kwargs={"info": {"description": _DESCRIPTION}, "components": {"securitySchemes": {"bearer": bearer}}}
    )
    register_errors(app)
    page = get_swaggerui_blueprint(routes.DOCS, routes.DOCUMENT, {"app_name": _TITLE, "validatorUrl": None})
    app.register_blueprint(page)
    declare_public(app, "api-docs.openapi_json", "swagger_ui.show")
    return api
