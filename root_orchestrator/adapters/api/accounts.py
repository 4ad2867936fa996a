"""Login and users."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import request

from edge_common.model.errors import Forbidden, NotFound, Unauthenticated
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
from root_orchestrator.core.records import User
from root_orchestrator.core.users import DEFAULT_ORGANIZATION, Role
from root_orchestrator.core.views import user_view


class Accounts:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add_to(self, to: Routes) -> None:
        to.post(routes.LOGIN, self.login, "Log in", LoginAnswer, body=LoginBody, is_public=True)
        to.post(routes.REFRESH, self.refresh, "A new token for a refresh token", RefreshAnswer, is_public=True)
        to.post(routes.REGISTER, self.register, "Make a user (Admin)", UserAnswer, body=RegisterBody)
        to.get(routes.USERS, self.users, "All users (Admin)", UserAnswer, is_list=True)
        to.get(routes.USER, self.user, "One user", UserAnswer)
        to.put(routes.USER, self.change, "Change a user", UserAnswer, body=UserBody)
        to.post(routes.USER, self.change_password, "Change one's own password", MessageAnswer, body=PasswordBody)
        to.delete(routes.USER, self.delete, "Delete a user (Admin)", MessageAnswer)
        to.get(routes.PERMISSION, self.permission, "The roles of a user", PermissionAnswer)

    def login(self) -> Answer:
        body = read(LoginBody)
        auth = self._parts.auth
        address = request.remote_addr or ""
        user = auth.login(body["username"], body["password"], address, body.get("organization_name", ""))
        return {"token": auth.token(user), "refresh_token": auth.token(user, TokenType.REFRESH)}

    def refresh(self) -> Answer:
        auth = self._parts.auth
        user = auth.identify(bearer_token(request), TokenType.REFRESH)
        return {"token": auth.token(user)}

    def register(self) -> Answer:
        users.require_admin(caller())
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
        return user_view(self._parts.ask(lambda: self._parts.manager.create_user(user)))

    def users(self) -> Answer:
        users.require_admin(caller())
        return [user_view(user) for user in self._parts.intents.users()]

    def user(self, username: str) -> Answer:
        return user_view(self._find(username))

    def permission(self, username: str) -> Answer:
        return {"username": username, "roles": list(self._find(username).roles)}

    def change(self, username: str) -> Answer:
        body = read(UserBody)
        if body.keys() - {"email"}:
            users.require_admin(caller())
        changed = self._changed(self._find(username), body)
        return user_view(self._parts.ask(lambda: self._parts.manager.change_user(changed)))

    def change_password(self, username: str) -> Answer:
        user = caller()
        if user.username != username:
            raise Forbidden("This changes one's own password; an Admin sets another user's with PUT.")
        body = read(PasswordBody)
        if not self._parts.auth.passwords.is_right(user, body["old_password"]):
            raise Unauthenticated("oldPassword: is not the password you have now.")
        users.check_password(body["new_password"], "newPassword")
        changed = replace(user, password_hash=self._parts.auth.passwords.hash(body["new_password"]))
        self._parts.ask(lambda: self._parts.manager.change_user(changed))
        return {"message": "The password is changed; log in again."}

    def delete(self, username: str) -> Answer:
        users.require_admin(caller())
        self._parts.ask(lambda: self._parts.manager.delete_user(username))
        return {"message": f"User {username} is deleted."}

    def _find(self, username: str) -> User:
        users.require_self_or_admin(caller(), username)
        user = self._parts.intents.user(username)
        if user is None:
            raise NotFound(f"There is no user {username}.")
        return user

    def _changed(self, user: User, body: Mapping[str, Any]) -> User:
        password_hash = user.password_hash
        if "password" in body:
            users.check_password(body["password"], "password")
            password_hash = self._parts.auth.passwords.hash(body["password"])
        return replace(
            user,
            password_hash=password_hash,
            email=body.get("email", user.email),
            organization=body.get("organization", user.organization),
            roles=users.checked_roles(body.get("roles", user.roles)),
        )
