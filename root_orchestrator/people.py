"""The one writer of users, organisations, sessions and personal tokens. Runs on the mailbox's thread."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edge_common.model.errors import InvalidInput, NotFound, Unauthenticated
from edge_common.plumbing.clock import Clock
from root_orchestrator.core import api_tokens, organizations, sessions, stored_values, users
from root_orchestrator.core.api_tokens import ApiToken, Asked
from root_orchestrator.core.organizations import Organization
from root_orchestrator.core.permissions import Actor, Resource, Verb
from root_orchestrator.core.records import User
from root_orchestrator.core.sessions import Refresh, Session
from root_orchestrator.core.users import UserChange
from root_orchestrator.ports import IntentStore, PeopleStore, ValueStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MadeToken:
    """`text` is shown once."""

    token: ApiToken
    text: str = field(repr=False)


class People:
    """Commands take who asks; whom they may not see is not found."""

    def __init__(
        self,
        intents: IntentStore,
        store: PeopleStore,
        new_id: Callable[[], str],
        new_secret: Callable[[], str],
        clock: Clock,
        values: ValueStore,
    ) -> None:
        self._intents = intents
        self._values = values
        self._store = store
        self._new_id = new_id
        self._new_secret = new_secret
        self._clock = clock

    def create_user(self, actor: Actor, user: User) -> User:
        created = users.created(actor, user, self._intents.user(user.username))
        self._require_organization(created.organization)
        self._intents.put_user(created)
        return created

    def change_user(self, actor: Actor, username: str, change: UserChange) -> User:
        user = users.visible(actor, self._intents.user(username), username, Verb.CHANGE)
        changed = users.changed(actor, user, change, len(self._intents.applications(username)))
        users.check_replacement(changed, self._intents.users())
        if changed.organization != user.organization:
            self._require_organization(changed.organization)
            stored_values.refuse_owner(username, len(self._values.owned(username)))
        self._intents.put_user(changed)
        if changed.password_hash != user.password_hash:
            self._end_sessions(username)
        return changed

    def change_own_password(self, actor: Actor, password_hash: str) -> None:
        """The old password was checked. Raises NotFound when the user is gone by now."""
        self._intents.put_user(replace(self._user(actor.username), password_hash=password_hash))
        self._end_sessions(actor.username)

    def delete_user(self, actor: Actor, username: str) -> None:
        """With all that could act in the user's name."""
        users.visible(actor, self._intents.user(username), username, Verb.DELETE)
        users.check_deletion(username, self._intents.users(), len(self._intents.applications(username)))
        stored_values.refuse_owner(username, len(self._values.owned(username)))
        self._intents.delete_user(username)
        self._end_sessions(username)
        self._store.delete_api_tokens([token.token_id for token in self._store.api_tokens(username)])

    def create_organization(self, name: str) -> Organization:
        checked = organizations.checked_name(name, self._store.organizations())
        organization = Organization(self._new_id(), checked, self._clock.now_s())
        self._store.put_organization(organization)
        return organization

    def rename_organization(self, actor: Actor, organization_id: str, name: str) -> Organization:
        organization = self._organization(actor, organization_id, Verb.CHANGE)
        renamed = organizations.renamed(organization, name, self._store.organizations())
        self._store.put_organization(renamed)
        return renamed

    def delete_organization(self, actor: Actor, organization_id: str) -> Organization:
        organization = self._organization(actor, organization_id, Verb.DELETE)
        members = self._intents.users(organization_id)
        applications = self._intents.applications(organization=organization_id)
        organizations.check_deletion(organization, len(members), len(applications))
        self._store.delete_organization(organization_id)
        return organization

    def open_session(self, username: str) -> Session:
        """For who has just shown the password. Raises NotFound when the user is gone by now."""
        self._user(username)
        now_s = self._clock.now_s()
        self._store.delete_sessions(sessions.superfluous(self._store.sessions(username), now_s))
        session = Session(self._new_id(), username, now_s, now_s)
        self._store.put_session(session)
        return session

    def refresh_session(self, username: str, session_id: str, generation: int) -> Session:
        """Raises Unauthenticated; a refresh token that was used before ends its session."""
        session = self._store.session(session_id)
        if session is None or session.username != username:
            raise Unauthenticated("The session has ended; log in again.")
        after, outcome = sessions.refreshed(session, generation, self._clock.now_s())
        if outcome is Refresh.ROTATED:
            self._store.put_session(after)
        elif outcome is not Refresh.REPEATED:
            self._store.delete_sessions([session_id])
            if outcome is Refresh.REUSED:
                logger.warning("event=refresh_token_reused user=%s session=%s is ended", session.username, session_id)
            raise Unauthenticated("The session has ended; log in again.")
        return after

    def close_session(self, session_id: str) -> None:
        self._store.delete_sessions([session_id])

    def end_sessions(self, actor: Actor, username: str) -> int:
        """How many there were."""
        users.visible(actor, self._intents.user(username), username, Verb.DELETE, Resource.SESSION)
        return self._end_sessions(username)

    def create_api_token(self, actor: Actor, asked: Asked) -> MadeToken:
        now_s = self._clock.now_s()
        existing = self._store.api_tokens(self._user(actor.username).username)
        living = [token for token in existing if now_s < token.expires_at_s]
        secret = self._new_secret()
        token = api_tokens.made(actor, asked, living, self._new_id(), secret, now_s)
        self._store.delete_api_tokens([each.token_id for each in existing if each not in living])
        self._store.put_api_token(token)
        return MadeToken(token, api_tokens.written(token.token_id, secret))

    def delete_api_token(self, actor: Actor, token_id: str) -> ApiToken:
        missing = f"There is no token {token_id}."
        token = self._store.api_token(token_id)
        user = None if token is None else self._intents.user(token.username)
        if token is None or user is None:
            raise NotFound(missing)
        users.visible(actor, user, user.username, Verb.DELETE, Resource.API_TOKEN, missing)
        self._store.delete_api_tokens([token_id])
        return token

    def note_use(self, token_id: str) -> None:
        token, now_s = self._store.api_token(token_id), self._clock.now_s()
        if token is not None and api_tokens.is_use_worth_a_note(token, now_s):
            self._store.put_api_token(replace(token, last_used_at_s=now_s))

    def _end_sessions(self, username: str) -> int:
        ended = [session.session_id for session in self._store.sessions(username)]
        self._store.delete_sessions(ended)
        return len(ended)

    def _user(self, username: str) -> User:
        user = self._intents.user(username)
        if user is None:
            raise NotFound(f"There is no user {username}.")
        return user

    def _require_organization(self, organization_id: str) -> None:
        """It may be gone since its name was looked up. Raises InvalidInput."""
        if self._store.organization(organization_id) is None:
            raise InvalidInput(f"organization: there is no organisation {organization_id}.", "organization")

    def _organization(self, actor: Actor, organization_id: str, verb: Verb) -> Organization:
        return organizations.visible(actor, self._store.organization(organization_id), organization_id, verb)
