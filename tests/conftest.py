"""Fixtures that tests of several kinds share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    """A MongoDB-compatible server without a database in its URL; take a name of your own."""
    from tests.parts.mongo import mongo_server

    with mongo_server() as url:
        yield url
