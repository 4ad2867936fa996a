"""The cluster's HTTP door: health for everyone, joining for whoever may. All else goes over the links."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Flask, Request, Response, jsonify

from edge_common.link.join_api import ENDPOINTS
from edge_common.model.errors import Unauthenticated
from edge_common.plumbing.http_app import create_app, declare_public
from edge_common.wire import routes


def create_api(joining: Blueprint, status: Callable[[], Mapping[str, Any]]) -> Flask:
    app = create_app("cluster", _nobody)

    def health() -> Response:
        return jsonify({"status": "ok", **status()})

    app.add_url_rule(routes.HEALTH, endpoint="health", view_func=health)
    app.register_blueprint(joining)
    declare_public(app, "health", *ENDPOINTS)
    return app


def _nobody(request: Request) -> None:
    raise Unauthenticated(f"The cluster serves nothing but health and joining here; ask the root for {request.path}.")
