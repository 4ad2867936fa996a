"""Users."""

from collections.abc import Iterable, Mapping
from typing import Any

from flask import request

from edge_common.model.errors import Forbidden, InvalidInput, NotFound
from edge_common.wire import routes
from root_orchestrator.adapters.api.answers import MessageAnswer, PermissionAnswer, UserAnswer
from root_orchestrator.adapters.api.bodies import PasswordBody, RegisterBody, UserBody, read
from root_orchestrator.adapters.api.parts import Parts, caller, note_object
from root_orchestrator.adapters.api.routing import Answer, Routes
from root_orchestrator.core import users
from root_orchestrator.core.permissions import Resource, Role, Verb, may
from root_orchestrator.core.records import User
from root_orchestrator.core.users import UserChange
from root_orchestrator.core.views import View, user_view


class Accounts:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add_to(self, to: Routes) -> None:
        to.post(
            routes.REGISTER,
            self.register,
            "Make a user",
            UserAnswer,
            body=RegisterBody,
            needs=(Verb.CREATE, Resource.USER),
        )
        to.get(
            routes.USERS,
            self.users,
            "The users whom one may see",
            UserAnswer,
            is_list=True,
            needs=(Verb.READ, Resource.USER),
        )
        to.get(
            routes.USERS_OF,
            self.users_of,
            "Those of an organisation",
            UserAnswer,
            is_list=True,
            needs=(Verb.READ, Resource.USER),
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
        to.delete(routes.USER, self.delete, "Delete a user", MessageAnswer, needs=(Verb.DELETE, Resource.USER))
        to.get(
            routes.PERMISSION,
            self.permission,
            "The roles of a user",
            PermissionAnswer,
            needs=(Verb.READ, Resource.USER),
        )

    def register(self) -> Answer:
        actor, body = caller(), read(RegisterBody)
        users.check_password(body["password"], "password")
        user = User(
            username=body["username"],
            password_hash=self._parts.auth.passwords.hash(body["password"]),
            roles=tuple(body.get("roles", (Role.APPLICATION_PROVIDER,))),
            email=body.get("email", ""),
            organization=self._organization_id(body.get("organization", "")) or actor.organization,
            created_at_s=self._parts.clock.now_s(),
        )
        note_object(user.username)
        return self._view(self._parts.ask(lambda: self._parts.people.create_user(actor, user)))

    def users(self) -> Answer:
        return self._visible(self._parts.intents.users())

    def users_of(self, organization_id: str) -> Answer:
        """By name or id."""
        organization = self._parts.organization(caller(), organization_id)
        return self._visible(self._parts.intents.users(organization.organization_id))

    def user(self, username: str) -> Answer:
        return self._view(self._find(username))

    def permission(self, username: str) -> Answer:
        return {"username": username, "roles": list(self._find(username).roles)}

    def change(self, username: str) -> Answer:
        body = read(UserBody)
        actor = caller()
        users.visible(actor, self._parts.intents.user(username), username, Verb.CHANGE)
        change = self._change(body)
        return self._view(self._parts.ask(lambda: self._parts.people.change_user(actor, username, change)))

    def change_password(self, username: str) -> Answer:
        actor = caller()
        user = self._find(username)
        if actor.username != username:
            raise Forbidden("This changes one's own password; an Admin sets another user's with PUT.")
        body = read(PasswordBody)
        if not self._parts.auth.confirm(user, body["old_password"], request.remote_addr or ""):
            raise InvalidInput("oldPassword: is not your present password.", "oldPassword")
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
        organization = self._organization_id(body.get("organization", "")) or None
        return UserChange(body.get("email"), password_hash, organization, roles)

    def _organization_id(self, asked: str) -> str:
        """By name or id; "" for "". Raises InvalidInput, also for one that the caller may not see."""
        if not asked:
            return ""
        try:
            return self._parts.organization(caller(), asked).organization_id
        except NotFound as error:
            raise InvalidInput(f"organization: {error}", "organization") from None

    def _view(self, user: User) -> View:
        return user_view(user, self._parts.organization_names())

    def _visible(self, found: Iterable[User]) -> list[View]:
        actor, names = caller(), self._parts.organization_names()
        return [
            user_view(user, names)
            for user in found
            if may(actor, Verb.READ, Resource.USER, user.organization, user.username)
        ]
