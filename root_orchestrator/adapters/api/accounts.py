"""Login and users."""

from collections.abc import Mapping
from typing import Any

from flask import request

from edge_common.model.errors import Forbidden, Unauthenticated
from edge_common.plumbing.http_app import bearer_token
from edge_common.wire import routes
from root_orchestrator.adapters.api.answers import (
    LoginAnswer,
    MessageAnswer,
    PermissionAnswer,
    RefreshAnswer,
    UserAnswer,
)
from root_orchestrator.adapters.api.bodies import LoginBody, PasswordBody, RegisterBody, UserBody, read
from root_orchestrator.adapters.api.parts import Parts, caller
from root_orchestrator.adapters.api.routing import Answer, Routes
from root_orchestrator.adapters.auth import TokenType
from root_orchestrator.core import users
from root_orchestrator.core.permissions import Resource, Role, Verb, may
from root_orchestrator.core.records import DEFAULT_ORGANIZATION, User
from root_orchestrator.core.users import UserChange
from root_orchestrator.core.views import user_view

READ_USER = (Verb.READ, Resource.USER)


class Accounts:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add_to(self, to: Routes) -> None:
        to.post(routes.LOGIN, self.login, "Log in", LoginAnswer, body=LoginBody, is_public=True)
        to.post(routes.REFRESH, self.refresh, "A new token for a refresh token", RefreshAnswer, is_public=True)
        to.post(
            routes.REGISTER,
            self.register,
            "Make a user (Admin)",
            UserAnswer,
            body=RegisterBody,
            needs=(Verb.CREATE, Resource.USER),
        )
        to.get(
            routes.USERS, self.users, "All users (Admin)", UserAnswer, is_list=True, needs=(Verb.READ, Resource.USER)
        )
        to.get(routes.USER, self.user, "One user", UserAnswer, needs=(Verb.READ, Resource.USER))
        to.put(routes.USER, self.change, "Change a user", UserAnswer, body=UserBody, needs=(Verb.CHANGE, Resource.USER))
        to.post(
            routes.USER,
            self.change_password,
            "Change one's own password",
            MessageAnswer,
            body=PasswordBody,
            needs=(Verb.CHANGE, Resource.USER),
        )
        to.delete(routes.USER, self.delete, "Delete a user (Admin)", MessageAnswer, needs=(Verb.DELETE, Resource.USER))
        to.get(
            routes.PERMISSION,
            self.permission,
            "The roles of a user",
            PermissionAnswer,
            needs=(Verb.READ, Resource.USER),
        )

    def login(self) -> Answer:
        body = read(LoginBody)
        auth = self._parts.auth
        address = request.remote_addr or ""
        user = auth.login(body["username"], body["password"], address, body.get("organization_name", ""))
        return {"token": auth.token(user), "refresh_token": auth.token(user, TokenType.REFRESH)}

    def refresh(self) -> Answer:
        auth = self._parts.auth
        return {"token": auth.token(auth.refresh(bearer_token(request)))}

    def register(self) -> Answer:
        body = read(RegisterBody)
        users.check_password(body["password"], "password")
        user = User(
            username=body["username"],
            password_hash=self._parts.auth.passwords.hash(body["password"]),
            roles=tuple(body.get("roles", (Role.APPLICATION_PROVIDER,))),
            email=body.get("email", ""),
            organization=body.get("organization", DEFAULT_ORGANIZATION),
            created_at_s=self._parts.clock.now_s(),
        )
        actor = caller()
        return user_view(self._parts.ask(lambda: self._parts.people.create_user(actor, user)))

    def users(self) -> Answer:
        actor = caller()
        visible = (u for u in self._parts.intents.users() if may(actor, *READ_USER, u.organization, u.username))
        return [user_view(user) for user in visible]

    def user(self, username: str) -> Answer:
        return user_view(self._find(username))

    def permission(self, username: str) -> Answer:
        return {"username": username, "roles": list(self._find(username).roles)}

    def change(self, username: str) -> Answer:
        body = read(UserBody)
        actor = caller()
        users.visible(actor, self._parts.intents.user(username), username, Verb.CHANGE)
        change = self._change(body)
        return user_view(self._parts.ask(lambda: self._parts.people.change_user(actor, username, change)))

    def change_password(self, username: str) -> Answer:
        actor = caller()
        user = self._find(username)
        if actor.username != username:
            raise Forbidden("This changes one's own password; an Admin sets another user's with PUT.")
        body = read(PasswordBody)
        if not self._parts.auth.passwords.is_right(user, body["old_password"]):
            raise Unauthenticated("oldPassword: is not the password you have now.")
        users.check_password(body["new_password"], "newPassword")
        password_hash = self._parts.auth.passwords.hash(body["new_password"])
        self._parts.ask(lambda: self._parts.people.change_own_password(actor, password_hash))
        return {"message": "The password is changed; log in again."}

    def delete(self, username: str) -> Answer:
        actor = caller()
        self._parts.ask(lambda: self._parts.people.delete_user(actor, username))
        return {"message": f"User {username} is deleted."}

    def _find(self, username: str) -> User:
        return users.visible(caller(), self._parts.intents.user(username), username, Verb.READ)

    def _change(self, body: Mapping[str, Any]) -> UserChange:
        password_hash = None
        if "password" in body:
            users.check_password(body["password"], "password")
            password_hash = self._parts.auth.passwords.hash(body["password"])
        roles = None if "roles" not in body else tuple(body["roles"])
        return UserChange(body.get("email"), password_hash, body.get("organization"), roles)
