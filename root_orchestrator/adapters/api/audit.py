"""The audit log: what the requests of this API put into it, and how it is read."""

from http import HTTPStatus

from flask import Flask, Response, g, request

from edge_common.model.errors import InvalidInput
from edge_common.wire import routes
from root_orchestrator.adapters.api.answers import AuditAnswer
from root_orchestrator.adapters.api.parts import Parts, caller
from root_orchestrator.adapters.api.routing import Answer, Routes, declared_needs, query_whole
from root_orchestrator.core import audit
from root_orchestrator.core.permissions import Identity, Permission, Resource, Scope, Verb, scope_of
from root_orchestrator.core.views import audit_view

MAX_PAGE = 1000
_DEFAULT_PAGE = 100
_FARTHEST = 2**53
_LOGIN = Permission(Verb.CREATE, Resource.SESSION)
_PAGE = {
    "limit": f"at most so many entries, up to {MAX_PAGE}",
    "before": "the newest first, those before this one: `next` of the last answer",
    "after": "the oldest first, those after this one: `last` of the last answer",
}


class AuditLogs:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add_to(self, to: Routes) -> None:
        to.get(
            routes.AUDIT,
            self.page,
            "Who did what: of all for an Admin, of one's organisation for its admin",
            AuditAnswer,
            query=_PAGE,
            needs=(Verb.READ, Resource.AUDIT),
        )

    def page(self) -> Answer:
        limit = query_whole("limit", _DEFAULT_PAGE, 1, MAX_PAGE)
        before, after = query_whole("before", -1, 0, _FARTHEST), query_whole("after", -1, 0, _FARTHEST)
        if before >= 0 and after >= 0:
            raise InvalidInput("before: says the opposite of after; leave one of them out", "before")
        actor, log = caller(), self._parts.audit
        is_all = scope_of(actor, Verb.READ, Resource.AUDIT) is Scope.EVERYTHING
        organization, last = None if is_all else actor.organization, log.last
        if after >= 0:
            found = log.following(after, limit, organization)
            last = found[-1].sequence if len(found) == limit else max(after, last)
        else:
            found = log.newest(limit, organization, None if before < 0 else before)
        names = self._parts.organization_names()
        return {
            "entries": [audit_view(entry, names) for entry in found],
            "next": found[-1].sequence if after < 0 and len(found) == limit else None,
            "last": last,
        }


def audit_requests(app: Flask, parts: Parts) -> None:
    """Every answer passes here; nothing but ids, names and our own words is kept of a request."""

    def note(response: Response) -> Response:
        actor = g.get("caller") or g.get("logged_in")
        needed = _LOGIN if g.get("caller") is None else declared_needs(app, request.endpoint)
        if isinstance(actor, Identity) and needed is not None:
            entry = audit.entry(actor, needed, _request(response), parts.clock.now_s())
            if entry is not None:
                parts.audit.note(entry)
        return response

    app.after_request(note)


def _request(response: Response) -> audit.Request:
    is_failure = response.status_code >= HTTPStatus.BAD_REQUEST
    path = "/".join(str(value) for value in (request.view_args or {}).values())
    return audit.Request(
        object_id=g.get("audit_object") or path,
        address=request.remote_addr or "",
        request_id=g.get("request_id", ""),
        error=g.get("error"),
        failure=HTTPStatus(response.status_code).phrase if is_failure else "",
    )
