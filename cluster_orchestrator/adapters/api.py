"""The cluster's HTTP door: health for everyone, joining for whoever has a token. All else goes over the links."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Request, Response, jsonify

from edge_common.link.join_api import ENDPOINT, join_blueprint
from edge_common.link.join_desk import JoinDesk
from edge_common.model.errors import Unauthenticated
from edge_common.plumbing.http_app import create_app, declare_public
from edge_common.wire import routes


def create_api(desk: JoinDesk, status: Callable[[], Mapping[str, Any]]) -> Flask:
    app = create_app("cluster", _nobody)

    def health() -> Response:
        return jsonify({"status": "ok", **status()})

    app.add_url_rule(routes.HEALTH, endpoint="health", view_func=health)
    app.register_blueprint(join_blueprint(desk))
    declare_public(app, "health", ENDPOINT)
    return app


def _nobody(request: Request) -> None:
    raise Unauthenticated(f"The cluster serves nothing but health and joining here; ask the root for {request.path}.")
