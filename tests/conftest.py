"""Fixtures that tests of several kinds share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    """A MongoDB-compatible server without a database in its URL; take a name of your own."""
    from tests.parts.mongo import mongo_server

    with mongo_server() as url:
        yield url


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`scripts/test` runs with --dist loadgroup: what uses real parts runs in one process, one after the other."""
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.xdist_group("real"))
