"""Login, and the sessions that it begins."""

from flask import request

from edge_common.model.errors import InvalidInput
from edge_common.plumbing.http_app import bearer_token
from edge_common.wire import routes
from root_orchestrator.adapters.api.answers import EndedAnswer, LoginAnswer, MessageAnswer, RefreshAnswer
from root_orchestrator.adapters.api.bodies import LoginBody, read
from root_orchestrator.adapters.api.parts import Parts, caller, note_login
from root_orchestrator.adapters.api.routing import Answer, Routes
from root_orchestrator.adapters.auth import Pair
from root_orchestrator.core.permissions import Identity, Resource, Verb


class Sessions:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add_to(self, to: Routes) -> None:
        to.post(routes.LOGIN, self.login, "Log in", LoginAnswer, body=LoginBody, is_public=True)
        to.post(routes.REFRESH, self.refresh, "New tokens for a refresh token", RefreshAnswer, is_public=True)
        end = (Verb.DELETE, Resource.SESSION)
        to.post(routes.LOGOUT, self.logout, "End this session", MessageAnswer, needs=end)
        to.delete(routes.SESSIONS_OF, self.end_all, "End all sessions of a user", EndedAnswer, needs=end)

    def login(self) -> Answer:
        body = read(LoginBody)
        auth = self._parts.auth
        address = request.remote_addr or ""
        user = auth.login(body["username"], body["password"], address, body.get("organization_name", ""))
        session = self._parts.ask(lambda: self._parts.people.open_session(user.username))
        note_login(Identity(user.username, user.organization, user.roles, session_id=session.session_id))
        return _answer(auth.tokens(user, session))

    def refresh(self) -> Answer:
        """Each refresh token counts once; one that is used again ends its session."""
        auth = self._parts.auth
        user, claims = auth.read_refresh(bearer_token(request))
        session = self._parts.ask(
            lambda: self._parts.people.refresh_session(user.username, claims.session_id, claims.generation)
        )
        return _answer(auth.tokens(user, session))

    def logout(self) -> Answer:
        identity = caller()
        if not identity.session_id:
            raise InvalidInput(f"There is no session to end: {identity.token_name} is a personal token; revoke it.")
        self._parts.ask(lambda: self._parts.people.close_session(identity.session_id))
        return {"message": "You are logged out."}

    def end_all(self, username: str) -> Answer:
        actor = caller()
        ended = self._parts.ask(lambda: self._parts.people.end_sessions(actor, username))
        return {"ended": ended, "message": f"{username} is logged out everywhere; personal tokens still count."}


def _answer(pair: Pair) -> Answer:
    return {"token": pair.access, "refresh_token": pair.refresh}
