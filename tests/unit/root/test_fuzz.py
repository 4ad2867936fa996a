"""The API, asked what its own OpenAPI document says it takes, and what it does not, by everybody.

HEDGEROW_FUZZ is how many requests each route gets from each role; more than the default is for long runs.
"""

import os
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case
from schemathesis.core.result import Ok
from werkzeug.exceptions import HTTPException

from edge_common.plumbing.http_app import public_endpoints
from root_orchestrator.adapters.api.routing import needs_of
from root_orchestrator.core.permissions import Role, Scope, Verb
from tests.unit.root.test_permission_matrix import COLLEAGUES, OWN, ROLES, STRANGERS, Company, granted

EXAMPLES = int(os.environ.get("HEDGEROW_FUZZ", "8"))
KNOWN_SHARE = 0.6
"""How often a path names something that is there."""
TOO_MUCH = frozenset({413, 415})
"""A body that nobody would read is refused before anything is asked about who sent it."""


class Somebody:
    """Asks and checks each answer. Whoever has no token has no role either."""

    def __init__(self, company: Company, role: Role | None, *, has_token: bool) -> None:
        self._company = company
        self._role = role
        self._has_token = has_token
        user = company.store.user(OWN)
        assert user is not None
        self._headers = {"Authorization": f"Bearer {company.tokens(user).access}"} if has_token else {}
        self._chance = Random(f"{role} {has_token}")
        self.asked = 0

    def ask(self, case: Case[Any]) -> None:
        self._name_things_that_are_there(case)
        answer = case.call(headers=self._headers)
        said = f"{self._role}: {case.method} {case.formatted_path} {case.body!r} -> {answer.status_code} {answer.text}"
        assert answer.status_code < 500, said
        endpoint = self._endpoint(case)
        if endpoint is not None and endpoint not in public_endpoints(self._company.app):
            self._check(endpoint, answer.status_code, answer.text, said)
        self.asked += 1

    def _check(self, endpoint: str, status: int, text: str, said: str) -> None:
        if not self._has_token:
            assert status == 401 or status in TOO_MUCH, said
            return
        needs = needs_of(self._company.app, endpoint)
        scope = granted(self._role, needs.verb, needs.resource, is_session=True)
        if scope is Scope.NOTHING:
            assert status == 403 or status in TOO_MUCH, said
        elif scope is not Scope.EVERYTHING and needs.verb is Verb.READ and status < 300:
            assert not any(value in text for value in self._company.arguments[STRANGERS].values()), said

    def _endpoint(self, case: Case[Any]) -> str | None:
        """None for a path that leads nowhere, as with a slash in a name."""
        try:
            endpoint, _ = self._company.app.url_map.bind("localhost").match(case.formatted_path, method=case.method)
        except HTTPException:
            return None
        return str(endpoint)

    def _name_things_that_are_there(self, case: Case[Any]) -> None:
        owner = self._chance.choice((OWN, COLLEAGUES, STRANGERS))
        known: Mapping[str, Any] = {**self._company.arguments[owner], "cluster_id": "c1", "node_id": "n1", "number": 0}
        for name in set(case.path_parameters or {}) & set(known):
            if self._chance.random() < KNOWN_SHARE:
                case.path_parameters[name] = known[name]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("role", "has_token"), [*((role, True) for role in ROLES), (None, False)], ids=str)
def test_no_request_breaks_it_or_gets_more_than_the_table_grants(role: Role | None, has_token: bool) -> None:
    company = Company(role)
    somebody = Somebody(company, role, has_token=has_token)
    before = company.contents()
    schema = schemathesis.openapi.from_wsgi("/docs/openapi.json", company.app)
    limits = settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    found = list(schema.get_all_operations())
    operations = [each.ok() for each in found if isinstance(each, Ok)]
    assert len(operations) == len(found), "the document describes something that is no operation"
    for operation in operations:

        def ask(case: Case[Any]) -> None:
            somebody.ask(case)

        seed(1)(limits(given(case=operation.as_strategy())(ask)))()
        if role is not Role.ADMIN:
            assert theirs(company.contents()) == theirs(before), f"{operation.label} changed what is a stranger's"
        company.restore(before)
    assert somebody.asked >= len(operations)


def theirs(contents: Mapping[str, list[Any]]) -> list[tuple[str, Any]]:
    """All that belongs to the other organisation."""
    return [
        (collection, each)
        for collection, documents in contents.items()
        for each in documents
        if STRANGERS in {each.get("owner"), each.get("username"), each["_id"]}
    ]
