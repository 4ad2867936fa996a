"""The one writer of users. Runs on the mailbox's thread."""

from edge_common.model.errors import NotFound
from root_orchestrator.core import users
from root_orchestrator.core.permissions import Actor, Verb
from root_orchestrator.core.records import User
from root_orchestrator.core.users import UserChange
from root_orchestrator.ports import IntentStore


class People:
    """Commands take who asks; whom they may not see is not found."""

    def __init__(self, intents: IntentStore) -> None:
        self._intents = intents

    def create_user(self, actor: Actor, user: User) -> User:
        created = users.created(actor, user, self._intents.user(user.username))
        self._intents.put_user(created)
        return created

    def change_user(self, actor: Actor, username: str, change: UserChange) -> User:
        user = users.visible(actor, self._intents.user(username), username, Verb.CHANGE)
        changed = users.changed(actor, user, change, len(self._intents.applications(username)))
        users.check_replacement(changed, self._intents.users())
        self._intents.put_user(changed)
        return changed

    def change_own_password(self, actor: Actor, password_hash: str) -> None:
        """The old password was checked. Raises NotFound when the user is gone by now."""
        user = self._intents.user(actor.username)
        if user is None:
            raise NotFound(f"There is no user {actor.username}.")
        self._intents.put_user(users.with_password(user, password_hash))

    def delete_user(self, actor: Actor, username: str) -> None:
        users.visible(actor, self._intents.user(username), username, Verb.DELETE)
        users.check_deletion(username, self._intents.users(), len(self._intents.applications(username)))
        self._intents.delete_user(username)
