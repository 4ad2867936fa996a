"""Personal API tokens."""

from edge_common.wire import routes
from root_orchestrator.adapters.api.answers import ApiTokenAnswer, MessageAnswer, NewApiTokenAnswer
from root_orchestrator.adapters.api.bodies import ApiTokenBody, read
from root_orchestrator.adapters.api.parts import Parts, caller, note_object
from root_orchestrator.adapters.api.routing import Answer, Routes, query_text
from root_orchestrator.core import users
from root_orchestrator.core.api_tokens import DEFAULT_TTL_S, Asked
from root_orchestrator.core.permissions import Resource, Verb
from root_orchestrator.core.views import api_token_view

_USER = {"user": "whose tokens; one's own when left out"}


class ApiTokens:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add_to(self, to: Routes) -> None:
        what = Resource.API_TOKEN
        to.get(
            routes.API_TOKENS,
            self.list_all,
            "The tokens of a user",
            ApiTokenAnswer,
            is_list=True,
            query=_USER,
            needs=(Verb.READ, what),
        )
        to.post(
            routes.API_TOKENS,
            self.create,
            "Make a token of one's own",
            NewApiTokenAnswer,
            body=ApiTokenBody,
            needs=(Verb.CREATE, what),
        )
        to.delete(routes.API_TOKEN, self.delete, "Revoke a token", MessageAnswer, needs=(Verb.DELETE, what))

    def list_all(self) -> Answer:
        actor = caller()
        username = query_text("user", actor.username, max_length=64)
        user = users.visible(actor, self._parts.intents.user(username), username, Verb.READ, Resource.API_TOKEN)
        return [api_token_view(token) for token in self._parts.people_reads.api_tokens(user.username)]

    def create(self) -> Answer:
        actor, body = caller(), read(ApiTokenBody)
        roles = tuple(body["scopes"]) if "scopes" in body else None
        asked = Asked(body["name"], body.get("ttl", DEFAULT_TTL_S), roles)
        made = self._parts.ask(lambda: self._parts.people.create_api_token(actor, asked))
        note_object(made.token.token_id)
        return {**api_token_view(made.token), "token": made.text}

    def delete(self, token_id: str) -> Answer:
        actor = caller()
        gone = self._parts.ask(lambda: self._parts.people.delete_api_token(actor, token_id))
        return {"message": f"Token {gone.name} of {gone.username} is revoked."}
